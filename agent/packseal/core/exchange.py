"""What a gateway and a sink say to each other: one request, one reply (docs/formats/exchange.md).

Requests: `{0: 1, 1: 1 (batch), 2: zstd(concatenated records)}` and
`{0: 1, 1: 2 (position), 2: [[log id, next, hash] …]}`.
Reply to both: `{0: 1, 1: [receipt …], 2: [[log id, code, sequence, text] …]}`: the newest receipt of every log named,
and refusals. A receipt is a COSE_Sign1 of the sink over
`{0: 1, 1: 6, 2: log id, 3: sequence, 4: hash, 7: wall ms}`: every record of this log up to and including `sequence`,
whose hash is `hash`, is stored durably here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import cbor2
import zstandard

from packseal.core import cbor, cose
from packseal.core.errors import FormatError, VerifyError
from packseal.core.record import HASH_BYTES, LOG_ID_BYTES, VERSION

MAX_BATCH_BYTES = 8 << 20
"""Of one batch unfolded: eight times what an agent sends."""

MAX_BATCH_RECORDS = 10_000
"""Twenty times what an agent sends; a kilobyte of zstd can unfold to millions of one-byte items."""

RECEIPT_KIND = 6
BATCH, POSITION = 1, 2
ZSTD_LEVEL = 3


class Refusal(IntEnum):
    """Why a sink did not take a record."""

    BAD_FORMAT = 1
    BAD_SIGNATURE = 2
    UNKNOWN_GATEWAY = 3
    FORK = 4  # another record with this sequence number is already stored
    BROKEN_CHAIN = 5  # does not name the record before it
    AHEAD = 6  # records before it have not arrived; send from the sink's position
    ROLLBACK = 7  # the gateway's log ends before what the sink already holds
    BUSY = 8  # try again later


@dataclass(frozen=True, slots=True)
class Receipt:
    """The sink's signed statement about one log; `raw` is what was signed."""

    raw: bytes
    issuer: str
    kid: bytes
    log_id: bytes
    sequence: int
    hash: bytes
    wall_ms: int


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the gateway says one of its logs stands: the next sequence number and the last record's hash."""

    log_id: bytes
    next_sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal in a reply."""

    log_id: bytes
    code: Refusal
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sink answers: raw receipts, and what it refused."""

    receipts: Sequence[bytes] = ()
    refused: Sequence[Refused] = ()


def encode_batch(records: Sequence[bytes]) -> bytes:
    """Return the request that carries `records`, unchanged and in order."""
    return cbor.encode(
        {0: VERSION, 1: BATCH, 2: zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(b"".join(records))}
    )


def encode_position(ends: Sequence[LogEnd]) -> bytes:
    """Return the request that asks how far the sink is in these logs."""
    return cbor.encode({0: VERSION, 1: POSITION, 2: [[e.log_id, e.next_sequence, e.hash] for e in ends]})


def decode_request(data: bytes) -> list[bytes] | list[LogEnd]:
    """Return a batch's raw records, or a position query's log ends (told apart by the element type).

    An empty batch and an empty query are both an empty list. Raises FormatError.
    """
    parts = cbor.as_map(cbor.decode(data, "request"), "request", (0, 1, 2))
    if parts[0] != VERSION or parts[1] not in (BATCH, POSITION):
        raise FormatError("a request of another version or kind")
    if parts[1] == BATCH:
        return split_records(_decompress(cbor.as_bytes(parts[2], "batch")))
    return [_log_end(entry) for entry in cbor.as_array(parts[2], "log ends")]


def split_records(data: bytes) -> list[bytes]:
    """Cut a concatenation of CBOR items (RFC 8742) into the bytes of each; raises FormatError."""
    from io import BytesIO  # noqa: PLC0415 - only cbor2's decoder wants a file

    records: list[bytes] = []
    stream, start = BytesIO(data), 0
    while start < len(data):
        if len(records) >= MAX_BATCH_RECORDS:
            raise FormatError(f"a batch holds more than {MAX_BATCH_RECORDS} records")
        stream.seek(start)
        try:
            decoder = cbor2.CBORDecoder(stream, max_depth=cbor.MAX_DEPTH, read_size=1)
            decoder.decode()
        except (cbor2.CBORError, ValueError, TypeError) as error:
            raise FormatError(f"item {len(records)} at byte {start} is not well-formed CBOR: {error}") from error
        records.append(data[start : stream.tell()])
        start = stream.tell()
    return records


def encode_reply(reply: Reply) -> bytes:
    """Return the bytes of a reply."""
    refused = [[r.log_id, int(r.code), r.sequence, r.text] for r in reply.refused]
    return cbor.encode({0: VERSION, 1: list(reply.receipts), 2: refused})


def decode_reply(data: bytes) -> Reply:
    """Return the reply; its receipts are not yet verified. Raises FormatError."""
    parts = cbor.as_map(cbor.decode(data, "reply"), "reply", (0, 1, 2))
    if parts[0] != VERSION:
        raise FormatError("a reply of another version")
    receipts = tuple(cbor.as_bytes(r, "receipt") for r in cbor.as_array(parts[1], "receipts"))
    refused = []
    for entry in cbor.as_array(parts[2], "refusals"):
        log_id, code, sequence, text = _four(entry)
        if code not in set(Refusal):
            raise FormatError(f"refusal code {code} is unknown")
        refused.append(Refused(log_id, Refusal(code), sequence, text))
    return Reply(receipts, tuple(refused))


def write_receipt(envelope: cose.Envelope, end: tuple[bytes, int, bytes], wall_ms: int) -> bytes:
    """Sign that everything up to `end` = (log id, sequence, hash) is stored."""
    log_id, sequence, digest = end
    return envelope.seal(cbor.encode({0: VERSION, 1: RECEIPT_KIND, 2: log_id, 3: sequence, 4: digest, 7: wall_ms}))


def verify_receipt(raw: bytes, key: cose.PublicKey) -> Receipt:
    """Parse and verify a receipt, accepting only the one canonical form; raises FormatError or VerifyError."""
    cbor.decode(raw, "receipt")
    message = cose.parse(raw)
    header = cbor.as_map(cbor.decode(message.protected, "protected header"), "protected header", (1, 4, 15))
    if header[cose.HEADER_KID] != key.kid or message.unprotected:
        raise VerifyError("the receipt is not signed by the sink's key that this gateway trusts")
    cose.check_signature_form(key.algorithm, message.signature)
    cose.verify(message, key)
    parts = cbor.as_map(cbor.decode(message.payload, "receipt payload"), "receipt payload", (0, 1, 2, 3, 4, 7))
    if parts[0] != VERSION or parts[1] != RECEIPT_KIND:
        raise FormatError("not a receipt of version 1")
    return Receipt(
        raw=raw,
        issuer=cose.read_claims(header[cose.HEADER_CWT_CLAIMS])[0],
        kid=key.kid,
        log_id=cbor.as_bytes(parts[2], "log id", LOG_ID_BYTES),
        sequence=cbor.as_uint(parts[3], "sequence"),
        hash=cbor.as_bytes(parts[4], "hash", HASH_BYTES),
        wall_ms=cbor.as_uint(parts[7], "wall time"),
    )


def _log_end(entry: object) -> LogEnd:
    parts = cbor.as_array(entry, "log end")
    if len(parts) != 3:  # noqa: PLR2004
        raise FormatError("a log end is [log id, next sequence, hash]")
    log_id, digest = cbor.as_bytes(parts[0], "log id", LOG_ID_BYTES), cbor.as_bytes(parts[2], "hash", HASH_BYTES)
    return LogEnd(log_id, cbor.as_uint(parts[1], "next sequence"), digest)


def _four(entry: object) -> tuple[bytes, int, int, str]:
    parts = cbor.as_array(entry, "refusal")
    if len(parts) != 4:  # noqa: PLR2004
        raise FormatError("a refusal is [log id, code, sequence, text]")
    log_id = cbor.as_bytes(parts[0], "log id")
    return log_id, cbor.as_uint(parts[1], "code"), cbor.as_uint(parts[2], "sequence"), cbor.as_text(parts[3], "text")


def _decompress(blob: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(blob) > MAX_BATCH_BYTES:
            raise FormatError(f"a batch unfolds to more than {MAX_BATCH_BYTES} bytes")
        return zstandard.ZstdDecompressor().decompress(blob, max_output_size=MAX_BATCH_BYTES, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"a batch cannot be decompressed: {error}") from error

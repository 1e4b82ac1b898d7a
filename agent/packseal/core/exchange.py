"""What a gateway and a sink say to each other: one request, one reply (docs/formats/exchange.md).

Requests: `{0: 1, 1: 1 (batch) or 3 (early), 2: zstd(concatenated records), ? 3: [[log id, first, end] …] (whole)}` and
`{0: 1, 1: 2 (position), 2: [[log id, next, hash] …]}`.
Reply to all: `{0: 1, 1: [receipt …], 2: [[log id, code, sequence, text] …], ? 3: [[log id, [first, end …]] …] (held)}`:
the newest receipt of every log named, refusals, and what is held early. A receipt is a COSE_Sign1 of the sink over
`{0: 1, 1: 6, 2: log id, 3: sequence, 4: hash, 7: wall ms}`: every record of this log up to and including `sequence`,
whose hash is `hash`, is stored durably here, except those that the log's own gap records name as removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

import cbor2
import zstandard

from packseal.core import cbor, cose
from packseal.core.errors import FormatError, VerifyError
from packseal.core.record import HASH_BYTES, LOG_ID_BYTES, VERSION

MAX_BATCH_BYTES = 8 << 20
"""Of one batch unfolded: eight times what an agent sends."""

MAX_BATCH_RECORDS = 10_000
"""Twenty times what an agent sends; a kilobyte of zstd can unfold to millions of one-byte items."""

MAX_HELD_RANGES = 2048
"""Of one log in one reply, the lowest ones: a reply over a poor link stays below 24 kB for each log."""

RECEIPT_KIND = 6
BATCH, POSITION, EARLY = 1, 2, 3  # these and RECEIPT_KIND: key 1, as above
MORE = 3  # the key of what only some requests and replies say
ZSTD_LEVEL = 3  # ZSTD_CLEVEL_DEFAULT, zstd.h


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
class Whole:
    """The gateway's word that a stretch of a log has been sent whole.

    Of the sequence numbers from `first` up to, not including, `end`, the gateway holds no record that is not in the
    request that says this, stored at the sink, or told as held by it. Only then may the sink pass over a number that a
    gap record names.
    """

    log_id: bytes
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A request: raw records in the order of their logs."""

    records: Sequence[bytes]
    whole: Sequence[Whole] = ()


@dataclass(frozen=True, slots=True)
class Early:
    """A request: raw records out of turn on purpose. The sink stores them before it has those that come before them."""

    records: Sequence[bytes]
    whole: Sequence[Whole] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """A request: how far is the sink? The gateway says where its logs end."""

    ends: Sequence[LogEnd]


Request = Batch | Early | Position


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal in a reply."""

    log_id: bytes
    code: Refusal
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sink answers: raw receipts, what it refused, and what it holds early.

    `held` is, for a log, ranges of sequence numbers [first, end), ascending and apart from each other. To a position
    query it is all that is held, or the lowest MAX_HELD_RANGES; to an early request the ranges that its records are in.
    """

    receipts: Sequence[bytes] = ()
    refused: Sequence[Refused] = ()
    held: Mapping[bytes, Sequence[tuple[int, int]]] = field(default_factory=dict)


def encode_batch(records: Sequence[bytes], whole: Sequence[Whole] = ()) -> bytes:
    """Return the request that carries `records`, unchanged and in order; none is fine where `whole` says something."""
    return _encode_records(BATCH, records, whole)


def encode_early(records: Sequence[bytes], whole: Sequence[Whole] = ()) -> bytes:
    """Return the request that carries `records`, unchanged, out of turn on purpose."""
    return _encode_records(EARLY, records, whole)


def encode_position(ends: Sequence[LogEnd]) -> bytes:
    """Return the request that asks how far the sink is in these logs."""
    return cbor.encode({0: VERSION, 1: POSITION, 2: [[e.log_id, e.next_sequence, e.hash] for e in ends]})


def decode_request(data: bytes) -> Request:
    """Return what a gateway asks; its records are not yet verified. Raises FormatError."""
    parts = cbor.as_map(cbor.decode(data, "request"), "request", (0, 1, 2), (MORE,))
    cbor.as_code(parts[0], "request version", (VERSION,))
    kind = cbor.as_code(parts[1], "request kind", (BATCH, POSITION, EARLY))
    if kind == POSITION:
        if MORE in parts:
            raise FormatError("a position query says nothing of whole stretches")
        return Position([_log_end(entry) for entry in cbor.as_array(parts[2], "log ends")])
    records = split_records(_decompress(cbor.as_bytes(parts[2], "batch")))
    whole = [_whole(entry) for entry in _filled(parts[MORE], "whole stretches")] if MORE in parts else []
    return Batch(records, whole) if kind == BATCH else Early(records, whole)


def split_records(data: bytes) -> list[bytes]:
    """Cut a concatenation of CBOR items (RFC 8742) into the bytes of each; raises FormatError."""
    from io import BytesIO  # noqa: PLC0415 - only cbor2's decoder wants a file

    records: list[bytes] = []
    stream, start = BytesIO(data), 0
    while start < len(data):
        if len(records) >= MAX_BATCH_RECORDS:
            raise FormatError(f"a batch holds more than {MAX_BATCH_RECORDS} records")
        found = cose.split(data, start)
        stream.seek(start if found is None else found[1])
        try:
            if found is None:
                cbor2.CBORDecoder(stream, max_depth=cbor.MAX_DEPTH, read_size=1).decode()
        except (cbor2.CBORError, ValueError, TypeError) as error:
            raise FormatError(f"item {len(records)} at byte {start} is not well-formed CBOR: {error}") from error
        records.append(data[start : stream.tell()])
        start = stream.tell()
    return records


def encode_reply(reply: Reply) -> bytes:
    """Return the bytes of a reply."""
    refused = [[r.log_id, int(r.code), r.sequence, r.text] for r in reply.refused]
    held = [[log_id, [n for pair in ranges[:MAX_HELD_RANGES] for n in pair]] for log_id, ranges in reply.held.items()]
    return cbor.encode({0: VERSION, 1: list(reply.receipts), 2: refused, **({MORE: held} if held else {})})


def decode_reply(data: bytes) -> Reply:
    """Return the reply; its receipts are not yet verified. Raises FormatError."""
    parts = cbor.as_map(cbor.decode(data, "reply"), "reply", (0, 1, 2), (MORE,))
    cbor.as_code(parts[0], "reply version", (VERSION,))
    receipts = tuple(cbor.as_bytes(r, "receipt") for r in cbor.as_array(parts[1], "receipts"))
    refused = []
    for entry in cbor.as_array(parts[2], "refusals"):
        log_id, code, sequence, text = _four(entry)
        if code not in set(Refusal):
            raise FormatError(f"refusal code {code} is unknown")
        refused.append(Refused(log_id, Refusal(code), sequence, text))
    return Reply(receipts, tuple(refused), _held(parts[MORE]) if MORE in parts else {})


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


def _encode_records(kind: int, records: Sequence[bytes], whole: Sequence[Whole]) -> bytes:
    blob = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(b"".join(records))
    said = {MORE: [[w.log_id, w.first, w.end] for w in whole]} if whole else {}
    return cbor.encode({0: VERSION, 1: kind, 2: blob, **said})


def _filled(value: object, what: str) -> Sequence[object]:
    """Return the array that stands only where it says something."""
    entries = cbor.as_array(value, what)
    if not entries:
        raise FormatError(f"{what} are left out where there are none")
    return entries


def _whole(entry: object) -> Whole:
    log_id, first, end = _parts(entry, 3, "a whole stretch is [log id, first, end]")
    stretch = Whole(
        cbor.as_bytes(log_id, "log id", LOG_ID_BYTES), cbor.as_uint(first, "first"), cbor.as_uint(end, "end")
    )
    if stretch.first >= stretch.end:
        raise FormatError("a whole stretch ends before it begins")
    return stretch


def _held(value: object) -> dict[bytes, list[tuple[int, int]]]:
    held: dict[bytes, list[tuple[int, int]]] = {}
    for entry in _filled(value, "held ranges"):
        name, flat = _parts(entry, 2, "held ranges are [log id, [first, end, …]]")
        log_id = cbor.as_bytes(name, "log id", LOG_ID_BYTES)
        numbers = [cbor.as_uint(n, "held range") for n in _filled(flat, "held ranges")]
        if log_id in held or len(numbers) % 2 or len(numbers) > 2 * MAX_HELD_RANGES:
            raise FormatError(f"held ranges are pairs, {MAX_HELD_RANGES} at most, once for each log")
        if any(a >= b for a, b in pairwise(numbers)):
            raise FormatError("held ranges must ascend and stand apart from each other")
        held[log_id] = list(zip(numbers[::2], numbers[1::2], strict=True))
    return held


def _log_end(entry: object) -> LogEnd:
    parts = _parts(entry, 3, "a log end is [log id, next sequence, hash]")
    log_id, digest = cbor.as_bytes(parts[0], "log id", LOG_ID_BYTES), cbor.as_bytes(parts[2], "hash", HASH_BYTES)
    return LogEnd(log_id, cbor.as_uint(parts[1], "next sequence"), digest)


def _four(entry: object) -> tuple[bytes, int, int, str]:
    parts = _parts(entry, 4, "a refusal is [log id, code, sequence, text]")
    log_id = cbor.as_bytes(parts[0], "log id")
    return log_id, cbor.as_uint(parts[1], "code"), cbor.as_uint(parts[2], "sequence"), cbor.as_text(parts[3], "text")


def _parts(entry: object, count: int, form: str) -> Sequence[object]:
    parts = cbor.as_array(entry, "part")
    if len(parts) != count:
        raise FormatError(form)
    return parts


def _decompress(blob: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(blob) > MAX_BATCH_BYTES:
            raise FormatError(f"a batch unfolds to more than {MAX_BATCH_BYTES} bytes")
        return zstandard.ZstdDecompressor().decompress(blob, max_output_size=MAX_BATCH_BYTES, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"a batch cannot be decompressed: {error}") from error

"""Record: one signed entry of a log. Bytes are made once and travel unchanged (docs/formats/record.md).

A record is a COSE_Sign1 whose protected header is `{1: alg, 4: kid, 15: {1: issuer, 2: subject}}` and whose payload is
`{0: version, 1: kind, 2: log id, 3: sequence, 4: previous hash, 5: boot id, 6: monotonic ms, 7: wall ms,
8: clock quality, 9: body}`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from packseal.core import cbor, cose
from packseal.core.bodies import BOOT_ID_BYTES, KIND_OF, Body, Kind, Telemetry, decode_body, encode_body
from packseal.core.errors import FormatError, VerifyError
from packseal.core.readings_cbor import encoded_size
from packseal.core.sample import ClockQuality
from packseal.core.summary import Summary

VERSION = 1
LOG_ID_BYTES = 16
HASH_BYTES = 32
MAX_RECORD_BYTES = 1 << 20
"""A 60 s window of 200 channels at 10 Hz seals to about 100 kB; ten times that is a mistake or an attack."""

HEADERS_KEPT = 1024
"""Protected headers taken apart once: a log has one and the same in all its records."""

_PAYLOAD_KEYS = tuple(range(10))
_KINDS, _QUALITIES = frozenset(Kind), frozenset(ClockQuality)

GENESIS = bytes(HASH_BYTES)
"""What the first record of a log names as the hash before it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What every payload carries: place in the log, and time on both clocks.

    `previous` is the SHA-256 of the whole record before this one; `mono_ms` counts within the boot `boot_id`.
    """

    log_id: bytes
    sequence: int
    previous: bytes
    boot_id: bytes
    mono_ms: int
    wall_ms: int
    quality: ClockQuality


@dataclass(frozen=True, slots=True)
class Record:
    """A parsed record; `raw` is the only thing that was signed. `verify` it before believing it."""

    raw: bytes
    issuer: str
    subject: str
    algorithm: int
    kid: bytes
    header: Header
    kind: Kind
    body: Body

    @property
    def hash(self) -> bytes:
        """SHA-256 of the record's bytes: what the next record and a receipt name."""
        return record_hash(self.raw)


def record_hash(raw: bytes) -> bytes:
    """Return the SHA-256 that chains a record to its successor."""
    return hashlib.sha256(raw).digest()


def encode_payload(header: Header, body: Body) -> bytes:
    """Return the payload bytes that are signed."""
    return _encode_parts(header, KIND_OF[type(body)], encode_body(body, header.wall_ms))


def _encode_parts(header: Header, kind: Kind, body: Mapping[int, object]) -> bytes:
    encode = cbor.encode_ordered if kind in (Kind.TELEMETRY, Kind.SNAPSHOT) else cbor.encode
    return encode(
        {
            0: VERSION,
            1: int(kind),
            2: header.log_id,
            3: header.sequence,
            4: header.previous,
            5: header.boot_id,
            6: header.mono_ms,
            7: header.wall_ms,
            8: int(header.quality),
            9: body,
        }
    )


def parse(raw: bytes) -> Record:
    """Take a record apart, accepting only the one canonical form.

    Raises:
        FormatError: anything that `Envelope.seal(encode_payload(…))` would not itself have written.
    """
    if len(raw) > MAX_RECORD_BYTES:
        raise FormatError(f"a record of {len(raw)} bytes; the limit is {MAX_RECORD_BYTES}")
    message = _open(raw)
    algorithm, kid, issuer, subject = _parse_protected(message.protected)
    cose.check_signature_form(algorithm, message.signature)
    header, kind, body = parse_payload(message.payload)
    return Record(raw, issuer, subject, algorithm, kid, header, kind, body)


def parse_payload(payload: bytes) -> tuple[Header, Kind, Body]:
    """Take a payload apart; raises FormatError unless `encode_payload` gives the same bytes back."""
    try:
        value = cbor.loads(payload, "record payload")
        found = _read_payload(value)
        if _is_snapshot_as_encoded(payload, found, value) or encode_payload(found[0], found[2]) == payload:
            return found
    except (FormatError, TypeError):
        pass  # the better reason may be that it is not in deterministic form
    _read_payload(cbor.decode(payload, "record payload"))
    raise FormatError("the payload is not in its one canonical form")


def _is_snapshot_as_encoded(payload: bytes, found: tuple[Header, Kind, Body], value: Any) -> bool:
    header, kind, _ = found
    if kind is not Kind.SNAPSHOT:
        return False
    start = _encode_parts(header, kind, {})[:-1]
    return payload.startswith(start) and encoded_size(value[9]) == len(payload) - len(start)


def _read_payload(value: object) -> tuple[Header, Kind, Body]:
    parts = cbor.as_map(value, "record payload", _PAYLOAD_KEYS)
    if parts[0] != VERSION:
        raise FormatError(f"record version {parts[0]}; this program reads version {VERSION}")
    kind = Kind(cbor.as_code(parts[1], "record kind", _KINDS))
    header = _parse_header(parts)
    return header, kind, decode_body(kind, parts[9], header.wall_ms)


def verify(raw: bytes, key: cose.PublicKey) -> Record:
    """Parse a record and check its signature.

    Raises:
        FormatError: not canonical.
        VerifyError: another key's, or changed since it was signed.
    """
    record = parse(raw)
    check_signature(record, key)
    return record


def check_signature(record: Record, key: cose.PublicKey) -> None:
    """Raise VerifyError unless a parsed record was signed with `key`, and not changed since."""
    if record.kid != key.kid:
        raise VerifyError(f"signed by key {record.kid.hex()[:16]}…, not by {key.kid.hex()[:16]}…")
    if record.algorithm != key.algorithm:
        raise VerifyError(f"the header names algorithm {record.algorithm}, the key is for {int(key.algorithm)}")
    message = _open(record.raw)
    key.check(message.signature, cose.to_be_signed(message))


def claimed_kid(raw: bytes) -> bytes:
    """Return which key a record says it is signed with; raises FormatError where its envelope is not canonical."""
    return _parse_protected(_open(raw).protected)[1]


def check_contents(record: Record) -> None:
    """Unfold what `parse` leaves folded; raises FormatError where columns are not those of their window or summary."""
    match record.body:
        case Telemetry() as body:
            body.check()
        case Summary() as body:
            body.table()


def _open(raw: bytes) -> cose.Sign1:
    """Take the envelope off; raises FormatError unless it is in its one canonical form."""
    found = cose.split(raw)
    if found is not None and found[1] == len(raw):
        return found[0]
    cbor.decode(raw, "record")
    message = cose.parse(raw)
    if message.unprotected:
        raise FormatError("a record's unprotected header must be empty")
    return message


@lru_cache(HEADERS_KEPT)
def _parse_protected(protected: bytes) -> tuple[int, bytes, str, str]:
    parts = cbor.as_map(
        cbor.decode(protected, "protected header"),
        "protected header",
        (cose.HEADER_ALG, cose.HEADER_KID, cose.HEADER_CWT_CLAIMS),
    )
    return (
        cbor.as_code(parts[cose.HEADER_ALG], "signature algorithm", set(cose.Algorithm)),
        cbor.as_bytes(parts[cose.HEADER_KID], "kid", HASH_BYTES),
        *cose.read_claims(parts[cose.HEADER_CWT_CLAIMS]),
    )


def _parse_header(parts: Any) -> Header:
    sequence = cbor.as_uint(parts[3], "sequence")
    previous = cbor.as_bytes(parts[4], "previous hash", HASH_BYTES)
    if sequence == 0 and previous != GENESIS:
        raise FormatError("the first record of a log must name zeros as the hash before it")
    return Header(
        log_id=cbor.as_bytes(parts[2], "log id", LOG_ID_BYTES),
        sequence=sequence,
        previous=previous,
        boot_id=cbor.as_bytes(parts[5], "boot id", BOOT_ID_BYTES),
        mono_ms=cbor.as_uint(parts[6], "monotonic time"),
        wall_ms=cbor.as_uint(parts[7], "wall time"),
        quality=ClockQuality(cbor.as_code(parts[8], "clock quality", _QUALITIES)),
    )

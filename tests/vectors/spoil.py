"""Bytes that every implementation must refuse, each wrong in one way and, where it can be, signed by the right key."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.vectors import zstd_frame
from tests.vectors.inputs import VectorSigner
from tests.vectors.make import ISSUER, KEYS, LOG_ID, SUBJECT, WALL_MS
from tests.vectors.spoiled_bodies import COLUMNS, EVENTS, GAPS, SNAPSHOTS, SUMMARIES, SUMMARY, TABLES
from tests.vectors.spoiled_cbor import Pairs, Raw, loose

from packseal.core import cose
from packseal.core.bodies import Kind

ED25519 = VectorSigner(KEYS["ed25519"])
P256 = VectorSigner(KEYS["p256"])
LOG = bytes.fromhex(LOG_ID)
FORMAT, VERIFY = "FormatError", "VerifyError"


@dataclass(frozen=True)
class Spoiled:
    """One negative vector. `stage` is where it must fail at the latest: parse, signature, columns or chain."""

    name: str
    stage: str
    error: str
    records: tuple[bytes, ...]
    key: str = "ed25519"

    def json(self) -> dict[str, Any]:
        records = [r.hex() for r in self.records]
        return {"name": self.name, "key": self.key, "stage": self.stage, "error": self.error, "records": records}


def payload(kind: int = Kind.EVENT, body: object = None, **changes: object) -> dict[object, object]:
    """A sound payload, with parts exchanged by the names `k0` to `k9`."""
    parts: dict[object, object] = {
        0: 1,
        1: int(kind),
        2: LOG,
        3: 7,
        4: bytes(range(32)),
        5: bytes(8),
        6: 61_000,
        7: WALL_MS,
        8: 2,
        9: {1: 20} if body is None else body,
    }
    return {**parts, **{int(name[1:]): value for name, value in changes.items()}}


def protected(signer: VectorSigner = ED25519) -> dict[object, object]:
    return {1: int(signer.algorithm), 4: signer.kid, 15: {1: ISSUER, 2: SUBJECT}}


def sealed(
    content: object, header: object = None, *, signer: VectorSigner = ED25519, start: bytes = b"\xd2\x84"
) -> bytes:
    """A record as it should be, but of any header and payload, signed over exactly these bytes."""
    shield, inner = loose(protected(signer) if header is None else header), loose(content)
    signature = signer.sign(b"\x84\x6aSignature1" + loose(shield) + b"\x40" + loose(inner))
    signature = cose.low_s(signature) if signer is P256 else signature
    return start + loose(shield) + b"\xa0" + loose(inner) + loose(signature)


def _parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """The protected header, payload and signature of `sealed`, each with its length, as bytes."""
    cut = raw.index(b"\xa0\x58", 40)
    return raw[2:cut], raw[cut + 1 : -66], raw[-66:]


def envelopes() -> Iterator[tuple[str, bytes]]:
    """Wrong COSE_Sign1 structures around a sound payload."""
    good = sealed(payload())
    shield, inner, signature = _parts(good)
    yield "a byte after the record", good + b"\x00"
    yield "cut short by a byte", good[:-1]
    yield "nothing at all", b""
    yield "tag 18 in two bytes", b"\xd8\x12" + good[1:]
    yield "tag 17 (COSE_Mac0)", b"\xd1" + good[1:]
    yield "no tag", good[1:]
    yield "tag 18 twice", b"\xd2" + good
    yield "an array of five", b"\xd2\x85" + good[2:] + b"\x00"
    yield "an array of three", b"\xd2\x83" + shield + b"\xa0" + inner
    yield "an array of indefinite length", b"\xd2\x9f" + good[2:] + b"\xff"
    yield "an unprotected header that is not empty", b"\xd2\x84" + shield + b"\xa1\x18\x63\x01" + inner + signature
    yield "an unprotected header of indefinite length", b"\xd2\x84" + shield + b"\xbf\xff" + inner + signature
    yield "an unprotected header that is an array", b"\xd2\x84" + shield + b"\x80" + inner + signature
    yield (
        "a protected header with a length of two bytes",
        b"\xd2\x84\x59\x00" + shield[1:] + b"\xa0" + inner + signature,
    )
    yield "a payload of chunks", b"\xd2\x84" + shield + b"\xa0\x5f" + inner + b"\xff" + signature
    yield "no payload (detached)", b"\xd2\x84" + shield + b"\xa0\xf6" + signature
    yield "a signature of 63 bytes", b"\xd2\x84" + shield + b"\xa0" + inner + loose(bytes(63))
    yield "a signature of 65 bytes", b"\xd2\x84" + shield + b"\xa0" + inner + loose(bytes(65))
    yield "a protected header that is a map and not its bytes", b"\xd2\x84" + shield[2:] + b"\xa0" + inner + signature


def _larger_s() -> bytes:
    """A record that verifies, changed by someone without the key into another one that does."""
    good = sealed(payload(), signer=P256)
    return good[:-32] + (cose.P256_ORDER - int.from_bytes(good[-32:], "big")).to_bytes(32, "big")


def headers() -> Iterator[tuple[str, object]]:
    """Wrong protected headers, signed."""
    good = protected()
    claims = {1: ISSUER, 2: SUBJECT}
    yield "an empty protected header", Raw(b"")
    yield "protected keys out of order", {4: good[4], 1: good[1], 15: claims}
    yield "an unknown protected key", {**good, 16: "application/cbor"}
    yield "no kid", {1: good[1], 15: claims}
    yield "no CWT claims", {1: good[1], 4: good[4]}
    yield "a kid of 31 bytes", {**good, 4: bytes(31)}
    yield "an algorithm that is none of ours (RS256)", {**good, 1: -257}
    yield "an algorithm as a float", {**good, 1: -8.0}
    yield "an algorithm as text", {**good, 1: "EdDSA"}
    yield "an algorithm as an array", {**good, 1: [-8]}
    yield "an algorithm in two bytes", {**good, 1: Raw(b"\x38\x07")}
    yield "a protected key in two bytes", Pairs(((Raw(b"\x18\x01"), -8), (4, good[4]), (15, claims)))
    yield "a protected key twice", Pairs(((1, -8), (1, -8), (4, good[4]), (15, claims)))
    yield "no issuer", {**good, 15: {2: SUBJECT}}
    yield "a claim too many", {**good, 15: {1: ISSUER, 2: SUBJECT, 6: 1_800_000_000}}
    yield "an issuer as bytes", {**good, 15: {1: ISSUER.encode(), 2: SUBJECT}}
    yield "a subject that is not UTF-8", {**good, 15: {1: ISSUER, 2: Raw(b"\x62\xc3\x28")}}
    yield "an issuer of 256 bytes", {**good, 15: {1: "urn:" + "a" * 252, 2: SUBJECT}}
    yield "a subject of 256 bytes in 130 characters", {**good, 15: {1: ISSUER, 2: "urn:" + "ä" * 126}}


def payloads() -> Iterator[tuple[str, object]]:
    """Wrong payloads, signed."""
    good = payload()
    yield "version 2", payload(k0=2)
    yield "version 1 as a float", payload(k0=1.0)
    yield "version 1 as true", payload(k0=True)
    yield "kind 0", payload(k1=0)
    yield "kind 6 (a receipt's)", payload(k1=6)
    yield "kind as an array", payload(k1=[3])
    yield "an unknown key", {**good, 10: 0}
    yield "a text key", {**good, "x": 0}
    yield "a missing key", {k: v for k, v in good.items() if k != 8}
    yield "keys out of order", dict(reversed(good.items()))
    yield "a key twice", Pairs((*good.items(), (9, {1: 20})))
    yield "a key in two bytes", Pairs(((Raw(b"\x18\x00"), 1), *list(good.items())[1:]))
    yield "a key as a float", Pairs((*list(good.items())[1:], (Raw(b"\xf9\x00\x00"), 1)))
    yield "a map of indefinite length", Raw(b"\xbf" + loose(good)[1:] + b"\xff")
    yield "a byte after the payload", Raw(loose(good) + b"\x00")
    yield "an array instead of a map", list(good.values())
    yield "a log id of 15 bytes", payload(k2=bytes(15))
    yield "a log id as text", payload(k2="0123456789abcdef")
    yield "a sequence of one in two bytes", payload(k3=Raw(b"\x18\x01"))
    yield "a sequence of 255 in three bytes", payload(k3=Raw(b"\x19\x00\xff"))
    yield "a sequence as a float", payload(k3=7.0)
    yield "a sequence below zero", payload(k3=-1)
    yield "a sequence of 2^64 (bignum)", payload(k3=Raw(b"\xc2\x49\x01" + bytes(8)))
    yield "a sequence of 7 as a bignum", payload(k3=Raw(b"\xc2\x41\x07"))
    yield "a previous hash of 31 bytes", payload(k4=bytes(31))
    yield "a first record that names a predecessor", payload(k3=0, k4=bytes(31) + b"\x01")
    yield "a boot id of 9 bytes", payload(k5=bytes(9))
    yield "a monotonic time below zero", payload(k6=-1)
    yield "a wall time as null", payload(k7=None)
    yield "a wall time in a tag (epoch time)", payload(k7=Raw(b"\xc1" + loose(WALL_MS)))
    yield "a clock quality of 4", payload(k8=4)
    yield "a clock quality as undefined", payload(k8=Raw(b"\xf7"))
    yield "a body that is not a map", payload(body=Raw(b"\x80"))
    yield "a body of another kind", payload(Kind.GAP, {1: 20})
    yield "eight nested arrays in the body", payload(body={1: Raw(b"\x81" * 9 + b"\x00")})


def bodies() -> Iterator[tuple[str, object]]:
    """Wrong bodies of every kind, signed."""
    tables = {Kind.EVENT: EVENTS, Kind.GAP: GAPS, Kind.SNAPSHOT: SNAPSHOTS, Kind.SUMMARY: SUMMARIES}
    for kind, table in tables.items():
        for name, body in table:
            yield f"{kind.name.lower()}: {name}", payload(kind, body)
    yield "telemetry: no columns", payload(Kind.TELEMETRY, {1: 0, 2: 0, 3: 1, 4: 0})
    yield "telemetry: a count below zero", payload(Kind.TELEMETRY, {1: 0, 2: 0, 3: -1, 4: 0, 5: b""})
    yield "telemetry: 100001 samples", payload(Kind.TELEMETRY, {1: 0, 2: 0, 3: 100_001, 4: 0, 5: b""})
    yield "telemetry: columns as text", payload(Kind.TELEMETRY, {1: 0, 2: 0, 3: 1, 4: 0, 5: ""})
    yield "lifecycle: an unknown code", payload(Kind.LIFECYCLE, {1: 200})


def telemetry() -> Iterator[tuple[str, bytes]]:
    """Records that are sound, but whose columns do not unfold to what they say."""

    def window(blob: bytes, count: int = 2, span: int = 1000) -> bytes:
        return sealed(payload(Kind.TELEMETRY, {1: 5000, 2: WALL_MS, 3: count, 4: span, 5: blob}))

    for name, content in COLUMNS:
        yield name, window(zstd_frame.raw(loose(content)))
    for name, content in TABLES:
        yield name, sealed(payload(Kind.SUMMARY, {**SUMMARY, 11: zstd_frame.raw(loose(content))}))
    good = zstd_frame.raw(loose({1: [5000, 1000], 2: [[1, 0, 1, [5, 2]]]}))
    yield "another count than rows", window(good, count=3)
    yield "another span than the rows'", window(good, span=999)
    yield "bytes after the frame", window(good + b"\x00")
    yield "a second frame", window(good + good)
    yield "no zstd frame", window(b"\x00" * 20)
    yield "an empty column blob", window(b"")
    yield "a frame cut short", window(good[:-1])
    yield "a bomb that says its size", window(zstd_frame.bomb(129, size_told=True))
    yield "a bomb that hides its size", window(zstd_frame.bomb(129, size_told=False))


def signatures() -> Iterator[Spoiled]:
    """Records that are in form but not what was signed."""
    for key, signer in (("ed25519", ED25519), ("p256", P256)):
        other = P256 if signer is ED25519 else ED25519
        good = sealed(payload(), signer=signer)

        def flipped(at: int, raw: bytes = good) -> tuple[bytes]:
            return (raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :],)

        spots = {
            "the last bit of the signature flipped": len(good) - 1,
            "a bit of the signature's first half flipped": len(good) - 64,
            "a bit of the monotonic time flipped": good.index(b"\x06\x19\xee\x48") + 3,
            "a bit of the subject flipped": good.index(SUBJECT.encode()) + len(SUBJECT) - 1,
            "a bit of the kid flipped": good.index(signer.kid),
        }
        for name, place in spots.items():
            yield Spoiled(name, "signature", VERIFY, flipped(place), key)
        yield Spoiled("a signature of zeros", "signature", VERIFY, (good[:-64] + bytes(64),), key)
        yield Spoiled("signed by another key", "signature", VERIFY, (sealed(payload(), signer=other),), key)
        crossed = sealed(payload(), {**protected(signer), 1: int(other.algorithm)}, signer=signer)
        yield Spoiled("the other algorithm named", "signature", VERIFY, (crossed,), key)


def all_single() -> list[Spoiled]:
    """Every negative vector of a single record."""
    spoiled = [Spoiled(name, "parse", FORMAT, (raw,)) for name, raw in envelopes()]
    spoiled.append(Spoiled("a signature with the larger s", "parse", FORMAT, (_larger_s(),), "p256"))
    spoiled += [Spoiled(name, "parse", FORMAT, (sealed(payload(), header),)) for name, header in headers()]
    spoiled += [Spoiled(name, "parse", FORMAT, (sealed(content),)) for name, content in (*payloads(), *bodies())]
    spoiled += [Spoiled(name, "columns", FORMAT, (raw,)) for name, raw in telemetry()]
    return [*spoiled, *signatures()]


def all_chains(logs: dict[str, list[bytes]], stranger: bytes, neighbour: bytes) -> list[Spoiled]:
    """Every negative vector of a log: each record alone is sound.

    Args:
        logs: one log's records by key.
        stranger: record 2 of another log id that names record 1 of these.
        neighbour: record 2 of the same log id, of another battery.
    """
    spoiled = []
    for key, log in logs.items():
        changes = {
            "a record is missing": (log[0], log[1], log[3]),
            "two records changed places": (log[0], log[2], log[1]),
            "a record twice": (log[0], log[1], log[1]),
            "the first record is missing, though a log from its start is asked for": tuple(log[1:3]),
            "a record is missing that no gap of the log names": (*log[:3], *log[4:13]),
            "a gap names all missing records but one": (log[0], *log[4:5], log[13]),
        }
        spoiled += [Spoiled(name, "chain", VERIFY, records, key) for name, records in changes.items()]
    first, second = logs["ed25519"][:2]
    fork = sealed(payload(k3=1, k4=bytes(31) + b"\x02"))
    spoiled.append(Spoiled("a record that names another predecessor", "chain", VERIFY, (first, fork)))
    spoiled.append(Spoiled("a record of another log", "chain", VERIFY, (first, second, stranger)))
    spoiled.append(Spoiled("a record of another battery", "chain", VERIFY, (first, second, neighbour)))
    return spoiled

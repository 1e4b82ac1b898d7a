"""The vectors that every implementation must reproduce: inputs as they stand here, outputs as this program makes."""

from typing import Any

from tests.vectors import zstd_frame
from tests.vectors.inputs import Json, VectorSigner, body, header, samples, table

from packseal.core import cbor, columns, cose, record, summary
from packseal.core.bodies import Kind

KEYS: dict[str, Json] = {
    "ed25519": {
        "warning": "TEST KEY, published here: never trust it",
        "algorithm": "EdDSA",
        "private": bytes(range(32)).hex(),
    },
    "p256": {
        "warning": "TEST KEY, published here: never trust it",
        "algorithm": "ES256",
        "private": bytes(range(32, 64)).hex(),
    },
}
ISSUER, SUBJECT = "urn:packseal:gateway:vectors", "urn:packseal:battery:vectors"
LOG_ID, BOOT_ID, SECOND_BOOT_ID = "000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7", "b0b1b2b3b4b5b6b7"
WALL_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z

WINDOWS: dict[str, list[Json]] = {
    "a short window with both signs, an absent value and a flaw": [
        {"mono_ms": 61_000, "values": [[1, 0, 391_200], [2, 0, -30_250], [5, 0, -150], [5, 1, 0]]},
        {"mono_ms": 61_100, "values": [[1, 0, 391_100], [2, 0, -30_500]], "flaws": [[5, 0, 2], [5, 1, 1]]},
        {"mono_ms": 61_200, "values": [[1, 0, 391_300], [2, 0, 12_750], [5, 0, -149], [5, 1, 0]]},
    ],
    "a single sample without a value": [{"mono_ms": 0, "values": []}],
    "deltas of one, two, four and eight bytes": [
        {"mono_ms": 5, "values": [[12, 0, 7]]},
        {"mono_ms": 6, "values": [[12, 0, 700]]},
        {"mono_ms": 70_000, "values": [[12, 0, 7_000_000]]},
        {"mono_ms": 70_000, "values": [[12, 0, -999_999_999_999]]},
    ],
}

ROWS: dict[str, list[Json]] = {
    "rows of 10 s with both signs, a channel that pauses, and flaws": [
        {
            "number": WALL_MS // 10_000,
            "samples": 10,
            "cells": [[1, 0, 391_000, 391_223, 391_400, 10], [2, 0, -30_500, -30_211, 12_750, 9]],
            "flaws": [[2, 0, 1, 1], [5, 0, 2, 7]],
        },
        {"number": WALL_MS // 10_000 + 1, "samples": 4, "cells": [[1, 0, 390_800, 390_800, 390_800, 4]]},
        {
            "number": WALL_MS // 10_000 + 90,
            "samples": 10,
            "cells": [[1, 0, 388_200, 388_600, 389_000, 10], [2, 0, 0, 0, 0, 1]],
        },
    ],
    "a row of one sample that said nothing": [{"number": 0, "samples": 1, "cells": []}],
    "extremes of 15 digits": [
        {"number": (1 << 32) + 7, "samples": 300, "cells": [[12, 0, -999_999_999_999_999, 0, 999_999_999_999_999, 300]]}
    ],
}

READINGS: list[Json] = [
    {"field": 1, "value": 8_150, "originator": 1, "method": 1, "last_update_ms": WALL_MS - 700},
    {
        "field": 3,
        "value": 12_345_678,
        "originator": 2,
        "method": 2,
        "last_update_ms": WALL_MS,
        "uncertainty": 61_728,
        "coverage_permille": 987,
    },
    {"field": 6, "value": 0, "originator": 2, "method": 4, "last_update_ms": WALL_MS + 40, "coverage_permille": 1000},
    {"field": 10, "missing": 3},
    {"field": 12, "value": 57_300, "originator": 1, "method": 1, "last_update_ms": WALL_MS - 90_000_000},
]
PRESENT = [[1, 0, 391_200], [2, 0, -30_250], [5, 1, -1_250]]


def _telemetry(window: list[Json]) -> Json:
    packed = zstd_frame.raw(unpacked(window))
    first, last = window[0]["mono_ms"], window[-1]["mono_ms"]
    return {
        "first_mono_ms": first,
        "first_wall_ms": WALL_MS - 200,
        "count": len(window),
        "span_ms": last - first,
        "columns": packed.hex(),
    }


def _summary(rows: list[Json]) -> Json:
    return {
        "period_ms": 10_000,
        "first": 1,
        "last": 1,
        "boot_id": BOOT_ID,
        "clock_quality": 2,
        "first_mono_ms": 61_000,
        "first_wall_ms": WALL_MS + 300,
        "span_ms": 903_200,
        "samples": sum(row["samples"] for row in rows),
        "count": len(rows),
        "columns": zstd_frame.raw(unpacked_rows(rows)).hex(),
    }


def unpacked_rows(rows: list[Json]) -> bytes:
    """The columns of a summary before compression."""
    return columns.decompress(summary.pack(table(rows)))


def unpacked(window: list[Json]) -> bytes:
    """The columns of a window before compression."""
    return columns.decompress(columns.pack(samples(window)))


BODIES: list[tuple[str, Kind, Json]] = [
    ("the first record of a log", Kind.LIFECYCLE, {"code": 1, "attributes": {"agent": "vectors", "run": 0}}),
    ("a window of telemetry", Kind.TELEMETRY, _telemetry(next(iter(WINDOWS.values())))),
    (
        "a snapshot with cells",
        Kind.SNAPSHOT,
        {
            "readings": READINGS,
            "present": PRESENT,
            "cells_mv": [3700, 3702, 3699, 3827, 3701],
            "began_ms": WALL_MS - 31_536_000_000,
        },
    ),
    (
        "a snapshot with a dead cell, one that is not known, and one too far from the others in either direction",
        Kind.SNAPSHOT,
        {"readings": READINGS[:1], "cells_mv": [3610, 0, None, 3611, 3739, 3482, 3738, 3484, None]},
    ),
    (
        "a snapshot whose counters began, by a clock that was stepped back since, after it",
        Kind.SNAPSHOT,
        {"readings": [], "cells_mv": [-20, 3600], "began_ms": WALL_MS + 86_400_000},
    ),
    ("the smallest snapshot", Kind.SNAPSHOT, {"readings": []}),
    (
        "an event with attributes of every type, both signs and non-ASCII text",
        Kind.EVENT,
        {"code": 1, "attributes": {"bus": "can0", "current_ma": -30_250, "frame": {"hex": "00ff"}, "z": "Größe"}},
    ),
    ("an event without attributes", Kind.EVENT, {"code": 20}),
    (
        "a gap after a power cut",
        Kind.GAP,
        {"cause": 3, "from_wall_ms": WALL_MS, "to_wall_ms": WALL_MS + 86_400_000, "attributes": {"lost_windows": 1}},
    ),
    (
        "a gap whose end a clock without a battery places before its start",
        Kind.GAP,
        {
            "cause": 3,
            "from_wall_ms": WALL_MS,
            "to_wall_ms": 0,
        },
    ),
    (
        "a clock step of a year back",
        Kind.LIFECYCLE,
        {"code": 4, "attributes": {"quality_after": 2, "quality_before": 0, "step_ms": -31_536_000_000}},
    ),
    ("a summary of 10 s", Kind.SUMMARY, _summary(next(iter(ROWS.values())))),
    (
        "a gap that names thinned records",
        Kind.GAP,
        {
            "cause": 6,
            "from_wall_ms": WALL_MS,
            "to_wall_ms": WALL_MS + 60_000,
            "attributes": {"first": 1, "last": 1, "records": 1},
        },
    ),
    (
        "a gap that names dropped records, of which some are left",
        Kind.GAP,
        {
            "cause": 7,
            "from_wall_ms": WALL_MS,
            "to_wall_ms": WALL_MS + 60_000,
            "attributes": {"first": 2, "last": 12, "records": 3},
        },
    ),
]
EXTREMES: Json = {
    "sequence": (1 << 64) - 1,
    "previous": "ff" * 32,
    "mono_ms": (1 << 64) - 1,
    "wall_ms": (1 << 32),
    "clock_quality": 3,
}


def keys() -> dict[str, Json]:
    """The test keys with all that follows from their private parts."""
    signers = {name: VectorSigner(key) for name, key in KEYS.items()}
    return {
        name: {**key, "public_pem": signers[name].pem, "kid": signers[name].kid.hex()} for name, key in KEYS.items()
    }


def written(key: str, kind: Kind, of: Json, at: Json, name: str, subject: str = SUBJECT) -> dict[str, Any]:
    """One vector: its inputs, and its payload, record and hash."""
    payload = record.encode_payload(header(at), body(kind, of))
    raw = cose.Envelope(VectorSigner(KEYS[key]), ISSUER, subject).seal(payload)
    return {
        "name": name,
        "key": key,
        "issuer": ISSUER,
        "subject": subject,
        "header": at,
        "kind": int(kind),
        "body": of,
        "payload": payload.hex(),
        "record": raw.hex(),
        "hash": record.record_hash(raw).hex(),
    }


def log(key: str) -> list[dict[str, Any]]:
    """One log of all bodies, chained, over two boots."""
    vectors: list[dict[str, Any]] = []
    previous = bytes(32).hex()
    for sequence, (name, kind, of) in enumerate(BODIES):
        at = {
            "log_id": LOG_ID,
            "sequence": sequence,
            "previous": previous,
            "boot_id": BOOT_ID if sequence < 7 else SECOND_BOOT_ID,
            "mono_ms": 61_200 + sequence,
            "wall_ms": WALL_MS,
            "clock_quality": sequence % 4,
        }
        vectors.append(written(key, kind, of, at, name))
        previous = vectors[-1]["hash"]
    return vectors


def extreme(key: str) -> dict[str, Any]:
    """A record of the largest numbers that the header can hold."""
    at = {"log_id": LOG_ID, "boot_id": BOOT_ID, **EXTREMES}
    return written(key, Kind.EVENT, {"code": 31}, at, "the largest numbers of the header")


def windows() -> list[dict[str, Any]]:
    """Windows of samples and their columns before compression."""
    return [{"name": name, "samples": w, "columns_cbor": unpacked(w).hex()} for name, w in WINDOWS.items()]


def tables() -> list[dict[str, Any]]:
    """Rows of summaries and their columns before compression."""
    return [{"name": name, "rows": rows, "columns_cbor": unpacked_rows(rows).hex()} for name, rows in ROWS.items()]


def numbers() -> list[dict[str, Any]]:
    """Integers, texts and byte strings and their one encoding."""
    edges = [0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1]
    values = [*edges, *(-1 - e for e in edges[:-1]), -(1 << 63)]
    return [{"value": v, "cbor": cbor.encode(v).hex()} for v in values]

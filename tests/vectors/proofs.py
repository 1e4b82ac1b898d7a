"""Proofs of delivery: sound ones, and those that must be refused, over the log of the sound records."""

import re
from pathlib import Path
from typing import Any

from tests.vectors.inputs import VectorSigner
from tests.vectors.make import KEYS, LOG_ID, SUBJECT, WALL_MS

from packseal.core import cose, exchange

PAGE = Path(__file__).parents[2] / "docs/formats/proof.md"
SINK, RECEIVED_MS = "urn:packseal:sink:vectors", WALL_MS + 60_000
SINK_KEY_OF = {"ed25519": "p256", "p256": "ed25519"}
BYTES_PER_LINE = 32


def vectors(logs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Every vector, sound and unsound."""
    return [vector for key, log in logs.items() for vector in _of(key, log)]


def _of(key: str, log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    raws = [bytes.fromhex(v["record"]) for v in log]
    sink = SINK_KEY_OF[key]
    hashes = [bytes.fromhex(v["hash"]) for v in log]
    good = _receipt(sink, 9, hashes[9])
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    changed = raws[8][:-1] + bytes([raws[8][-1] ^ 1])
    cases = [
        ("one record, which the receipt names", raws[9:10], good, ""),
        ("a record and the chain to the one that the receipt names", raws[7:10], good, ""),
        ("a log from its beginning", raws[:10], good, ""),
        ("the receipt is changed", raws[7:10], flipped, "VerifyError"),
        ("the receipt is signed by the gateway itself", raws[7:10], _receipt(key, 9, hashes[9]), "VerifyError"),
        ("the receipt names another hash", raws[7:10], _receipt(sink, 9, hashes[8]), "VerifyError"),
        ("the receipt is for an earlier record", raws[7:10], _receipt(sink, 8, hashes[8]), "VerifyError"),
        ("the receipt is for a later record", raws[7:10], _receipt(sink, 10, hashes[10]), "VerifyError"),
        ("the receipt is about another log", raws[7:10], _receipt(sink, 9, hashes[9], log_id=bytes(16)), "VerifyError"),
        ("the receipt is about another battery", raws[7:10], _receipt(sink, 9, hashes[9], "urn:x"), "VerifyError"),
        ("a record between is missing", [raws[7], raws[9]], good, "VerifyError"),
        ("a record between is changed", [raws[7], changed, raws[9]], good, "VerifyError"),
        ("no record at all", [], good, "VerifyError"),
    ]
    return [
        {"name": name, "key": key, "sink_key": sink, "error": error, "proof": b"".join([*records, receipt]).hex()}
        for name, records, receipt, error in cases
    ]


def _receipt(
    key: str, sequence: int, digest: bytes, subject: str = SUBJECT, log_id: bytes = bytes.fromhex(LOG_ID)
) -> bytes:
    envelope = cose.Envelope(VectorSigner(KEYS[key]), SINK, subject)
    return exchange.write_receipt(envelope, (log_id, sequence, digest), RECEIVED_MS)


def filled(page: str, made: list[dict[str, Any]]) -> str:
    """The page with the example's bytes."""
    example = bytes.fromhex(made[0]["proof"])
    cut = len(example) - len(_receipt(made[0]["sink_key"], 9, bytes(32)))
    lines = [
        *_dump(example[:cut], "record 9: a gap after a clock without a battery"),
        *_dump(example[cut:], "the receipt for it"),
    ]
    block = "\n".join(["```text", *lines, "```"])
    return re.sub(
        r"(<!-- made: example -->)\n.*?\n?(<!-- end -->)", lambda m: f"{m[1]}\n{block}\n{m[2]}", page, flags=re.DOTALL
    )


def _dump(data: bytes, what: str) -> list[str]:
    rows = [data[i : i + BYTES_PER_LINE].hex() for i in range(0, len(data), BYTES_PER_LINE)]
    return [f"{rows[0]}  # {what}", *rows[1:]]

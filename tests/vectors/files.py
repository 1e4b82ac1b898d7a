"""The vector files: what stands in each, as text."""

import json
from pathlib import Path
from typing import Any

from tests.vectors import make, page, proofs, spoil

from packseal.core.bodies import Kind

FOLDER = Path(__file__).parent
ABOUT = {
    "keys.json": "Key pairs of the vectors. Published, hence worthless: never trust them.",
    "records.json": (
        "Sound records: one log per key, each record naming the one before it, and the largest numbers. `header` and "
        "`body` are inputs, `payload`, `record` and `hash` what must come out. ECDSA signatures are those of RFC 6979 "
        "in the form with the smaller s; a signer with random nonces gives other ones that verify as well."
    ),
    "columns.json": (
        "Windows of samples ([quantity, index, scaled integer] and [quantity, index, flaw]) and their telemetry "
        "columns before compression."
    ),
    "summaries.json": (
        "Rows of summaries (cells are [quantity, index, smallest, mean, largest, count], flaws [quantity, index, flaw, "
        "count]) and their columns before compression."
    ),
    "integers.json": "Integers and their one encoding.",
    "refused.json": (
        "What must be refused. `stage` says where at the latest: `parse` without a key, `signature` with the key "
        "named, `columns` when telemetry or a summary is unfolded, `chain` when `records` are read as a log from its "
        "start. Errors: FormatError (not in the one canonical form), VerifyError (signature, hash or order does not "
        "hold)."
    ),
    "proofs.json": (
        "Proofs of delivery: records signed by `key`, then the receipt of the sink with `sink_key`, and the error that "
        "must come up; none for a sound one. The first record is the one that is proven."
    ),
}


def contents() -> dict[Path, str]:
    """Every file's text by its path; the pages on the formats as the last."""
    logs = {key: make.log(key) for key in make.KEYS}
    sound = [vector for key, log in logs.items() for vector in (*log, make.extreme(key))]
    raws = {key: [bytes.fromhex(v["record"]) for v in log] for key, log in logs.items()}
    spoiled = [*spoil.all_single(), *spoil.all_chains(raws, *_strangers(logs["ed25519"]))]
    data: dict[str, Any] = {
        "keys.json": {"keys": make.keys()},
        "records.json": {"vectors": sound},
        "columns.json": {"vectors": make.windows()},
        "summaries.json": {"vectors": make.tables()},
        "integers.json": {"vectors": make.numbers()},
        "refused.json": {"vectors": [s.json() for s in spoiled]},
        "proofs.json": {"vectors": proofs.vectors(logs)},
    }
    texts = {
        FOLDER / name: json.dumps({"about": ABOUT[name], **content}, indent=1, ensure_ascii=False) + "\n"
        for name, content in data.items()
    }
    example = next(bytes.fromhex(v["record"]) for v in logs["ed25519"] if v["name"] == page.EXAMPLE)
    pages = {
        page.PAGE: page.filled(page.PAGE.read_text(), example),
        proofs.PAGE: proofs.filled(proofs.PAGE.read_text(), data["proofs.json"]["vectors"]),
    }
    return {**texts, **pages}


def _strangers(log: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    at = log[2]["header"]
    event = {"code": 20}
    stranger = make.written("ed25519", Kind.EVENT, event, {**at, "log_id": "ff" * 16}, "")
    neighbour = make.written("ed25519", Kind.EVENT, event, at, "", subject="urn:packseal:battery:neighbour")
    return bytes.fromhex(stranger["record"]), bytes.fromhex(neighbour["record"])

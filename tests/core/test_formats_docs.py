"""The page on the record format says what the code does: tables, bytes, grammar, and the example program."""

import importlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.vectors.page import CDDL, EXAMPLE, PAGE, bytes_of, filled

from packseal.core import cose, record
from packseal.core.sample import EventCode

VECTORS = Path(__file__).parents[1] / "vectors"

NOT_GRAMMAR = (
    "in two bytes|in three bytes|of two bytes|indefinite length|of chunks|out of order|before a shorter one|twice"
    "|unknown code|unknown field|unknown quantity|names a predecessor|null at its end|cells that are none"
    "|none is known|another middle|the upper median|not far enough|has an offset too|beyond the last cell|the larger s"
    "|a last record before the first|more records than numbers"
)
"""Refused by rules that CDDL does not express: the deterministic form, orders, tables of codes, sums."""


def load(name: str) -> list[dict[str, Any]]:
    return list(json.loads((VECTORS / name).read_text())["vectors"])


def example() -> dict[str, Any]:
    return next(v for v in load("records.json") if v["name"] == EXAMPLE and v["key"] == "ed25519")


def test_the_made_parts_of_the_page_are_what_the_code_says() -> None:
    page = PAGE.read_text()
    assert filled(page, bytes.fromhex(example()["record"])) == page, "run scripts/write-vectors"
    for name in ("kinds", "quantities", "fields", "event codes", "flaws", "example", "cddl"):
        assert f"<!-- made: {name} -->" in page


def test_every_code_of_the_page_has_its_meaning() -> None:
    rows = re.findall(r"^\| \d+ \| `\w+` \| (.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert len(rows) > len(EventCode)
    assert all(rows)


def test_the_bytes_on_the_page_are_a_record_that_verifies() -> None:
    raw = bytes_of(PAGE.read_text())
    assert raw.hex() == example()["record"]
    keys = json.loads((VECTORS / "keys.json").read_text())["keys"]
    entry = record.verify(raw, cose.public_key_from_pem(keys["ed25519"]["public_pem"].encode()))
    assert entry.body.code is EventCode.DEEP_DISCHARGE  # type: ignore[union-attr]  # fails if it is no event


def accepts(rule: str, data: bytes) -> bool:
    try:
        library = importlib.import_module("cddl_verifier")
    except ImportError:
        pytest.skip("cddl-verifier is not installed: pip install cddl-verifier, or make test, which installs it")
    return bool(library.validate(CDDL.read_text(), data, root_type=rule).valid)


def test_the_grammar_takes_every_sound_vector() -> None:
    for vector in load("records.json"):
        assert accepts("record", bytes.fromhex(vector["record"])), vector["name"]
        assert accepts("payload", bytes.fromhex(vector["payload"])), vector["name"]
    for rule, file in (("columns", "columns.json"), ("summary-columns", "summaries.json")):
        for vector in load(file):
            assert accepts(rule, bytes.fromhex(vector["columns_cbor"])), vector["name"]


def test_the_grammar_refuses_what_a_grammar_can() -> None:
    wrong = [v for v in load("refused.json") if v["stage"] == "parse" and not re.search(NOT_GRAMMAR, v["name"])]
    assert len(wrong) > 90
    taken = [v["name"] for v in wrong if accepts("record", bytes.fromhex(v["records"][0]))]
    assert taken == []


def test_the_example_program_runs_with_an_independent_library(tmp_path: Path) -> None:
    python = os.environ.get("PACKSEAL_COSE_PEER_PYTHON")
    if python is None:
        pytest.skip("PACKSEAL_COSE_PEER_PYTHON is not set: `make test` makes that environment and sets it")
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert found is not None
    keys = json.loads((VECTORS / "keys.json").read_text())["keys"]
    for vector in load("records.json"):
        (tmp_path / "event.record").write_bytes(bytes.fromhex(vector["record"]))
        (tmp_path / "gateway.pub").write_text(keys[vector["key"]]["public_pem"])
        if vector["name"] not in (EXAMPLE, "the largest numbers of the header"):
            continue
        command = [python, "-c", found[1]]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        expected = f"record {vector['header']['sequence']} of log {vector['header']['log_id']}: kind 3\n"
        assert result.stdout == expected, result.stderr
    broken = bytearray(bytes.fromhex(example()["record"]))
    broken[-1] ^= 1
    (tmp_path / "event.record").write_bytes(broken)
    (tmp_path / "gateway.pub").write_text(keys["ed25519"]["public_pem"])
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode != 0

"""The published vectors: this program makes the sound ones byte for byte and refuses every other one."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.vectors.inputs import VectorSigner, body, header, samples, table

from packseal.core import cbor, chain, columns, cose, record, summary
from packseal.core.bodies import Kind, Telemetry
from packseal.core.chain import Head
from packseal.core.errors import FormatError, PacksealError, VerifyError

VECTORS = Path(__file__).parents[1] / "vectors"
WRITE = Path(__file__).parents[2] / "scripts/write-vectors"


def load(name: str) -> list[dict[str, Any]]:
    vectors = json.loads((VECTORS / name).read_text())["vectors"]
    assert vectors
    return list(vectors)


KEYS = json.loads((VECTORS / "keys.json").read_text())["keys"]
SIGNERS = {name: VectorSigner(key) for name, key in KEYS.items()}
PUBLIC = {name: cose.public_key_from_pem(key["public_pem"].encode()) for name, key in KEYS.items()}
SOUND = load("records.json")
REFUSED = load("refused.json")
Vector = Mapping[str, Any]


def name_of(vector: Vector) -> str:
    return f"{vector.get('key', '')} {vector['name']}"


def test_the_files_are_what_the_script_writes() -> None:
    result = subprocess.run([sys.executable, WRITE, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


@pytest.mark.parametrize("vector", SOUND, ids=name_of)
def test_a_sound_record_comes_out_byte_for_byte(vector: Vector) -> None:
    payload = record.encode_payload(header(vector["header"]), body(vector["kind"], vector["body"]))
    assert payload.hex() == vector["payload"]
    envelope = cose.Envelope(SIGNERS[vector["key"]], vector["issuer"], vector["subject"])
    assert envelope.seal(payload).hex() == vector["record"]


@pytest.mark.parametrize("vector", SOUND, ids=name_of)
def test_a_sound_record_reads_back_as_its_inputs(vector: Vector) -> None:
    entry = record.verify(bytes.fromhex(vector["record"]), PUBLIC[vector["key"]])
    assert entry.header == header(vector["header"])
    assert (entry.issuer, entry.subject, entry.kind) == (vector["issuer"], vector["subject"], vector["kind"])
    assert entry.hash.hex() == vector["hash"]
    if isinstance(entry.body, Telemetry):
        assert len(entry.body.rows()) == vector["body"]["count"]
    else:
        assert entry.body == body(vector["kind"], vector["body"])
        record.check_contents(entry)


@pytest.mark.parametrize("key", KEYS)
def test_the_sound_records_of_a_key_are_one_log(key: str) -> None:
    log = [bytes.fromhex(v["record"]) for v in SOUND if v["key"] == key and v["header"]["sequence"] < 1000]
    assert {record.parse(raw).kind for raw in log} == set(Kind)
    assert chain.verify_log(log, lambda _: PUBLIC[key], Head()).next_sequence == len(log) >= 10


@pytest.mark.parametrize("vector", load("columns.json"), ids=name_of)
def test_columns_come_out_byte_for_byte_and_unfold(vector: Vector) -> None:
    window = samples(vector["samples"])
    blob = columns.pack(window)
    assert columns.decompress(blob).hex() == vector["columns_cbor"]
    rows = columns.unpack(blob, vector["samples"][0]["mono_ms"], len(window))
    assert [(s.values, s.flaws) for s in window] == [(values, flaws) for _, values, flaws in rows]


@pytest.mark.parametrize("vector", load("summaries.json"), ids=name_of)
def test_a_summary_comes_out_byte_for_byte_and_unfolds(vector: Vector) -> None:
    rows = table(vector["rows"])
    blob = summary.pack(rows)
    assert columns.decompress(blob).hex() == vector["columns_cbor"]
    assert summary.unpack(blob, len(vector["rows"])) == rows


@pytest.mark.parametrize("vector", load("integers.json"), ids=lambda v: str(v["value"]))
def test_an_integer_has_one_encoding(vector: Vector) -> None:
    assert cbor.encode(vector["value"]).hex() == vector["cbor"]
    assert cbor.decode(bytes.fromhex(vector["cbor"]), "integer") == vector["value"]


def refuse(vector: Vector) -> None:
    """Do with the records what the vector's stage says, and nothing that a later stage would."""
    raws = [bytes.fromhex(r) for r in vector["records"]]
    key = PUBLIC[vector["key"]]
    match vector["stage"]:
        case "parse":
            record.parse(raws[0])
        case "signature":
            record.parse(raws[0])
            record.verify(raws[0], key)
        case "columns":
            entry = record.verify(raws[0], key)
            assert entry.kind in (Kind.TELEMETRY, Kind.SUMMARY)
            record.check_contents(entry)
        case "chain":
            for raw in raws:
                record.verify(raw, key)
            chain.verify_log(raws, lambda _: key, Head())


@pytest.mark.parametrize("vector", REFUSED, ids=name_of)
def test_what_is_wrong_is_refused_with_its_error(vector: Vector) -> None:
    expected = {"FormatError": FormatError, "VerifyError": VerifyError}[vector["error"]]
    with pytest.raises(PacksealError) as caught:
        refuse(vector)
    assert type(caught.value) is expected


def test_every_stage_and_kind_has_its_refusals() -> None:
    assert {v["stage"] for v in REFUSED} == {"parse", "signature", "columns", "chain"}
    assert len({name_of(v) for v in REFUSED}) == len(REFUSED) > 150


def test_what_is_refused_in_the_payload_was_signed_by_the_rightful_key() -> None:
    """Else a signature check that comes first would hide that the parser is too lenient."""
    for vector in REFUSED:
        raw = bytes.fromhex(vector["records"][0])
        if vector["stage"] == "parse" and ":" in vector["name"]:
            cose.verify(cose.parse(raw), PUBLIC[vector["key"]])


def test_a_record_of_over_a_megabyte_is_refused() -> None:
    with pytest.raises(FormatError, match="the limit is 1048576"):
        record.parse(bytes.fromhex(SOUND[0]["record"]) + bytes(1 << 20))

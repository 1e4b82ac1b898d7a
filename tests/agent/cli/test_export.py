"""packseal export: the newest snapshot, verified, in each model; what is left out is said, and every mistake too."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, Recorded

from packseal.cli import main
from packseal.core.chain import Head, Pen
from packseal.core.passport import Field, Originator, Reading, Snapshot
from packseal.core.sample import ClockQuality, Instant
from packseal.core.translate import MODELS
from packseal.keys import file

Capture = pytest.CaptureFixture[str]
CONFIG = """
[gateway]
id = "{gateway}"
journal = "journal.db"
key = "gateway.key"

[[battery]]
id = "{battery}"
profile = "orion/bms2"
link = {{ kind = "socketcan", channel = "can0" }}
{more}
"""


@pytest.fixture
def config(recorded: Recorded) -> Path:
    path = recorded.folder / "packseal.toml"
    path.write_text(CONFIG.format(gateway=GATEWAY, battery=BATTERY, more='declared = { category = "ev" }'), "utf-8")
    return path


def export(*words: object) -> int:
    return main(["export", *map(str, words)])


def test_the_newest_snapshot_of_the_configured_journal(config: Path, capsys: Capture) -> None:
    assert export("--as", "idta", "--config", config) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["StateOfCharge"]["StateOfChargeValue"] == 81.5
    assert f"battery   {BATTERY}, category ev" in told.err
    assert "snapshot  record 8 of 2027-01-15T08:00:08.000Z, verified" in told.err
    assert "left out  Capacity fade: not available: not declared" in told.err
    assert (
        "6 fields: not to be filled for the category ev (EC guidance v1.0)\n            Remaining capacity; "
        in told.err
    )
    assert "a patch   the model also requires" in told.err
    assert " NumberOfFullCycles, InformationOnAccidents" in told.err


def test_a_file_with_its_key_needs_nothing_else(recorded: Recorded, capsys: Capture) -> None:
    assert export(recorded.export, "--key", recorded.key, "--as", "ngsi-ld", "--quiet") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["id"] == BATTERY
    assert told.err == ""


def test_a_category_of_the_command_line_counts(recorded: Recorded, capsys: Capture) -> None:
    words = (recorded.export, "--key", recorded.key, "--as", "idta")
    assert export(*words) == 0
    assert "category not declared" in capsys.readouterr().err
    assert export(*words, "--category", "lmt") == 0
    assert "certified energy: not to be filled for the category lmt" in capsys.readouterr().err


def test_every_model_into_a_folder(recorded: Recorded, capsys: Capture) -> None:
    folder = recorded.folder / "out" / "here"
    words = ("--journal", recorded.journal, "--key", recorded.key, "--passport", "https://example.org/dpp/1")
    assert export("--as", "all", *words, "-o", folder) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"wrote     {folder}")
    assert told.err.count("Capacity fade: not available: not declared") == 1  # the same in all of them
    assert {p.stem for p in folder.iterdir()} == set(MODELS)
    bodies = {p.stem: json.loads(p.read_text("utf-8")) for p in folder.iterdir()}
    assert bodies["aas"]["id"] == "https://example.org/dpp/1/ProductCondition"
    assert bodies["catena-x"]["performance"]["dynamic"]["stateOfCharge"]["value"] == 81.5
    assert bodies["provenance"]["fields"]["capacity_throughput"]["standardUncertainty"] == 0.061


def test_the_models_are_listed(capsys: Capture) -> None:
    assert export("--list") == 0
    told = capsys.readouterr().out
    assert all(f"{name} " in told for name in MODELS)


def test_a_document_goes_into_a_file(recorded: Recorded) -> None:
    path = recorded.folder / "idta.json"
    assert export(recorded.export, "--key", recorded.key, "--as", "idta", "-o", path) == 0
    assert json.loads(path.read_text("utf-8"))["CapacityThroughput"]["CapacityThroughputValue"] == 12.345


def test_a_changed_snapshot_is_never_exported(recorded: Recorded, capsys: Capture) -> None:
    raw = bytearray(recorded.records[2].raw)
    raw[-1] ^= 1
    damaged = recorded.folder / "damaged"
    damaged.write_bytes(raw)
    assert export(damaged, "--key", recorded.key, "--as", "idta") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "is not sound, so nothing is exported" in told.err


def test_anothers_key_exports_nothing(recorded: Recorded, capsys: Capture) -> None:
    file.create(recorded.folder / "other.key")
    assert export("--journal", recorded.journal, "--key", recorded.folder / "other.pub", "--as", "idta") == 1
    told = capsys.readouterr()
    assert (told.out, "which is not given" in told.err) == ("", True)


def test_a_journal_changed_beneath_its_log_exports_nothing(recorded: Recorded, capsys: Capture) -> None:
    """A snapshot of another battery, well signed, put into this battery's log."""
    pen = Pen(recorded.signer, GATEWAY, "urn:example:battery:2", b"C" * 16, bytes(8), Head())
    entry = pen.write(
        Snapshot([Reading(Field.STATE_OF_CHARGE, 5.0, None, Originator.BMS)]), Instant(0, 0, ClockQuality.NTP)
    )
    with contextlib.closing(sqlite3.connect(recorded.journal)) as database, database:
        database.execute("UPDATE record SET raw = ? WHERE kind = 1", (entry.raw,))
    assert export("--journal", recorded.journal, "--key", recorded.key, "--as", "idta") == 1
    assert "is of another battery than its log" in capsys.readouterr().err


def test_two_batteries_in_a_file_need_a_name(recorded: Recorded, capsys: Capture) -> None:
    pen = Pen(recorded.signer, GATEWAY, "urn:example:battery:2", b"C" * 16, bytes(8), Head())
    entry = pen.write(
        Snapshot([Reading(Field.STATE_OF_CHARGE, 5.0, None, Originator.BMS)]), Instant(0, 0, ClockQuality.NTP)
    )
    both = recorded.folder / "both"
    both.write_bytes(recorded.export.read_bytes() + entry.raw)
    words = (both, "--key", recorded.key, "--as", "idta", "--quiet")
    assert export(*words) == 1
    assert "name one battery with --battery" in capsys.readouterr().err
    assert export(*words, "--battery", "urn:example:battery:2") == 0
    assert json.loads(capsys.readouterr().out)["StateOfCharge"]["StateOfChargeValue"] == 5.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "which model? Name it with --as"),
        (("--as", "all"), "name a folder with -o DIR"),
        (("--as", "idta", "EXPORT"), "which key signed? Name it with --key PUB"),
        (("--as", "idta", "--journal", "JOURNAL"), "which key signed? Name it with --key PUB"),
        (("--as", "idta", "JOURNAL", "--key", "KEY"), "is a journal: use"),
        (("--as", "idta", "JSON", "--key", "KEY"), "is JSON, which carries no signature"),
        (("--as", "idta", "EMPTY", "--key", "KEY"), "has no snapshot"),
        (("--as", "idta", "NOWHERE", "--key", "KEY"), "cannot read"),
        (("--as", "idta", "EXPORT", "--key", "KEY", "--battery", "urn:x:1"), "has snapshots of urn:example:battery:1"),
        (("--as", "idta", "--journal", "JOURNAL", "--key", "KEY", "--battery", "urn:x:1"), "has no log urn:x:1"),
        (("--as", "idta", "EXPORT", "--key", "KEY", "-o", "EMPTY/x.json"), "cannot write"),
    ],
    ids=[
        *("no model", "all to nowhere", "file no key", "journal no key", "journal as file", "json", "empty", "no file"),
        *("file no such battery", "journal no such battery", "no folder"),
    ],
)
def test_a_mistake_is_one_sentence(words: tuple[str, ...], sentence: str, recorded: Recorded, capsys: Capture) -> None:
    (recorded.folder / "empty").touch()
    (recorded.folder / "json").write_text("{}", "utf-8")
    places = {"EXPORT": recorded.export, "JOURNAL": recorded.journal, "KEY": recorded.key}
    places |= {name: recorded.folder / name.lower() for name in ("EMPTY", "JSON", "NOWHERE")}
    given = [str(places.get(w, w)).replace("EMPTY", str(places["EMPTY"])) for w in words]
    assert export(*given) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert len(told.err.strip().splitlines()) == 1

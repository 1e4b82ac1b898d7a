"""packseal journal: list, show, export and verify, on a real journal, also while it is written."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, GATEWAY_LOG, LOG, WALL_MS, Recorded

from packseal.cli import main
from packseal.core import cose, exchange
from packseal.core.bodies import Attributes, Event, Gap, GapCause
from packseal.core.chain import Pen
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys import file

Capture = pytest.CaptureFixture[str]


def journal(recorded: Recorded, action: str, *words: object) -> int:
    return main(["journal", action, "--journal", str(recorded.journal), *map(str, words)])


def change(recorded: Recorded, statement: str, *values: bytes) -> None:
    """Do to the journal's file what no program of ours does."""
    with closing(sqlite3.connect(recorded.journal, isolation_level=None)) as database:
        assert database.execute(statement, values).rowcount > 0


def check(recorded: Recorded) -> int:
    return journal(recorded, "verify", "--key", recorded.key, "--sink-key", recorded.sink_key)


def test_list_shows_the_newest_of_every_log(recorded: Recorded, capsys: Capture) -> None:
    assert journal(recorded, "list", "--last", 3) == 0
    told = capsys.readouterr().out
    assert f"battery {BATTERY}" in told
    assert f"gateway {GATEWAY}" in told
    assert f"log {LOG.hex()}: 12 records" in told
    assert "6 receipted by the sink" in told
    rows = [line.split()[0] for line in told.splitlines() if line.lstrip()[:1].isdigit()]
    assert rows == ["0", "9", "10", "11"]
    assert "bus off (count 3, channel can0)" in told


def test_list_picks_by_log_kind_and_time(recorded: Recorded, capsys: Capture) -> None:
    words = ("--log", BATTERY, "--kind", "lifecycle", "--since", "2027-01-15T08:00:05", "--json")
    assert journal(recorded, "list", *words) == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert [e["sequence"] for e in log["listed"]] == [5, 6, 11]
    assert journal(recorded, "list", "--log", LOG.hex()[:6], "--since", "2027-01-15T10:00:11+02:00", "--json") == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert [e["sequence"] for e in log["listed"]] == [11]


def test_list_says_what_was_removed(recorded: Recorded, capsys: Capture) -> None:
    with Journal.open(recorded.journal) as store:
        pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), store.head(LOG))
        facts: Attributes = {"first": 7, "last": 9, "records": 3}
        gap = Gap(GapCause.DROPPED, WALL_MS, WALL_MS + 5000, facts)
        sealed = pen.write(gap, Instant(10**12, (WALL_MS + 60_000) * 10**6, ClockQuality.NTP))
        store.append(LOG, [sealed], None, [(0, 3), (7, 9)])
    assert journal(recorded, "list", "--log", BATTERY) == 0
    told = capsys.readouterr().out
    assert f"log {LOG.hex()}: 6 records" in told
    assert "begins with record 4; what was before it is at the sink or was removed" in told
    assert "dropped: 3 records from 2027-01-15T08:00:00" in told
    assert "named by 1 gap record\n" in told
    assert journal(recorded, "list", "--log", BATTERY, "--json") == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert (log["first"], log["removed"][0]["cause"], log["removed"][0]["records"]) == (4, "dropped", 3)


def test_list_reads_back_through_a_long_log(recorded: Recorded, capsys: Capture) -> None:
    with Journal.open(recorded.journal) as store:
        pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), store.head(LOG))
        at = Instant(10**12, (WALL_MS + 60_000) * 10**6, ClockQuality.NTP)
        store.append(LOG, [pen.write(Event(EventCode.BUS_SILENT), at) for _ in range(1200)])
    assert journal(recorded, "list", "--log", BATTERY, "--kind", "gap", "--json") == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert [e["sequence"] for e in log["listed"]] == [4, 10]
    assert journal(recorded, "list", "--log", BATTERY, "--last", 1100, "--json") == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert [e["sequence"] for e in log["listed"]] == list(range(112, 1212))


def test_show_gives_all_of_a_record(recorded: Recorded, capsys: Capture) -> None:
    assert journal(recorded, "show", 2) == 0
    told = capsys.readouterr().out
    assert recorded.records[2].hash.hex() in told
    assert "Capacity throughput" in told
    assert "98.7 %" in told
    assert journal(recorded, "show", 1, "--rows", 2) == 0
    told = capsys.readouterr().out
    assert "2027-01-15T08:00:01.000Z" in told
    assert "not a number         -29.250" in told
    assert "58 more rows" in told
    assert journal(recorded, "show", 3, "--json") == 0
    assert json.loads(capsys.readouterr().out)["body"]["attributes"] == {"count": 3, "channel": "can0"}


def test_show_gives_telemetry_as_csv(recorded: Recorded, capsys: Capture) -> None:
    assert journal(recorded, "show", 1, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(r["pack_current_a"]) for r in rows] == [i - 30.25 for i in range(60)]
    assert rows[1]["flaws"] == "pack_voltage_v:not_a_number"
    assert rows[1]["time"] == "2027-01-15T08:00:01.000Z"


def test_an_export_is_the_signed_bytes_and_verifies(recorded: Recorded, capsys: Capture) -> None:
    out = recorded.folder / "handover.records"
    assert journal(recorded, "export", out, "--log", BATTERY) == 0
    assert "12 records" in capsys.readouterr().out
    assert out.read_bytes() == recorded.export.read_bytes()
    assert main(["verify", str(out), "--key", str(recorded.key)]) == 0


def test_an_export_that_fails_leaves_the_old_file(recorded: Recorded, capsys: Capture) -> None:
    out = recorded.folder / "kept"
    out.write_bytes(b"old")
    change(recorded, "UPDATE record SET kind = 77 WHERE id & 0xff = 4")
    assert journal(recorded, "export", out) == 1
    assert "damaged" in capsys.readouterr().err
    assert out.read_bytes() == b"old"
    assert not list(recorded.folder.glob(".kept*"))
    assert journal(recorded, "export", recorded.folder / "no" / "where") == 1
    assert "cannot write" in capsys.readouterr().err


def test_verify_passes_while_an_agent_writes(recorded: Recorded, capsys: Capture) -> None:
    with Journal.open(recorded.journal) as store:
        pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), store.head(LOG))
        store.append(LOG, [pen.write(Event(EventCode.BUS_SILENT), Instant(10**12, 0, ClockQuality.RTC))])
        assert check(recorded) == 0
    told = capsys.readouterr().out
    assert "records   13, from 0 to 12" in told
    assert "verified: 14 records" in told


SPOILS = {
    "a changed byte": ("UPDATE record SET raw = CAST(substr(raw, 1, 90) || x'00' || substr(raw, 92) AS BLOB)", "row 4"),
    "a record taken out": ("DELETE FROM record", "stands where"),
    "a wrong hash column": ("UPDATE record SET hash = zeroblob(32)", "index is wrong about the record's hash"),
    "a wrong time column": ("UPDATE record SET wall_ms = 5", "index is wrong about the record's time"),
    "a wrong kind column": ("UPDATE record SET kind = 1", "index is wrong about the record's kind"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_verify_finds_what_was_changed_in_the_file(recorded: Recorded, capsys: Capture, spoil: str) -> None:
    statement, said = SPOILS[spoil]
    change(recorded, f"{statement} WHERE id & 0xffffffffff = 4")
    assert check(recorded) == 1
    told = capsys.readouterr().out
    assert said in told
    assert "NOT VERIFIED" in told


def test_verify_finds_a_wrong_owner_and_receipt(recorded: Recorded, capsys: Capture) -> None:
    stranger = file.create(recorded.folder / "stranger.key")
    words = ("verify", "--key", recorded.key, "--sink-key", recorded.folder / "stranger.pub")
    assert journal(recorded, *words) == 1
    assert "receipt: the receipt is not signed by the sink's key" in capsys.readouterr().out
    raw = exchange.write_receipt(cose.Envelope(stranger, "urn:s", GATEWAY), (LOG, 5, bytes(32)), WALL_MS)
    change(recorded, "UPDATE log SET receipt = ? WHERE log_id = ?", raw, LOG)
    change(recorded, "UPDATE log SET subject = 'urn:other' WHERE log_id = ?", GATEWAY_LOG)
    assert journal(recorded, *words) == 1
    told = capsys.readouterr().out
    assert "about record 5, which is not the one that is held here" in told
    assert "index is wrong about the record's battery" in told


def test_the_configuration_names_journal_and_keys(tmp_path: Path, recorded: Recorded, capsys: Capture) -> None:
    folder = tmp_path / "made"
    assert main(["init", str(folder)]) == 0
    toml = folder / "packseal.toml"
    (folder / "journal.db").write_bytes(recorded.journal.read_bytes())
    (folder / "gateway.pub").write_bytes(recorded.key.read_bytes())
    capsys.readouterr()
    assert main(["journal", "verify", "--config", str(toml)]) == 0
    assert "verified: 13 records" in capsys.readouterr().out


def test_wrong_wishes_are_one_line(recorded: Recorded, capsys: Capture) -> None:
    for words, said in (
        (("show", 99), "has no record 99"),
        (("show", 2, "--csv"), "--csv is for telemetry"),
        (("show", 2, "--log", "urn:nobody"), f"it has {GATEWAY_LOG.hex()[:8]}"),
        (("verify",), "Name it with --key"),
        (("export", "-", "--log", ""), "name one log"),
    ):
        assert journal(recorded, *words) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert main(["journal", "list", "--journal", str(recorded.folder / "missing.db")]) == 1
    assert "there is no journal" in capsys.readouterr().err
    for wrong in (("show", "x"), ("list", "--since", "yesterday")):
        with pytest.raises(SystemExit):
            journal(recorded, *wrong)

"""The backlog is a sound log up to now, and what becomes of it is told, also where it is not well."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.hil.scenarios import logs

from packseal.core.bodies import Kind, Telemetry
from packseal.core.chain import verify_log
from packseal.core.declared import Declared
from packseal.core.record import Record, parse
from packseal.demo.places import Places
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal.keys.file import FileSigner
from packseal_hil import backlog
from packseal_hil.backlog import Author
from packseal_hil.rig.shape import CLEAR, Shape
from packseal_hil.scenario.gateway import BATTERY, GATEWAY
from packseal_hil.scenario.outage import Outage
from packseal_hil.scenario.outage_tables import Backlog

MINUTES = 20
NOW_NS = 1_800_000_000 * 10**9


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    return key_file.create(tmp_path / "gateway.key")


def fill(path: Path, signer: FileSigner, log_id: bytes = logs.LOG_ID) -> list[Record]:
    author = Author(signer, GATEWAY, BATTERY, log_id)
    backlog.fill(path, author, Declared(), 60.0, backlog.minutes(MINUTES, NOW_NS))
    with Journal.open_to_read(path) as opened:
        return [parse(record.raw) for record in opened.records(log_id)]


def test_a_backlog_is_a_whole_log_of_minutes_that_ends_when_it_is_told_to(tmp_path: Path, signer: FileSigner) -> None:
    records = fill(tmp_path / "journal.db", signer)
    verify_log([record.raw for record in records], lambda _: signer.public)
    kinds = [record.kind for record in records]
    assert kinds == [Kind.LIFECYCLE, *[Kind.TELEMETRY, Kind.SNAPSHOT] * MINUTES, Kind.LIFECYCLE]
    samples = [record.body for record in records if isinstance(record.body, Telemetry)]
    assert {body.count for body in samples} == {1}
    assert [body.first_wall_ms for body in samples][-2:] == [NOW_NS // 10**6 - 60_000, NOW_NS // 10**6]


def test_days_are_minutes() -> None:
    assert Backlog(days=30).minutes == 43_200
    assert Backlog(days=1e-6).minutes == 1


@pytest.fixture
def outage(tmp_path: Path, signer: FileSigner) -> Outage:
    made = Outage(Backlog(days=1), tmp_path / "outage")
    made.journal.parent.mkdir()
    fill(made.journal, signer, made.log_id)
    return made


def verdicts(outage: Outage, journal: Path, pem: bytes, places: Places) -> dict[str, bool]:
    with Journal.open_to_read(journal) as opened:
        records = [parse(record.raw) for record in opened.records(outage.log_id)]
    return {v.title: v.held for v in outage.verdicts(records, journal, pem, places)}


def test_a_backlog_that_was_not_received_is_whole_and_not_proven(outage: Outage, tmp_path: Path) -> None:
    key_file.create(tmp_path / "sink.key")
    pem = (tmp_path / "gateway.pub").read_bytes()
    found = verdicts(outage, outage.journal, pem, Places(tmp_path))
    assert found.pop("the journal still holds the whole backlog")
    assert len(found) == 3
    assert not any(found.values())


@pytest.mark.parametrize("harm", ["DELETE FROM record WHERE id & 0xffffffffff = 7", "DELETE FROM record"])
def test_a_record_that_the_journal_has_no_more_is_missed(outage: Outage, tmp_path: Path, harm: str) -> None:
    harmed = tmp_path / "harmed.db"
    shutil.copy(outage.journal, harmed)
    with closing(sqlite3.connect(harmed)) as connection, connection:
        connection.execute(harm)
    key_file.create(tmp_path / "sink.key")
    pem = (tmp_path / "gateway.pub").read_bytes()
    assert not any(verdicts(outage, harmed, pem, Places(tmp_path)).values())


def test_what_was_delivered_is_kept_for_longer_than_the_backlog_is_old() -> None:
    assert Outage(Backlog(days=30), Path()).kept_days > 31


def test_a_shape_is_told_in_netems_words() -> None:
    assert CLEAR.netem == "loss 0% delay 0ms"
    shape = Shape(loss_pct=30, delay_ms=25, jitter_ms=5, reorder_pct=5, duplicate_pct=2)
    assert shape.netem == "loss 30% delay 25ms 5ms reorder 5% duplicate 2%"


@pytest.mark.parametrize("wrong", [{"delay_ms": 4, "jitter_ms": 5}, {"reorder_pct": 1}])
def test_a_shape_that_netem_could_not_do_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="delay_ms"):
        Shape(**wrong)


def test_a_month_begins_that_long_before_now() -> None:
    first = next(backlog.minutes(43_200, time.time_ns()))
    assert abs(time.time() - first.at.wall_ns / 1e9 - 30 * 86_400 + 60) < 60

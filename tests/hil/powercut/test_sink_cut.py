"""Power cuts of the sink: what it has receipted is there afterwards."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from packseal_hil.powercut import logged_disk, recover, sink_judge, sink_recording
from packseal_hil.powercut.cut import Cutter
from packseal_hil.powercut.judge import Fault, Finding, Promise
from packseal_hil.powercut.points import choose
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.powercut.write_log import WriteLog

SEED, CUTS, PACE_S = 4711, 240, 4.0

WHY = logged_disk.missing() or recover.missing()


@pytest.mark.skipif(bool(WHY), reason=f"no power cuts on this machine: {WHY}")
def test_a_cut_of_the_sink_loses_nothing_that_it_has_receipted(tmp_path: Path, *, wants_long_ones: bool) -> None:
    if not wants_long_ones:
        pytest.skip("power cuts of the sink are made with --long only")
    trail = asyncio.run(sink_recording.record(tmp_path, PACE_S))
    rng, findings, lost = random.Random(SEED), list[tuple[int, Finding]](), 0
    with WriteLog.read(tmp_path / trail.log) as log, Cutter(tmp_path / trail.base, log, tmp_path) as cutter:
        for point in choose(log, trail.phases, CUTS, rng):
            cut = cutter.cut(point.position, point.tear, rng, point.keep)
            lost += cut.lost_bytes > 0
            found = recover.recover(cut.image, tmp_path / "disk", trail.directory)
            database = found.directory / trail.journal
            judged = sink_judge.judge(database, trail.promised(point.position), enrolled=True)
            findings += [(point.position, finding) for finding in judged]
    assert findings == []
    assert lost > CUTS // 4
    assert len(trail.acks) > 30


def test_the_judge_catches_what_a_sink_may_lose(tmp_path: Path) -> None:
    database = tmp_path / "sink" / "sink.db"
    assert sink_judge.judge(database, {}, enrolled=False) == []
    assert faults(sink_judge.judge(database, {}, enrolled=True)) == {Fault.LOST}
    LocalSink(tmp_path / "sink")
    assert sink_judge.judge(database, {}, enrolled=False) == []
    assert faults(sink_judge.judge(database, {}, enrolled=True)) == {Fault.LOST}
    assert faults(sink_judge.judge(database, {bytes(16): Promise(0, bytes(32))}, enrolled=False)) == {Fault.LOST}
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.write(b"x" * 100)
    assert faults(sink_judge.judge(database, {}, enrolled=False)) == {Fault.CORRUPT}


def faults(findings: list[Finding]) -> set[Fault]:
    return {finding.fault for finding in findings}

"""The judge: a whole journal passes, and each thing that a cut may do to one is caught under its own name."""

import hashlib
import shutil
from pathlib import Path

import pytest
from tests.hil.powercut import made_journal
from tests.hil.powercut.made_journal import ISSUER, MadeJournal

from packseal_hil.powercut.judge import Fault, Finding, Promise, judge
from packseal_hil.powercut.reopening import reopen


@pytest.fixture
def made(tmp_path: Path) -> MadeJournal:
    return made_journal.make(tmp_path)


def faults(findings: list[Finding]) -> set[Fault]:
    return {finding.fault for finding in findings}


def test_a_whole_journal_is_well_and_goes_on(made: MadeJournal) -> None:
    chains = made.chains()
    assert judge(made.path, made.all_of_it(), chains) == []
    assert reopen(made.path, made.key, ISSUER, chains) == []
    assert judge(made.path, made.all_of_it(), chains) == []  # the records of the restart follow those promised


def test_a_lost_record_is_counted(made: MadeJournal) -> None:
    made.sql("DELETE FROM record WHERE id >= (SELECT max(id) - 1 FROM record)")
    lost = [finding for finding in made.judge() if finding.fault is Fault.LOST]
    assert [finding.records for finding in lost] == [2]


def test_a_lost_record_that_only_the_agent_had_counted_is_caught_too(made: MadeJournal) -> None:
    promise = {made.log_id: Promise(len(made.hashes))}
    assert faults(judge(made.path, promise, made.chains())) == {Fault.LOST}


def test_a_lost_log_is_lost_with_all_its_records(made: MadeJournal) -> None:
    promise = {bytes(16): Promise(6, bytes(32))}
    (finding,) = judge(made.path, promise, made.chains())
    assert (finding.fault, finding.records) == (Fault.LOST, 7)


def test_swapped_records_break_the_chain(made: MadeJournal) -> None:
    made.sql("UPDATE record SET id = -1 WHERE id = (SELECT min(id) + 3 FROM record)")
    made.sql("UPDATE record SET id = id - 1 WHERE id = (SELECT min(id) + 4 FROM record WHERE id > 0)")
    made.sql("UPDATE record SET id = (SELECT min(id) + 4 FROM record WHERE id > 0) WHERE id = -1")
    assert faults(made.judge()) == {Fault.CHAIN}


def test_a_hole_in_the_middle_breaks_the_chain_and_is_a_loss(made: MadeJournal) -> None:
    made.sql("DELETE FROM record WHERE id = (SELECT min(id) + 4 FROM record)")
    assert faults(made.judge()) == {Fault.CHAIN, Fault.LOST}


def test_a_changed_record_breaks_the_chain_also_where_it_was_verified_before(made: MadeJournal) -> None:
    chains = made.chains()
    assert judge(made.path, made.all_of_it(), chains) == []
    made.sql("UPDATE record SET raw = zeroblob(200) WHERE id = (SELECT min(id) + 2 FROM record)")
    assert faults(judge(made.path, made.all_of_it(), chains)) == {Fault.CHAIN}


def test_another_record_in_the_place_of_the_acknowledged_one_is_caught(tmp_path: Path, made: MadeJournal) -> None:
    promise = {made.log_id: Promise(4, hashlib.sha256(b"another").digest())}
    assert faults(judge(made.path, promise, made.chains())) == {Fault.DIFFERENT}
    other = tmp_path / "other"
    other.mkdir()
    forged = made_journal.make(other)  # whole in itself, but signed with a key of its own
    assert faults(judge(forged.path, {}, made.chains())) == {Fault.CHAIN}


def test_a_next_start_in_the_name_of_another_gateway_is_caught(made: MadeJournal) -> None:
    chains = made.chains()
    assert judge(made.path, made.all_of_it(), chains) == []
    assert faults(reopen(made.path, made.key, "urn:packseal:gateway:other", chains)) == {Fault.RESTART}


def test_a_state_of_another_window_is_caught(made: MadeJournal) -> None:
    old = made.states[-3]
    made.sql("UPDATE log SET state = ?, state_hash = ?", old, hashlib.sha256(old).digest())
    assert faults(made.judge()) == {Fault.STATE}


def test_a_damaged_state_is_caught_and_the_next_start_does_not_go_on_with_it(made: MadeJournal) -> None:
    made.sql("UPDATE log SET state = zeroblob(9)")
    assert faults(made.judge()) == {Fault.STATE}
    assert faults(reopen(made.path, made.key, ISSUER, made.chains())) == {Fault.RESTART}


@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_damaged_database_is_caught(made: MadeJournal, page: int) -> None:
    with made.path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * 600)
    assert Fault.CORRUPT in faults(made.judge())


def test_no_journal_is_well_only_while_nothing_was_promised(tmp_path: Path, made: MadeJournal) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    shutil.copy(made.key, absent / made.key.name)
    assert judge(absent / "journal.db", {}, made.chains()) == []
    (absent / "journal.db").unlink()
    assert faults(judge(absent / "journal.db", made.all_of_it(), made.chains())) == {Fault.LOST}


def test_after_a_stop_the_gap_names_the_stop(tmp_path: Path) -> None:
    made = made_journal.make(tmp_path, stopped=True)
    assert made.judge() == []
    assert reopen(made.path, made.key, ISSUER, made.chains()) == []


def test_a_log_without_a_sample_needs_no_gap(tmp_path: Path) -> None:
    made = made_journal.make(tmp_path, windows=0)
    assert made.judge() == []
    assert reopen(made.path, made.key, ISSUER, made.chains()) == []

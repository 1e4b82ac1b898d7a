"""Two histories of one log, with holes, where nobody can tell at once which the sink has: delivery ends all the same.

Either the log goes on, or a new one carries what the sink does not have, or the operator is told why it stops.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end import pair as pair_module
from tests.end_to_end.crashing import Crasher
from tests.end_to_end.model import marks
from tests.end_to_end.pair import LOG_ID, Pair, Way

from packseal.core import exchange
from packseal.core.bodies import Gap, GapCause
from packseal.journal import epochs, retention
from packseal.uplink.terms import Order
from packseal_sink.database import Database

SNAPSHOT, EVENT, TELEMETRY = 0, 1, 2
WELL: Way = ([], None, True, Order.OLDEST_FIRST)
UNORDERED: Way = ([], None, False, Order.NEWEST_FIRST)
GIVE_UP_S = 20.0
"""What takes milliseconds; a stall would last longer than any test."""


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    made = Crasher()
    yield made
    made.close()


@pytest.fixture
def pair(tmp_path: Path, crasher: Crasher, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(epochs, "LEAST_APART_MS", 0)
    monkeypatch.setattr(pair_module, "SYNC_S", GIVE_UP_S)
    made = Pair(tmp_path, crasher, Counter())
    yield made
    made.close()


def write(pair: Pair, *kinds: int) -> None:
    pair.append(pair.sealed(kinds))


def drop(pair: Pair, first: int, last: int) -> None:
    """Remove these, all of which are there, with the gap record that names them."""
    gap = Gap(GapCause.DROPPED, 0, 1, {"first": first, "last": last, "records": last - first + 1})
    pair.append(pair.written([gap]), [(first, last)])


def send(pair: Pair, first: int, end: int, *, early: bool = False) -> None:
    raws = [raw for _, raw in pair.journal.entries(LOG_ID, first, end, 100, 1 << 20)]
    request = exchange.encode_early(raws) if early else exchange.encode_batch(raws)
    assert not exchange.decode_reply(pair.handle(request)).refused


def copy(pair: Pair) -> None:
    pair.copies.append((pair.copied(), pair.book.copy()))


def put_back(pair: Pair) -> None:
    pair.put_back(*pair.copies.pop())


def check_delivered(pair: Pair, way: Way) -> None:
    """Deliver; then everything that is left at the gateway is at the sink, in this log or in a new one."""
    pair.deliver([way])
    there = marks(raw for raws in pair.at_the_sink().values() for raw in raws)
    for log_id in pair.live():
        assert pair.journal.delivered(log_id) == pair.journal.head(log_id).next_sequence
    for log_id in pair.book.logs:
        assert not marks(pair.book.kept(log_id).values()).keys() - there.keys()


def delivered_log(pair: Pair, length: int) -> None:
    write(pair, *[TELEMETRY] * length)
    pair.deliver([WELL])


both_ways = pytest.mark.parametrize("way", [WELL, UNORDERED], ids=["oldest", "newest"])


@both_ways
@pytest.mark.parametrize("held", [(4, 5), (5, 6), (6, 7), (4, 7), (3, 8), (6, 10)], ids=str)
def test_a_gap_record_that_the_chain_waits_for_meets_early_records_of_another_history(
    pair: Pair, held: tuple[int, int], way: Way
) -> None:
    """The gap record is number 5; the other history's records before it, at it or after it are held."""
    write(pair, SNAPSHOT, EVENT)
    send(pair, 0, 2)
    copy(pair)
    write(pair, *[TELEMETRY] * 8)
    send(pair, *held, early=True)
    put_back(pair)
    write(pair, TELEMETRY, TELEMETRY, TELEMETRY)
    drop(pair, 2, 3)
    write(pair, SNAPSHOT, EVENT, TELEMETRY)
    check_delivered(pair, way)


@both_ways
def test_an_event_before_the_gap_record_is_of_another_history_too(pair: Pair, way: Way) -> None:
    write(pair, SNAPSHOT, EVENT)
    send(pair, 0, 2)
    copy(pair)
    write(pair, *[TELEMETRY] * 8)
    send(pair, 5, 6, early=True)
    put_back(pair)
    write(pair, TELEMETRY, TELEMETRY, TELEMETRY, EVENT, TELEMETRY)
    drop(pair, 2, 3)
    write(pair, EVENT, TELEMETRY)
    check_delivered(pair, way)


@both_ways
def test_gap_records_of_several_holes_meet_early_records_of_another_history(pair: Pair, way: Way) -> None:
    write(pair, SNAPSHOT)
    send(pair, 0, 1)
    copy(pair)
    write(pair, *[TELEMETRY] * 20)
    for held in (5, 11, 16):
        send(pair, held, held + 1, early=True)
    put_back(pair)
    for _ in range(3):
        write(pair, *[TELEMETRY] * 4)
        end = pair.journal.head(LOG_ID).next_sequence
        drop(pair, end - 4, end - 2)
        write(pair, SNAPSHOT)
    check_delivered(pair, way)


@both_ways
def test_what_is_sent_is_not_passed_over_by_the_word_of_another_history(pair: Pair, way: Way) -> None:
    """There, 2 and 3 were removed, and what follows is held early; here they are left, and there is a hole later."""
    write(pair, SNAPSHOT, SNAPSHOT)
    send(pair, 0, 2)
    copy(pair)
    write(pair, TELEMETRY, TELEMETRY, SNAPSHOT)
    drop(pair, 2, 3)
    send(pair, 4, 6, early=True)
    put_back(pair)
    write(pair, SNAPSHOT, SNAPSHOT, SNAPSHOT, EVENT, TELEMETRY, EVENT)
    drop(pair, 6, 6)
    write(pair, SNAPSHOT, EVENT, TELEMETRY)
    check_delivered(pair, way)


@both_ways
def test_the_last_record_before_a_hole_is_sent_though_the_sink_holds_one_of_that_number(pair: Pair, way: Way) -> None:
    """The held one fits what both have before it; the record after it, which would tell them apart, was removed."""
    write(pair, SNAPSHOT, SNAPSHOT, TELEMETRY, EVENT)
    send(pair, 0, 2)
    copy(pair)
    write(pair, EVENT)
    send(pair, 4, 5, early=True)
    put_back(pair)
    write(pair, SNAPSHOT, TELEMETRY, SNAPSHOT)
    drop(pair, 2, 2)
    drop(pair, 5, 5)
    write(pair, SNAPSHOT)
    check_delivered(pair, way)
    assert pair.live() != [LOG_ID], "the fork was found, and a new log goes on"


@both_ways
@pytest.mark.parametrize("other_end", [4, 5, 6, 7, 8, 12], ids=str)
def test_the_sink_stands_at_or_in_a_hole_of_which_the_gateway_cannot_check_the_hash(
    pair: Pair, other_end: int, way: Way
) -> None:
    """The gateway has removed 4 to 6, the sink has another history up to before `other_end`."""
    delivered_log(pair, 4)
    copy(pair)
    write(pair, *[TELEMETRY] * 8)
    send(pair, 4, other_end)
    put_back(pair)
    write(pair, *[TELEMETRY] * 5)
    drop(pair, 4, 6)
    write(pair, SNAPSHOT, EVENT)
    check_delivered(pair, way)


@both_ways
@pytest.mark.parametrize("end", [3, 4, 5, 6, 9], ids=str)
def test_a_copy_that_is_put_back_ends_within_the_other_ones_hole(pair: Pair, end: int, way: Way) -> None:
    delivered_log(pair, 2)
    write(pair, *[TELEMETRY] * (end - 2))
    copy(pair)
    write(pair, *[TELEMETRY] * (9 - end))
    drop(pair, 3, 7)
    pair.deliver([WELL])
    put_back(pair)
    pair.deliver([way])
    write(pair, TELEMETRY, EVENT)
    check_new(pair, way)


def check_new(pair: Pair, way: Way) -> None:
    """Deliver; what was written last is at the sink."""
    newest = marks([raw for _, raw in sorted(pair.book.kept(pair.newest).items())[-2:]])
    pair.deliver([way])
    assert newest.keys() <= marks(raw for raws in pair.at_the_sink().values() for raw in raws).keys()


def test_a_sink_that_was_restored_lacks_what_the_gateway_has_forgotten_and_the_operator_is_told(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has these records any more: the log cannot go on until the sink has its newer database again."""
    delivered_log(pair, 3)
    keep_sink(pair, tmp_path / "sink.db", tmp_path / "older.db")
    delivered_log(pair, 5)
    keep_sink(pair, tmp_path / "sink.db", tmp_path / "newer.db")
    while (step := retention.forget(pair.journal, LOG_ID, retention.NEVER_MS)) is not None:
        pair.append((), step.removed)
    assert pair.journal.begins(LOG_ID) == 7
    keep_sink(pair, tmp_path / "older.db", tmp_path / "sink.db")
    monkeypatch.setattr(pair_module, "SYNC_S", 0.5)
    with pytest.raises(AssertionError, match="the journal does not hold record 3, which the sink needs next"):
        deliver_more(pair)
    keep_sink(pair, tmp_path / "newer.db", tmp_path / "sink.db")
    monkeypatch.setattr(pair_module, "SYNC_S", GIVE_UP_S)
    check_delivered(pair, WELL)


def deliver_more(pair: Pair) -> None:
    write(pair, EVENT)
    pair.deliver([WELL])


def keep_sink(pair: Pair, source: Path, target: Path) -> None:
    """Copy the sink's database while it is closed, from or over the one in use."""
    pair._database.close()
    shutil.copy(source, target)
    pair._database = Database(target.with_name("sink.db"), write=True)
    pair.restart_the_sink()

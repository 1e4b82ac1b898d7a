"""Budgets, sizes and tallies: every clock is passed in."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.errors import StorageError
from packseal.uplink.budget import BURST_S, STEPS_PER_DAY, Budget, Limits
from packseal.uplink.choice import Choice
from packseal.uplink.link import Link, Policy, ranked
from packseal.uplink.memory import MemoryUplink
from packseal.uplink.ranges import Ranges, spans
from packseal.uplink.settings import SyncSettings
from packseal.uplink.sizing import FIRST_BYTES, Sizing
from packseal.uplink.tally import Tally
from packseal.uplink.terms import Carries, Take

T = TypeVar("T")
DAY_S = 86_400.0
NOON = 20_000 * DAY_S + DAY_S / 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40))), st.integers(0, 40))
def test_ranges_are_a_set_of_numbers(steps: list[tuple[bool, int, int]], number: int) -> None:
    ranges, numbers = Ranges(), set[int]()
    for adds, first, end in steps:
        (ranges.add if adds else ranges.discard)(first, end)
        numbers = numbers | set(range(first, end)) if adds else numbers - set(range(first, end))
    assert list(ranges) == spans(sorted(numbers))
    assert len(ranges) == len(numbers)
    assert (number in ranges) is (number in numbers)
    assert ranges.next_missing(number) == min(set(range(number, 50)) - numbers)
    assert ranges.last_missing(number) == max({-1, *(set(range(number + 1)) - numbers)})
    after = [first for first, _ in spans(sorted(numbers)) if first > number]
    assert ranges.next_first(number) == (after[0] if after else None)


def test_a_rate_holds_on_the_mean_and_allows_a_short_burst() -> None:
    budget = Budget(Limits(bytes_per_s=1000))
    sent, now = 0, 100.0
    while now < 200.0:
        if wait_s := budget.wait_s(now):
            now += wait_s
            continue
        budget.spend(300, now, NOON)
        sent += 300
    assert sent == pytest.approx(1000 * (100 + BURST_S), abs=301)


def test_a_days_budget_leaves_a_reserve_for_events_and_begins_anew_at_midnight_utc() -> None:
    budget = Budget(Limits(bytes_per_day=1000))
    takes = []
    for _ in range(20):
        takes.append(budget.take(NOON))
        budget.spend(50, 0, NOON)
    assert takes == [Take.EVERYTHING] * 19 + [Take.EVENTS]
    assert budget.take(NOON) is Take.NOTHING
    assert budget.renewed_at(NOON).timestamp() == NOON + DAY_S / 2
    assert budget.take(NOON + DAY_S / 2 - 1) is Take.NOTHING
    assert budget.take(NOON + DAY_S / 2) is Take.EVERYTHING


def test_a_clock_that_steps_back_and_forth_gives_no_second_budget() -> None:
    budget = Budget(Limits(bytes_per_day=1000))
    budget.spend(1000, 0, NOON)
    budget.spend(10, 0, 1000.0)  # 1970: the machine has no clock of its own
    assert budget.take(NOON) is Take.NOTHING


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=60), st.integers(0, 59))
def test_a_crash_at_any_moment_forgets_nothing_that_was_sent(sizes: list[int], crash_at: int) -> None:
    limit = 640_000
    budget = Budget(Limits(bytes_per_day=limit))
    kept: dict[str, int] = {}
    for size in sizes[: crash_at + 1]:
        budget.spend(size, 0, NOON)
        kept = dict(budget.on_record(NOON) or kept)  # on the disk before the request goes out
    again = Budget(Limits(bytes_per_day=limit), kept)
    assert budget.spent(NOON) <= again.spent(NOON) <= budget.spent(NOON) + limit // STEPS_PER_DAY


def test_a_tally_survives_a_restart_and_a_damaged_one_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "uplinks.json"
    Tally(path).put("lte", {"2026-01-01": 5})
    assert Tally(path).of("lte") == {"2026-01-01": 5}
    assert Tally(path).of("wifi") == {}
    path.write_text('{"lte": 7}')
    assert Tally(path).of("lte") == {}
    assert "data volumes begin anew" in caplog.text
    path.unlink()
    path.with_name("uplinks.json.new").mkdir()
    with pytest.raises(StorageError, match="a restart would forget it"):
        Tally(path).put("lte", {"2026-01-01": 5})


def test_volumes_that_cannot_be_put_on_record_are_told_once_until_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, link = tmp_path / "gone", _link("lte", limit=64_000_000)

    async def run(call: Callable[[], T]) -> T:
        return call()

    async def scenario() -> None:
        choice = Choice([link], run, SyncSettings(), Tally(folder / "uplinks.json"), lambda: NOON)
        for _ in range(2):
            link.budget.spend(2_000_000, 0, NOON)
            assert "a restart would forget it" in await choice.record(link)
            assert choice.unrecorded
        assert len(caplog.records) == 1
        folder.mkdir()
        link.budget.spend(2_000_000, 0, NOON)
        assert await choice.record(link) == choice.unrecorded == ""

    asyncio.run(scenario())
    assert sum(Tally(folder / "uplinks.json").of("lte").values()) >= 6_000_000


def test_the_link_that_may_carry_more_is_used_then_the_one_named_first() -> None:
    metered = _link("metered", Policy(everything_below_bytes=10_000_000))
    cable = _link("cable")
    present = _link("present", Policy(carries=Carries.SNAPSHOTS))
    spent = _link("spent", limit=1000, used=1000)
    links = [spent, present, metered, cable]
    assert [link.name for link, _ in ranked(links, 5_000_000, NOON)] == ["metered", "cable", "present"]
    assert ranked(links, 20_000_000, NOON) == [
        (cable, Take.EVERYTHING),
        (present, Take.SNAPSHOTS),
        (metered, Take.SNAPSHOTS),
    ]


def test_batches_grow_while_replies_come_soon_and_shrink_when_they_come_late() -> None:
    sizing = Sizing(4 << 10, 1 << 20)
    assert sizing.batch_bytes == FIRST_BYTES
    sizes = []
    for number, seconds in enumerate((0.1, 0.1, 0.1, 0.1, 1.5, 3.0, 3.0)):
        sizing.landed(10.0 * number, 10.0 * number + seconds)
        sizes.append(sizing.batch_bytes >> 10)
    assert sizes == [256, 512, 1024, 1024, 1024, 512, 256]
    for _ in range(10):
        sizing.lost()
    assert sizing.batch_bytes == 4 << 10


def test_what_holds_up_all_that_is_under_way_halves_the_batches_once() -> None:
    sizing = Sizing(4 << 10, 1 << 20)
    for sent_at in (0.0, 0.1, 0.2, 0.3):
        sizing.landed(sent_at, 3.0)
    assert sizing.batch_bytes == FIRST_BYTES // 2
    sizing.landed(3.0, 5.5)
    assert sizing.batch_bytes == FIRST_BYTES // 4


def _link(name: str, policy: Policy | None = None, limit: int | None = None, used: int = 0) -> Link:
    budget = Budget(Limits(bytes_per_day=limit))
    budget.spend(used, 0, NOON)
    return Link(name, MemoryUplink(lambda request: request), policy or Policy(), budget)

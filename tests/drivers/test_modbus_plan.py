"""Reads of a device: few, within its limits, and cut where the device declines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal_drivers.modbus.lines import Reading
from packseal_drivers.modbus.plan import Place, Read, halves, plan
from packseal_drivers.modbus.poll import Poll, Silence

PLACES = st.lists(
    st.builds(Place, st.sampled_from([3, 4]), st.integers(0, 400), st.sampled_from([1, 2, 4])), min_size=1, max_size=60
)
LIMITS = st.tuples(st.integers(4, 125), st.integers(0, 124))


def wanted(places: list[Place], function: int) -> set[int]:
    return {address for p in places if p.function == function for address in range(p.address, p.end)}


@given(PLACES, LIMITS)
def test_every_place_comes_whole_with_one_read_within_the_limits(places: list[Place], limits: tuple[int, int]) -> None:
    max_registers, max_gap = limits
    reads = plan(places, max_registers, max_gap)
    assert all(any(read.holds(place) for read in reads) for place in places)
    for read in reads:
        own = wanted(places, read.function)
        assert 1 <= read.count <= max_registers
        assert {read.address, read.end - 1} <= own, "it begins or ends with what nobody wants"
        run = 0
        for address in range(read.address, read.end):
            run = 0 if address in own else run + 1
            assert run <= max_gap


@given(PLACES, LIMITS)
def test_two_neighbouring_reads_could_not_have_been_one(places: list[Place], limits: tuple[int, int]) -> None:
    max_registers, max_gap = limits
    reads = plan(places, max_registers, max_gap)
    assert reads == sorted(reads)
    for first, second in pairwise(reads):
        together = max(first.end, second.end) - first.address
        near = first.function == second.function and second.address - first.end <= max_gap
        starts = [p for p in places if p.function == second.function and p.address == second.address]
        assert (
            not near
            or together > max_registers
            or any(max(first.end, p.end) - first.address > max_registers for p in starts)
        )


def test_a_plan_by_hand() -> None:
    places = [Place(3, 0, 1), Place(3, 1, 2), Place(3, 5, 1), Place(4, 5, 1), Place(3, 100, 4)]
    assert plan(places, 100, 0) == [Read(3, 0, 3), Read(3, 5, 1), Read(3, 100, 4), Read(4, 5, 1)]
    assert plan(places, 100, 2) == [Read(3, 0, 6), Read(3, 100, 4), Read(4, 5, 1)]
    assert plan(places, 4, 2) == [Read(3, 0, 3), Read(3, 5, 1), Read(3, 100, 4), Read(4, 5, 1)]
    with pytest.raises(ValueError, match="a value of 4 registers does not fit into one read of 3"):
        plan(places, 3, 2)


@given(PLACES, LIMITS)
def test_cutting_ends_and_loses_nothing(places: list[Place], limits: tuple[int, int]) -> None:
    for read in plan(places, *limits):
        waiting, asked, steps = [read], [], 0
        while waiting:
            steps += 1
            assert steps < 1000
            part = waiting.pop()
            parts = halves(part, places)
            if parts == [part]:
                asked.append(part)
            else:
                waiting += parts
        for place in {p for p in places if read.holds(p)}:
            assert any(part.holds(place) for part in asked)


def device_without(missing: set[int], poll: Poll) -> set[int]:
    """Ask all that is due of a device that declines whatever holds a missing register; return what it said."""
    got: set[int] = set()
    waiting = poll.due(0)
    while waiting:
        read = waiting.pop(0)
        if missing.isdisjoint(range(read.address, read.end)):
            got.update(range(read.address, read.end))
            poll.answered(read)
        else:
            waiting[:0] = poll.declined(read, 2, 0)
    return got


@given(st.sets(st.integers(0, 60), min_size=1, max_size=40), st.sets(st.integers(0, 60), max_size=10), LIMITS)
def test_what_a_device_has_is_found_in_the_first_poll(
    addresses: set[int], missing: set[int], limits: tuple[int, int]
) -> None:
    places = [Place(3, address, 1) for address in addresses]
    poll = Poll(places, Reading(max_registers=limits[0], max_gap=limits[1]), 1_000_000_000)
    assert device_without(missing, poll) >= addresses - missing
    assert device_without(missing, poll) >= addresses - missing, "and again in the next one"
    assert all(
        read.end - read.address == 1 or missing.isdisjoint(range(read.address, read.end)) for read in poll.due(0)
    )


def test_a_register_that_is_not_there_is_asked_for_ever_more_seldom() -> None:
    poll = Poll([Place(3, 7, 1)], Reading(), 1_000_000_000)
    (read,) = poll.due(0)
    waits = []
    now_ns = 0
    for _ in range(12):
        assert poll.declined(read, 2, now_ns) == []
        due_ns = now_ns
        while not poll.due(due_ns):
            due_ns += 1_000_000_000
        waits.append((due_ns - now_ns) // 1_000_000_000)
        now_ns = due_ns
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]
    poll.answered(read)
    assert poll.declined(read, 6, now_ns) == []
    assert poll.due(now_ns) == [read], "a device that is busy is asked again in the next poll"


def test_a_silent_unit_is_left_alone_longer_and_longer() -> None:
    silence = Silence()
    assert [silence.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    silence.over()
    assert silence.next_s() == 0.5

"""Constancy: a state-of-health claim that stands still over many cycles is doubted once, over restarts as well."""

from collections.abc import Iterator

import msgspec
import pytest

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.constancy import FINE_CYCLES, WHOLE_CYCLES
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Notice, Sample

SOH, CURRENT = Channel(Quantity.STATE_OF_HEALTH_PCT), Channel(Quantity.PACK_CURRENT_A)
DELIVERS = frozenset({Quantity.STATE_OF_HEALTH_PCT, Quantity.PACK_CURRENT_A})
RATED_AH = 0.01
STEP_S = 9.0  # at 4 A and a hundredth of an ampere hour each sample that discharges is one full cycle
AMPERES = RATED_AH * 3600 / STEP_S
WALL_NS = 1_800_000_000_000_000_000


def meter(state: bytes | None = None, rated_ah: float | None = RATED_AH) -> Meter:
    return Meter(Declared(rated_capacity_ah=rated_ah), DELIVERS, 1.0, state)


def cycled(start: int, cycles: int, claim: float | None, flaw: Flaw | None = None) -> Iterator[Sample]:
    """One sample a cycle, numbered from `start`."""
    for number in range(start, start + cycles + 1):
        mono_ns = round(number * STEP_S * 1e9)
        at = Instant(mono_ns, WALL_NS + mono_ns, ClockQuality.NTP)
        values = {CURRENT: -AMPERES} | ({} if claim is None else {SOH: claim})
        yield Sample(at, values, {} if flaw is None else {SOH: flaw})


def doubts(watching: Meter, samples: Iterator[Sample]) -> list[Notice]:
    return [n for s in samples for n in watching.feed(s) if n.code is EventCode.HEALTH_CLAIM_CONSTANT]


@pytest.mark.parametrize(("claim", "limit"), [(100.0, WHOLE_CYCLES), (97.0, WHOLE_CYCLES), (97.5, FINE_CYCLES)])
def test_a_claim_that_stands_still_is_doubted_once_with_the_evidence(claim: float, limit: int) -> None:
    watching = meter()
    assert doubts(watching, cycled(0, limit - 1, claim)) == []
    (doubt,) = doubts(watching, cycled(limit, 3 * limit, claim))
    assert doubt.attributes == {
        "state_of_health_pct": f"{claim:.2f}",
        "full_equivalent_cycles": limit,
        "since_ms": WALL_NS // 1_000_000,
    }


def test_a_claim_that_moves_is_believed_and_counted_anew() -> None:
    watching = meter()
    start = 0
    for claim in (100.0, 99.0, 98.0):
        assert doubts(watching, cycled(start, WHOLE_CYCLES - 2, claim)) == []
        start += WHOLE_CYCLES - 1
    (doubt,) = doubts(watching, cycled(start, WHOLE_CYCLES, 98.0))
    assert doubt.attributes["state_of_health_pct"] == "98.00"


def test_what_was_seen_before_a_restart_counts_and_what_was_told_is_not_told_again() -> None:
    watching = meter()
    assert doubts(watching, cycled(0, WHOLE_CYCLES // 2, 100)) == []
    watching = meter(watching.save())
    watching.resume(0)
    assert len(doubts(watching, cycled(WHOLE_CYCLES, WHOLE_CYCLES, 100))) == 1
    watching = meter(watching.save())
    watching.resume(0)
    assert doubts(watching, cycled(3 * WHOLE_CYCLES, 3 * WHOLE_CYCLES, 100)) == []


def test_a_pack_that_rests_is_not_doubted_however_long() -> None:
    watching = meter()
    resting = (Sample(s.at, {SOH: 100.0, CURRENT: 0.0}) for s in cycled(0, 5 * WHOLE_CYCLES, None))
    assert doubts(watching, resting) == []


def test_neither_a_placeholder_nor_an_unknown_rated_capacity_makes_a_doubt() -> None:
    assert doubts(meter(), cycled(0, 3 * WHOLE_CYCLES, None, Flaw.PLACEHOLDER)) == []
    assert doubts(meter(rated_ah=None), cycled(0, 3 * WHOLE_CYCLES, 100)) == []


def test_a_state_of_a_program_that_knew_no_doubt_is_read() -> None:
    state = msgspec.msgpack.decode(meter().save())
    del state["constancy"]
    assert len(doubts(meter(msgspec.msgpack.encode(state)), cycled(0, WHOLE_CYCLES, 100))) == 1

"""Where a discharge stands to the cut-off of the lowest cell: before it, at it, or how far past it.

The cut-off is the declared one until the battery's own discharges are seen to end elsewhere: a data sheet's cut-off is
often below the one that a BMS or an inverter keeps, and what is never given is no capacity.
"""

from packseal.core.capacity.limits import Limits
from packseal.core.capacity.tracked import TrackerState

NEAR_EMPTY_V = 0.02
"""A discharge that ends so little above the cut-off has come to it."""
FARTHEST = 0.015
"""Of the charge: so far the end of a discharge may be carried on along its slope to the cut-off."""
DEEP_SHARE = 0.35
"""Of the voltage span: the mean over two minutes must be this low, so that a peak of current is no empty battery."""
STEEP_V = 3.0
"""V per unit of charge: the fall of a cell near its end."""
STRAIGHT = 0.25
"""Of the charge between two samples: how well a straight line tells where a curve that bends passed the cut-off."""
ALIKE = 0.01
"""Of the charge: ends this near to one another, along the slope, are one cut-off."""
USUAL = 3
"""So many steep ends in a row that are alike show where this battery is cut off."""
HABIT_GAIN = 0.3


def cut_off_v(state: TrackerState, limits: Limits) -> float:
    """Return the voltage of the lowest cell at which this battery is cut off, never below the declared one."""
    learnt = state.cut_off_v if state.cut_offs >= USUAL else None
    return limits.empty_v if learnt is None else max(learnt, limits.empty_v)


def pass_cut_off(state: TrackerState, empty_v: float) -> None:
    """Note when a discharge takes the lowest cell below the cut-off, by a straight line since the last tick."""
    if state.last_low_v >= empty_v:
        state.passed_as = None
    elif state.passed_as is None:
        fallen_v = state.ticked_low_v - state.last_low_v
        share = (state.ticked_low_v - empty_v) / fallen_v if state.ticked_low_v > empty_v else 0.0
        step_as = state.moved_as - state.ticked_as
        state.passed_as, state.passed_sd_as = state.ticked_as + share * step_as, STRAIGHT * step_as
    state.ticked_low_v = state.last_low_v


def to_cut_off(state: TrackerState, limits: Limits, capacity_as: float) -> float | None:
    """Return the charge from here to the cut-off along the present slope, negative past it; None if not near."""
    v_per_as = _fall(state)
    deep = max(state.smooth_v, state.last_low_v) <= limits.empty_v + DEEP_SHARE * limits.span_v
    if deep and _steady(state) and v_per_as * capacity_as >= STEEP_V:
        _learn(state, v_per_as * ALIKE * capacity_as)
    above_v = state.last_low_v - cut_off_v(state, limits)
    if above_v <= NEAR_EMPTY_V:
        return 0.0 if state.passed_as is None else state.passed_as - state.moved_as
    if v_per_as * capacity_as < STEEP_V or above_v / v_per_as > FARTHEST * capacity_as:
        return None
    return above_v / v_per_as


def cut_off_sd(state: TrackerState, beyond_as: float) -> float:
    """Return how well the charge from here to the cut-off, or back to it, is known."""
    return beyond_as / 2 if beyond_as > 0 else 0.0 if state.passed_as is None else state.passed_sd_as


def _fall(state: TrackerState) -> float:
    """Return by how many V per As the cell falls at the end of this discharge, 0 where it does not."""
    if not state.trail:
        return 0.0
    charge_as, cell_v = state.trail[0]
    given_as = charge_as - state.charge_as
    return max((cell_v - state.last_v) / given_as, 0.0) if given_as > 0 else 0.0


def _steady(state: TrackerState) -> bool:
    """Return whether the voltage fell by the charge that was given, not by a current that rose."""
    return bool(state.trail) and abs(state.charge_as - state.steady_as) >= abs(state.charge_as - state.trail[0][0])


def _learn(state: TrackerState, alike_v: float) -> None:
    """Follow where steep discharges end."""
    end_v = state.last_low_v
    if state.cut_off_v is None or abs(end_v - state.cut_off_v) > max(alike_v, NEAR_EMPTY_V):
        state.cut_off_v, state.cut_offs = end_v, 1
        return
    state.cut_off_v += HABIT_GAIN * (end_v - state.cut_off_v)
    state.cut_offs = min(state.cut_offs + 1, USUAL)

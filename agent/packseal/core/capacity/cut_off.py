"""Where a discharge stands to the declared cut-off of the lowest cell: before it, at it, or how far past it."""

from packseal.core.capacity.limits import Limits
from packseal.core.capacity.tracked import TrackerState

NEAR_EMPTY_V = 0.02
"""A discharge that ends so little above the cut-off has come to it."""
FARTHEST = 0.015
"""Of the charge: so far the end of a discharge may be carried on along its slope to the cut-off."""
STEEP_V = 3.0
"""V per unit of charge: the fall of a cell near its end."""


def pass_cut_off(state: TrackerState, empty_v: float) -> None:
    """Note when a discharge takes the lowest cell below the cut-off, by a straight line since the last tick."""
    if state.last_low_v >= empty_v:
        state.passed_as = None
    elif state.passed_as is None:
        fallen_v = state.ticked_low_v - state.last_low_v
        share = (state.ticked_low_v - empty_v) / fallen_v if state.ticked_low_v > empty_v else 0.0
        state.passed_as = state.ticked_as + share * (state.moved_as - state.ticked_as)
    state.ticked_low_v = state.last_low_v


def to_cut_off(state: TrackerState, limits: Limits, capacity_as: float) -> float | None:
    """Return the charge from here to the cut-off along the present slope, negative past it; None if not near."""
    above_v = state.last_low_v - limits.empty_v
    if above_v <= NEAR_EMPTY_V:
        return 0.0 if state.passed_as is None else state.passed_as - state.moved_as
    if not state.trail:
        return None
    charge_as, cell_v = state.trail[0]
    passed_as = charge_as - state.charge_as
    if passed_as <= 0:
        return None
    v_per_as = (cell_v - state.last_v) / passed_as
    if v_per_as * capacity_as < STEEP_V or above_v / v_per_as > FARTHEST * capacity_as:
        return None
    return above_v / v_per_as

"""A Kalman filter of the capacity and of its change per full equivalent cycle.

With the rate as second state the estimate goes on falling between two good sessions as it fell before them.
"""

from math import sqrt

import msgspec

RATE_SD = 0.003
"""Relative, per cycle, of the fade before anything was seen: 0.01 % in a good pack, 0.3 % in a worn cell."""
LEVEL_NOISE = 0.006
"""Relative, per square root of a cycle: recovery after rests, and what is not linear."""
RATE_NOISE = 0.0001
"""Relative per cycle, per square root of a cycle."""
DAY_NOISE, MOST_DAY_NOISE = 0.012, 0.03
"""Relative per square root of a day without cycles, and at most: hard-worked cells come back by up to 6 % in two weeks
(NASA B0006)."""
GATE = 4.0
"""Innovations over so many standard deviations are no update, until JUMP of them in a row agree."""
JUMP = 3
TRUSTED_JUMP, SURPRISE, MOST_STEP = 2, 2.0, 0.15
"""A hard-worked cell came back by 10.5 % in a day and a half (NASA B0006)."""
MOST_CYCLES_AHEAD = 60.0
"""The rate is carried on so far without evidence, and no farther."""


class FilterState(msgspec.Struct):
    """Capacity in ampere seconds, rate per cycle, their covariance; None before the first session."""

    capacity_as: float | None = None
    rate: float = 0.0
    p00: float = 0.0
    p01: float = 0.0
    p11: float = 0.0
    cycles: float = 0.0
    evidence_cycles: float = 0.0
    elapsed_s: float = 0.0
    sessions: int = 0
    refused: int = 0
    refused_as: float = 0.0


def begin(state: FilterState, capacity_as: float, relative_sd: float, cycles: float, elapsed_s: float) -> None:
    """Start at a capacity, with a fade that is not known."""
    state.capacity_as, state.rate = capacity_as, 0.0
    state.p00, state.p01, state.p11 = (relative_sd * capacity_as) ** 2, 0.0, (RATE_SD * capacity_as) ** 2
    state.cycles = state.evidence_cycles = cycles
    state.elapsed_s, state.refused = elapsed_s, 0


def predict(state: FilterState, cycles: float, elapsed_s: float) -> None:
    """Carry the state on to a throughput and a time."""
    capacity_as = state.capacity_as
    if capacity_as is None:
        return
    step = max(cycles - state.cycles, 0.0)
    carried = max(min(step, state.evidence_cycles + MOST_CYCLES_AHEAD - state.cycles), 0.0)
    idle_days = max((elapsed_s - state.elapsed_s) / 86400 - step, 0.0)
    recovery = min(DAY_NOISE * sqrt(idle_days), MOST_DAY_NOISE)
    state.capacity_as = capacity_as + carried * state.rate
    state.p00 += 2 * step * state.p01 + step * step * state.p11
    state.p00 += capacity_as**2 * (LEVEL_NOISE**2 * step + recovery**2)
    state.p01 += step * state.p11
    state.p11 = min(state.p11 + (RATE_NOISE * capacity_as) ** 2 * step, (RATE_SD * capacity_as) ** 2)
    state.cycles, state.elapsed_s = cycles, elapsed_s


def update(state: FilterState, measured_as: float, sd_as: float, floor_as: float, jump: int = JUMP) -> bool:
    """Take over one measurement; return whether it passed the gate. Call `predict` before.

    `jump` refused ones in a row that agree are believed after all. `floor_as` is what repeated sessions of one kind
    cannot get below, since they share their systematic errors.
    """
    if state.capacity_as is None:
        raise ValueError("begin comes first")
    off, variance = measured_as - state.capacity_as, state.p00 + sd_as**2
    if jump <= TRUSTED_JUMP and SURPRISE**2 * variance < off * off < (MOST_STEP * state.capacity_as) ** 2:
        # A whole session that surprises is right more often than what was foreseen: capacity comes back after rests.
        state.p00 += off * off
        variance = state.p00 + sd_as**2
    if off * off > GATE**2 * variance and not _jumped(state, measured_as, sd_as, jump):
        return False
    variance = state.p00 + sd_as**2
    gain, rate_gain = state.p00 / variance, state.p01 / variance
    least = min(state.p00, floor_as**2)
    state.capacity_as += gain * off
    state.rate += rate_gain * off
    state.p11 -= rate_gain * state.p01
    state.p01 *= 1 - gain
    state.p00 = max(state.p00 * (1 - gain), least)
    # A covariance larger than both variances allow would follow from the floor alone.
    bound = sqrt(state.p00 * max(state.p11, 0.0))
    state.p01 = min(max(state.p01, -bound), bound)
    state.evidence_cycles, state.refused = state.cycles, 0
    state.sessions += 1
    return True


def _jumped(state: FilterState, measured_as: float, sd_as: float, jump: int) -> bool:
    """Return whether refused sessions in a row agree on another capacity, as after a change of modules."""
    agrees = state.refused and abs(measured_as - state.refused_as) < 3 * sd_as
    state.refused = state.refused + 1 if agrees else 1
    state.refused_as = measured_as
    if state.refused < jump:
        return False
    state.p00 += (measured_as - (state.capacity_as or 0.0)) ** 2
    state.p01 = 0.0
    return True

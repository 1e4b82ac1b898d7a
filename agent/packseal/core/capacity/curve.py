"""The battery's own voltage curves, learnt while it charges and discharges, and the charge that a voltage means.

A curve is the mean cell's voltage and the pack's current at POINTS equal steps of the state of charge. From one while
charging and one while discharging come the open-circuit voltage and the resistance between them, so that any voltage
at a steady current, or none, can be told apart from its load.
"""

from typing import NamedTuple

import msgspec

from packseal.core.capacity.limits import Limits

POINTS = 41
STEPS = [n / (POINTS - 1) for n in range(POINTS)]
LEAST_POINTS = 12
"""A curve needs so many points of one pass."""
SLOW_C_RATE = 1 / 8
"""A charge as slow as this is near the open-circuit voltage by itself."""
REST_SD_V, LOAD_SD_V = 0.008, 0.010
"""How well a learnt voltage is known again, at rest and at a steady current: docs/state-of-health.md, anchors."""
AGED_SD_V = 0.0004
"""Per full equivalent cycle since it was learnt, up to MOST_AGED_V: the curve moves as the battery ages."""
MOST_AGED_V = 0.06
GROWTHS, GROWTH_GAIN = (-0.3, 2.0), 0.1
"""Growth of the resistance since the curves, by what it was, at least and at most; and how fast it is followed."""
SIMILAR = 0.3
"""A current this near to the learnt one, relative, needs little of the resistance."""


class Learnt(msgspec.Struct):
    """Voltage (V) and current (A) by state of charge, and the full equivalent cycles and capacity then.

    `rest_v` is what a cell showed at rest right before that discharge.
    """

    volts: list[float]
    amps: list[float]
    at_cycles: float
    capacity_as: float = 0.0
    rest_v: float | None = None


class CurveState(msgspec.Struct):
    """The newest curve of each direction, and by how many ohm a cell's slow resistance has grown since.

    `grown_ohm` is since the curve of discharging; `before_ohm` of it was there when that of charging was learnt.
    """

    charging: Learnt | None = None
    discharging: Learnt | None = None
    grown_ohm: float = 0.0
    before_ohm: float = 0.0


class Found(NamedTuple):
    """A state of charge by voltage: `sd` of it, and the slope in V per unit of charge."""

    soc: float
    sd: float
    slope: float


class Curve:
    """What is learnt of one battery, else the generic curve of its chemistry."""

    def __init__(self, limits: Limits, state: CurveState) -> None:
        self._limits, self.state = limits, state

    def learn(
        self,
        track: list[tuple[float, float, float]],
        cycles: float,
        capacity_as: float,
        rest_v: float | None,
        *,
        charging: bool,
    ) -> None:
        """Take over points of (state of charge, V, A) of one pass in one direction, if they reach far enough."""
        points = sorted(track)
        if len(points) < LEAST_POINTS or points[0][0] > 0.12 or points[-1][0] < 0.88:  # noqa: PLR2004 - the ends
            return
        learnt = Learnt([], [], cycles, capacity_as, rest_v)
        k = 0
        for n in range(POINTS):
            soc = n / (POINTS - 1)
            while k < len(points) - 2 and points[k + 1][0] < soc:
                k += 1
            (s0, v0, a0), (s1, v1, a1) = points[k], points[k + 1]
            share = min(max((soc - s0) / (s1 - s0), -1.0), 2.0) if s1 > s0 else 0.0
            learnt.volts.append(round(v0 + share * (v1 - v0), 5))
            learnt.amps.append(round(a0 + min(max(share, 0.0), 1.0) * (a1 - a0), 4))
        state = self.state
        if charging:
            state.charging, state.before_ohm = learnt, state.grown_ohm
        else:
            state.discharging = learnt
            state.grown_ohm, state.before_ohm = 0.0, state.before_ohm - state.grown_ohm

    def faded(self, capacity_as: float) -> float:
        """Return by which share the capacity has changed since the older curve was learnt, 0 without one."""
        learnt = [c for c in (self.state.charging, self.state.discharging) if c is not None and c.capacity_as]
        return max((abs(1 - capacity_as / c.capacity_as) for c in learnt), default=0.0)

    def ohm(self, n: int) -> float:
        """Return a cell's slow resistance per pack ampere at point `n`: between both curves, else as usual."""
        up, down = self.state.charging, self.state.discharging
        if up is None or down is None or up.amps[n] - down.amps[n] <= 0:
            return self._limits.cell_ohm
        ohm = (up.volts[n] - down.volts[n]) / (up.amps[n] - down.amps[n])
        return min(max(ohm, 0.1 * self._limits.cell_ohm), 10 * self._limits.cell_ohm)

    def volts(self, current_a: float) -> tuple[list[float], float] | None:
        """Return a learnt cell's voltage at the points under a steady current, and how well that is known (V)."""
        up, down = self.state.charging, self.state.discharging
        near = up if (current_a > 0 and up) or not down else down
        if near is None:
            return None
        usual = near.amps[POINTS // 2]
        both = up is not None and down is not None
        if not both and abs(current_a - usual) > SIMILAR * abs(usual) and not self._slow(usual):
            return None
        grown_v = (self.state.grown_ohm - (self.state.before_ohm if near is up else 0.0)) * current_a
        return [
            v + grown_v + self.ohm(n) * (current_a - a)
            for n, (v, a) in enumerate(zip(near.volts, near.amps, strict=True))
        ], (REST_SD_V if current_a == 0 else LOAD_SD_V)

    def compare(self, cell_v: float, current_a: float, soc: float, rest_v: float) -> None:
        """Take over how far the resistance has grown, from a discharge at the usual current that began at `rest_v`.

        The fall from rest is compared, since a charger that ends earlier moves both voltages alike.
        """
        state, down = self.state, self.state.discharging
        learnt = self.volts(current_a)
        if learnt is None or down is None or down.rest_v is None:
            return
        if abs(current_a - down.amps[POINTS // 2]) > SIMILAR * abs(current_a):
            return
        more_ohm = (cell_v - rest_v - _at(learnt[0], soc) + down.rest_v) / current_a
        low, high = (share * self.ohm(POINTS // 2) for share in GROWTHS)
        state.grown_ohm = min(max(state.grown_ohm + GROWTH_GAIN * more_ohm, low), high)

    def _slow(self, current_a: float) -> bool:
        return abs(current_a) <= SLOW_C_RATE * self._limits.rated_as / 3600

    def soc_of(self, cell_v: float, current_a: float, cycles: float) -> Found | None:
        """Return the state of charge that a cell's voltage means at a steady current or, with 0, at rest."""
        learnt = self.volts(current_a)
        if learnt is not None:
            newest = max(c.at_cycles for c in (self.state.charging, self.state.discharging) if c is not None)
            aged_v = min(AGED_SD_V * max(cycles - newest, 0.0), MOST_AGED_V)
            return _crossing(STEPS, learnt[0], cell_v, learnt[1] + aged_v)
        generic = self._limits.generic
        if generic is None or current_a:
            return None
        return _crossing(list(generic.shares), list(generic.volts), cell_v, generic.sd_v)

    def learnt_soc_of(self, ocv_v: float) -> Found | None:
        """Return what an open-circuit voltage means by the learnt curve alone."""
        learnt = self.volts(0.0)
        return None if learnt is None else _crossing(STEPS, learnt[0], ocv_v, learnt[1])

    def mean_discharge_v(self) -> float | None:
        """Return a cell's mean voltage over a whole discharge, as learnt."""
        down = self.state.discharging
        return None if down is None else (sum(down.volts) - (down.volts[0] + down.volts[-1]) / 2) / (POINTS - 1)

    def ocv_v(self, soc: float) -> float | None:
        """Return the learnt open-circuit voltage of a cell; None before both directions or a slow charge were seen."""
        learnt = self.volts(0.0)
        if learnt is None:
            return None
        return _at(learnt[0], soc)


def _crossing(shares: list[float], volts: list[float], cell_v: float, sd_v: float) -> Found | None:
    """Return where a rising curve crosses a voltage; None beyond its ends by more than the uncertainty."""
    for n in range(1, len(volts)):
        if volts[n - 1] <= cell_v <= volts[n]:
            break
    else:
        return None
    low, high = max(n - 2, 0), min(n + 1, len(volts) - 1)
    slope = max((volts[high] - volts[low]) / (shares[high] - shares[low]), 1e-3)
    rise = max(volts[n] - volts[n - 1], 1e-6)
    soc = shares[n - 1] + (cell_v - volts[n - 1]) / rise * (shares[n] - shares[n - 1])
    return Found(soc, sd_v / slope, slope)


def _at(volts: list[float], soc: float) -> float:
    """Return the voltage of a curve at a state of charge."""
    place = min(max(soc, 0.0), 1.0) * (POINTS - 1)
    n = min(int(place), POINTS - 2)
    return volts[n] + (place - n) * (volts[n + 1] - volts[n])

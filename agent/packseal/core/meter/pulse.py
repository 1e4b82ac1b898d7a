"""Current steps out of rest: found in a stream of samples, and what voltage over current they show after a fixed time.

A step begins at less than C/20 for 30 s or more, reaches C/5 or more, and stays within 10 % (docs/meters.md).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from packseal.core.meter.interval import NS_PER_S

REST_C = 1 / 20
"""A current below this is rest."""

REST_S = 30.0
STEP_C = 1 / 5
STEADY = 0.1
"""How far the current may be from its value at the end of the pulse, relative."""

NEAR_S = 2.0
"""Voltages are interpolated between samples that are no further apart than this; slower sampling shows no pulse."""

SETTLING = 0.1
"""The share of the pulse time in which the current may still rise, with at least `LEAST_SETTLING_S`."""
LEAST_SETTLING_S = 0.6
EARLY_S = 0.5
"""A pulse of a test ends at its nominal time, so the last sample in it may lie this much before that."""

HELD_S = 25.0
"""How long a step is followed: a current that only rises for 20 s has flowed for 10 s in the mean."""
FALLEN = 0.9
"""A current that rises after rest may fall back to this part of its greatest value, not further."""
MOST_SPREAD_S2 = 25.0
"""Variance of the times for which the parts of a risen current have flowed; beyond it their mean says too little."""
CURVED_PER_S2 = 0.0015
"""So much less than a step's the voltage is per unit of that variance, relative: half of the curvature of the step
response at 10 s, of which charge transfer with a time constant of 2 to 6 s is a third."""
RISEN_SD = 0.03
"""Relative: what else a risen current may show, against steps of the same battery."""
THINNED_S = 0.05
"""Moments of a step that are nearer to one another are not kept: so a step has no more than HELD_S over this."""
DRIFT_S = 10.0
DRIFT_NS = 10 * NS_PER_S
MAX_DRIFT = 0.1
"""A voltage that still moves by more than this share of the step's in DRIFT_S is not at rest."""


class Moment(NamedTuple):
    """Voltage and current at one time, in seconds since the last sample of the rest."""

    at_s: float
    voltage_v: float
    current_a: float


class Step(NamedTuple):
    """A step as it was seen: `moments[0]` is the last of the rest, the others are in the step."""

    moments: Sequence[Moment]
    drift_v: float
    """How far the voltage still moved in the last DRIFT_S of the rest."""


class Seen(NamedTuple):
    """What a step shows: `ohm` = dU/dI, `sd_ohm` from not knowing exactly when it began, and the drift at rest."""

    ohm: float
    sd_ohm: float


class StepWatch:
    """Watches for steps. Holds one at a time, and nothing over a gap.

    Args:
        rated_ah: what C/20 and C/5 are parts of.
        limit_ns: an interval longer than this is a gap: rest begins anew after it.
    """

    def __init__(self, rated_ah: float, limit_ns: int) -> None:
        self._rest_a, self._limit_ns = rated_ah * REST_C, limit_ns
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing that was is known to go on."""
        self._rest_ns: int | None = None
        self._last_ns, self._last_v, self._last_a = 0, 0.0, 0.0
        self._earlier = self._later = (0, 0.0)
        self._moments: list[Moment] = []

    def feed(self, now_ns: int, voltage_v: float, current_a: float) -> Step | None:
        """Account for one sample; return the step that is over, or seen for long enough, with it."""
        rest_a = self._rest_a
        rests = -rest_a < current_a < rest_a
        if not self._moments:
            if rests:
                self._rest(now_ns, voltage_v, current_a)
            elif self._rest_ns is not None:
                self._begin(now_ns, voltage_v, current_a)
            return None
        before = self._moments[-1].at_s
        at_s = (now_ns - self._last_ns) / NS_PER_S
        if rests or at_s - before > NEAR_S or at_s < before:
            return self._end(now_ns, voltage_v, current_a, rests=rests)
        if at_s - before >= THINNED_S:
            self._moments.append(Moment(at_s, voltage_v, current_a))
        return self._end(now_ns, voltage_v, current_a, rests=False) if at_s > HELD_S else None

    def _rest(self, now_ns: int, voltage_v: float, current_a: float) -> None:
        if self._rest_ns is None or not 0 <= now_ns - self._last_ns <= self._limit_ns:
            self._rest_ns = now_ns
            self._earlier = self._later = now_ns, voltage_v
        elif now_ns - self._later[0] >= DRIFT_NS:
            self._earlier, self._later = self._later, (now_ns, voltage_v)
        self._last_ns, self._last_v, self._last_a = now_ns, voltage_v, current_a

    def _begin(self, now_ns: int, voltage_v: float, current_a: float) -> None:
        began, self._rest_ns = self._rest_ns, None
        since_s = (now_ns - self._last_ns) / NS_PER_S
        if began is None or not 0 < since_s <= NEAR_S or self._last_ns - began < REST_S * NS_PER_S:
            return
        self._moments = [Moment(0.0, self._last_v, self._last_a), Moment(since_s, voltage_v, current_a)]

    def _end(self, now_ns: int, voltage_v: float, current_a: float, *, rests: bool) -> Step:
        moments, self._moments = self._moments, []
        span_s = (self._last_ns - self._earlier[0]) / NS_PER_S
        drift_v = (self._last_v - self._earlier[1]) * DRIFT_S / max(span_s, DRIFT_S)
        if rests:
            self._rest(now_ns, voltage_v, current_a)
        return Step(moments, drift_v)


def resistance(step: Step, pulse_s: float, least_a: float) -> Seen | None:
    """Return what a step of at least `least_a` shows `pulse_s` after it began, None where it was not as it must be.

    It began where the current passed half of its final value; within a sample interval that moment is not known.
    """
    moments, rest = step.moments, step.moments[0]
    final = next((m for m in moments if m.at_s >= pulse_s), moments[-1])
    swing_a = final.current_a - rest.current_a
    if abs(final.current_a) < least_a:
        return None
    k = next(i for i, m in enumerate(moments) if abs(m.current_a - rest.current_a) >= abs(swing_a) / 2)
    first, last = moments[k - 1], moments[k]
    part = (swing_a / 2 - (first.current_a - rest.current_a)) / (last.current_a - first.current_a)
    began_s = first.at_s + min(1.0, max(0.0, part)) * (last.at_s - first.at_s)
    found = _at(moments, began_s + pulse_s)
    if found is None:
        return None
    end, v_per_s = found
    settled_s = began_s + max(LEAST_SETTLING_S, SETTLING * pulse_s)
    held = [m for m in moments if settled_s <= m.at_s <= end.at_s]
    if any(abs(m.current_a - end.current_a) > STEADY * abs(end.current_a) for m in [*held, end]):
        return None
    current_a, voltage_v = end.current_a - rest.current_a, end.voltage_v - rest.voltage_v
    if voltage_v * current_a <= 0 or abs(step.drift_v) > MAX_DRIFT * abs(voltage_v):
        return None
    # the beginning lies anywhere in its interval: rectangular (GUM, JCGM 100 4.3.7); so does a drift that may fade
    sd_v = ((last.at_s - first.at_s) ** 2 / 12 * v_per_s**2 + (step.drift_v * pulse_s / DRIFT_S) ** 2 / 3) ** 0.5
    return Seen(voltage_v / current_a, sd_v / abs(current_a))


def risen(step: Step, pulse_s: float, least_a: float) -> Seen | None:
    """Return what a current that rises after rest shows when its parts have flowed for `pulse_s` in the mean.

    That is when charge over current is `pulse_s`, as it is `pulse_s` after a step. None where it never gets there.
    """
    rest, before = step.moments[0], step.moments[0]
    charge_as = charge_as2 = greatest_a = age_before = 0.0
    for now in step.moments[1:]:
        seconds, swing_a = now.at_s - before.at_s, now.current_a - rest.current_a
        more_as = seconds * (swing_a + before.current_a - rest.current_a) / 2
        charge_as2 += seconds * (charge_as + more_as / 2)
        charge_as += more_as
        greatest_a = max(greatest_a, abs(swing_a))
        if swing_a * charge_as <= 0 or abs(swing_a) < FALLEN * greatest_a:
            return None
        age_s = charge_as / swing_a
        if age_s >= pulse_s:
            part = (pulse_s - age_before) / (age_s - age_before)
            spread_s2 = 2 * charge_as2 / swing_a - age_s**2
            return _shown(step, before, now, part, spread_s2) if abs(now.current_a) >= least_a else None
        before, age_before = now, age_s
    return None


def _shown(step: Step, before: Moment, now: Moment, part: float, spread_s2: float) -> Seen | None:
    """Return what a risen current shows at a part of the way from one sample to the next."""
    rest = step.moments[0]
    current_a = before.current_a + part * (now.current_a - before.current_a) - rest.current_a
    voltage_v = before.voltage_v + part * (now.voltage_v - before.voltage_v) - rest.voltage_v
    if voltage_v * current_a <= 0 or abs(step.drift_v) > MAX_DRIFT * abs(voltage_v) or spread_s2 > MOST_SPREAD_S2:
        return None
    ohm, blur = voltage_v / current_a, CURVED_PER_S2 * max(0.0, spread_s2)
    return Seen(ohm * (1 + blur / 2), ohm * (blur / 12**0.5 + RISEN_SD) + abs(step.drift_v / current_a) / 3**0.5)


def _at(moments: Sequence[Moment], at_s: float) -> tuple[Moment, float] | None:
    """Return voltage and current at a time, by a straight line between its neighbours, and the slope there in V/s."""
    for before, after in pairwise(moments[1:]):
        if before.at_s <= at_s <= after.at_s:
            span_s = after.at_s - before.at_s
            part = (at_s - before.at_s) / span_s
            rise_v, rise_a = after.voltage_v - before.voltage_v, after.current_a - before.current_a
            if abs(rise_a) > STEADY * abs(after.current_a):
                return None
            where = Moment(at_s, before.voltage_v + part * rise_v, before.current_a + part * rise_a)
            return where, rise_v / span_s
    end, before = moments[-1], moments[-2]
    if len(moments) > 2 and at_s - min(EARLY_S, at_s / 20) <= end.at_s < at_s:  # noqa: PLR2004  # the rest and one of the step
        return end, (end.voltage_v - before.voltage_v) / (end.at_s - before.at_s)
    return None

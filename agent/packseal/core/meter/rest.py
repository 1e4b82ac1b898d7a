"""Long rests: how long, the charge that flowed meanwhile, and the hourly means of voltage and temperature in them.

A gap counts as rest only where the BMS's own counters of charge say that next to nothing flowed; its hours and that
charge are then taken over. Anything else ends the rest.
"""

from dataclasses import dataclass

import msgspec

from packseal.core.declared import Declared
from packseal.core.meter.interval import NS_PER_S
from packseal.core.meter.view import View
from packseal.core.quantities import Channel, Quantity

REST_C = 1 / 100
"""A current below this is rest: docs/meters.md, self-discharge."""
LOOK_NS = 60 * NS_PER_S
"""An hour's mean is of sixty looks."""
HOUR_S = 3600.0
AS_PER_AH = 3600.0
LEAST_LOOKS = 10
"""Means of fewer looks an hour are not taken: resolution and noise would not average out."""

STILL = 0.002
"""What may have flowed in a gap by the BMS's counters, of the rated capacity; their resolution must be as fine."""
PENDING_NS = 300 * NS_PER_S
"""How long after a gap the BMS's counters may take to come."""

COUNTERS = (Channel(Quantity.CHARGE_CHARGED_AH), Channel(Quantity.CHARGE_DISCHARGED_AH))


class Hour(msgspec.Struct, array_like=True, gc=False):
    """Mean cell voltage and temperature of an hour of rest; charge in since the rest began; seconds since then.

    `blur_as` is how uncertain that charge is where gaps were bridged; `celsius` is None where no temperature was told.
    Hours of one rest have the same `rest`.
    """

    rest: int
    at_s: float
    cell_v: float
    celsius: float | None
    charge_as: float
    blur_as: float


@dataclass(slots=True)
class RestState:
    """One rest as far as it has come, and the resolution of the BMS's counters of charge in Ah (0 = not seen)."""

    number: int = 0
    seconds: float = 0.0
    charge_as: float = 0.0
    blur_as: float = 0.0
    pending_s: float = 0.0
    hour_from_s: float = 0.0
    sum_v: float = 0.0
    sum_c: float = 0.0
    looks: int = 0
    warm_looks: int = 0
    counters_ah: tuple[float, float] | None = None
    resolution_ah: float = 0.0
    resting: bool = False


class RestWatch:
    """Follows the present rest; gives each of its hours."""

    def __init__(self, declared: Declared, limit_ns: int, state: RestState) -> None:
        self._rated_ah = declared.rated_capacity_ah or 0.0
        self._rest_a, self._limit_ns = self._rated_ah * REST_C, limit_ns
        self._last_ns: int | None = None
        self._last_a = 0.0
        self._looked_ns, self._woke_ns = -LOOK_NS, 0
        self.state = state

    def forget(self) -> None:
        """End the rest: whether it goes on is not known."""
        state = self.state
        state.seconds = state.charge_as = state.blur_as = state.pending_s = 0.0
        state.resting = False
        state.number += 1
        self._new_hour()

    def replaced(self) -> None:
        """End the rest, and forget the counters: they are of another BMS from now on."""
        self.forget()
        self.state.counters_ah, self.state.resolution_ah = None, 0.0

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of the gateway."""
        self._last_ns, self._looked_ns = None, -LOOK_NS
        self._gap(max(0, gap_ns))

    def feed(self, view: View, current_a: float) -> Hour | None:
        """Account for one sample; return the hour of rest that it completes."""
        state, now, last_ns = self.state, view.mono_ns, self._last_ns
        self._last_ns = now
        rest_a = self._rest_a
        if not -rest_a < current_a < rest_a:
            if state.resting:
                self.forget()
        elif not state.resting:
            state.resting = True
        elif last_ns is not None:
            elapsed = now - last_ns
            if 0 <= elapsed <= self._limit_ns:
                seconds = elapsed / NS_PER_S
                state.seconds += seconds
                state.charge_as += seconds * (current_a + self._last_a) / 2
            else:
                self._woke_ns = now
                self._gap(elapsed)
        else:
            self._woke_ns = now
        self._last_a = current_a
        return self._look(view) if not 0 <= now - self._looked_ns < LOOK_NS else None

    def _gap(self, gap_ns: int) -> None:
        state = self.state
        if not state.resting:
            return
        if 0 <= gap_ns <= self._limit_ns:
            state.seconds += gap_ns / NS_PER_S
        elif gap_ns < 0 or state.counters_ah is None or not 0 < state.resolution_ah <= STILL * self._rated_ah:
            self.forget()
        else:
            state.pending_s += gap_ns / NS_PER_S
            self._new_hour()

    def _look(self, view: View) -> Hour | None:
        state, values = self.state, view.sample.values
        self._looked_ns = view.mono_ns
        into, out = values.get(COUNTERS[0]), values.get(COUNTERS[1])
        if into is not None and out is not None:
            self._count(into, out)
        elif state.pending_s and view.mono_ns - self._woke_ns > PENDING_NS:
            self.forget()
        if not state.resting or state.pending_s or view.cell_v is None:
            return None
        done = self._hour() if state.seconds - state.hour_from_s >= HOUR_S else None
        state.sum_v += view.cell_v
        state.looks += 1
        if view.hottest_c is not None and view.coldest_c is not None:
            state.sum_c += view.hottest_c / 2 + view.coldest_c / 2
            state.warm_looks += 1
        return done

    def _count(self, into_ah: float, out_ah: float) -> None:
        """Take the BMS's counters: for their resolution, and for what flowed in a gap."""
        state = self.state
        before, state.counters_ah = state.counters_ah, (into_ah, out_ah)
        if before is None:
            return
        moved = into_ah - before[0], out_ah - before[1]
        if state.pending_s:
            if min(moved) < 0 or sum(moved) > STILL * self._rated_ah:
                self.forget()
                return
            state.seconds += state.pending_s
            state.charge_as += (moved[0] - moved[1]) * AS_PER_AH
            state.blur_as += (sum(moved) + state.resolution_ah) * AS_PER_AH
            state.pending_s = 0.0
            self._new_hour()
            return
        steps = [step for step in moved if step > 0]
        if steps:
            finest = min(steps)
            state.resolution_ah = min(state.resolution_ah, finest) if state.resolution_ah else finest

    def _hour(self) -> Hour | None:
        state = self.state
        hour = None
        if state.looks >= LEAST_LOOKS:
            middle_s = (state.hour_from_s + state.seconds) / 2
            celsius = state.sum_c / state.warm_looks if state.warm_looks else None
            hour = Hour(state.number, middle_s, state.sum_v / state.looks, celsius, state.charge_as, state.blur_as)
        self._new_hour()
        return hour

    def _new_hour(self) -> None:
        state = self.state
        state.hour_from_s, state.sum_v, state.sum_c, state.looks, state.warm_looks = state.seconds, 0.0, 0.0, 0, 0

"""Closed loops: the stretch between two moments of equal state of charge, with all that went in and out meanwhile."""

from dataclasses import astuple, dataclass, replace

import msgspec

from packseal.core.declared import Declared
from packseal.core.meter.interval import NS_PER_S
from packseal.core.meter.view import View

AS_PER_AH, WS_PER_KWH = 3600.0, 3.6e6
CLOSED_PCT, MOST_PCT = 0.5, 2.0
"""A loop ends as close as this to where it began; as 2 % where the state of charge moves in coarser steps."""
LEVEL_PCT = 5.0
"""Loops may begin at each of these states of charge, since nobody knows to which the battery will come back."""
LEAST_SHARE = 0.5
"""Energy charged in a loop, of the rated."""
JUMP_PCT = 3.0
"""A state of charge that moves by so much more or less than current and resolution explain was put right by the BMS."""
ZERO_C, CHARGING_C = 1 / 100, 1 / 50
"""Below the first a current tells of the sensor's zero; above the second the battery charges."""

FULL_V = {"nmc": 4.2, "nca": 4.2, "lco": 4.2, "lmo": 4.2, "lfp": 3.6}
"""Cell voltage at which a charge ends, as in data sheets; a full one ends within FULL_WITHIN_V of it or above."""
FULL_WITHIN_V, SAME_V = 0.05, 0.02
WEIGHED_NS = 10 * NS_PER_S
"""Rate, temperature and zero of a loop are taken this often; they need no more for a mean."""
HALF_NS_IN_S = 0.5 / NS_PER_S
TAPERED_C = 0.25
"""A charge that ends at the voltage limit with less than this ends full: CV phases end at C/20 to C/5."""


@dataclass(slots=True)
class Sums:
    """What went in and out since a loop began. All sums are non-negative but `zero_as` and `warm`."""

    in_ws: float = 0.0
    out_ws: float = 0.0
    in_as: float = 0.0
    out_as: float = 0.0
    seconds: float = 0.0
    flow_as: float = 0.0
    square_a2s: float = 0.0
    warm: float = 0.0
    """Temperature in °C times |energy| in Ws, and below that energy where a temperature was known."""
    warm_ws: float = 0.0
    zero_as: float = 0.0
    """Charge while the current was next to zero, and the time of that."""
    zero_s: float = 0.0


class Loop(msgspec.Struct, gc=False):
    """One closed loop. `short`: charge at its beginning less that at its end, 0 to 1; `full`: between full charges."""

    sums: Sums
    short: float
    full: bool


class LoopWatch:
    """Finds closed loops, one at a time; a gap, a flaw or a state of charge put right by the BMS begins anew."""

    def __init__(self, declared: Declared, rated_ws: float, limit_ns: int, *, by_bms: bool) -> None:
        rated_ah = declared.rated_capacity_ah or 0.0
        self._limit_ns, self._least_ws, self._by_bms = limit_ns, LEAST_SHARE * rated_ws, by_bms
        self._pct_per_as = 100 / (AS_PER_AH * rated_ah) if rated_ah else 0.0
        self._zero_a, self._charging_a, self._tapered_a = (rated_ah * c for c in (ZERO_C, CHARGING_C, TAPERED_C))
        self._full_v = FULL_V.get(declared.chemistry or "", float("inf")) - FULL_WITHIN_V
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._last_ns: int | None = None
        self._weighed_ns = 0
        self._last_a = self._last_w = 0.0
        self._charged_to: tuple[float, float] | None = None
        self._soc_pct: float | None = None
        self._step_pct = 100.0
        self._full_at_v: float | None = None
        self._start()

    def feed(self, view: View, current_a: float, voltage_v: float) -> Loop | None:
        """Account for one sample; return the loop that it closes."""
        last_ns, now = self._last_ns, view.mono_ns
        power_w = current_a * voltage_v
        if last_ns is None or not 0 <= now - last_ns <= self._limit_ns:
            self.forget()
            self._weighed_ns = now
        else:
            self._flow((now - last_ns) * HALF_NS_IN_S, current_a, power_w)
            if now - self._weighed_ns >= WEIGHED_NS:
                self._weigh(now, current_a, power_w, view.coldest_c)
        self._last_ns, self._last_a, self._last_w = now, current_a, power_w
        if not self._by_bms:
            return self._full_charge(view.cell_v, current_a)
        soc_pct = view.soc_pct
        return self._equal_charge(soc_pct) if soc_pct != self._soc_pct and soc_pct is not None else None

    def _flow(self, half_s: float, current_a: float, power_w: float) -> None:
        """Account for an interval; where the current turned in it, each end counts to its own side."""
        sums, last_a, last_w = self._sums, self._last_a, self._last_w
        if current_a > 0 < last_a:
            sums.in_as += half_s * (current_a + last_a)
            sums.in_ws += half_s * (power_w + last_w)
            return
        if current_a <= 0 >= last_a:
            sums.out_as -= half_s * (current_a + last_a)
            sums.out_ws -= half_s * (power_w + last_w)
            return
        if last_a > 0:
            current_a, power_w, last_a, last_w = last_a, last_w, current_a, power_w
        sums.in_as += half_s * current_a
        sums.in_ws += half_s * power_w
        sums.out_as -= half_s * last_a
        sums.out_ws -= half_s * last_w

    def _start(self) -> None:
        self._sums, self._soc_as = Sums(), 0.0
        self._began: dict[int, tuple[float, Sums]] = {}
        """Where the battery was first, by state of charge, and what had gone in and out until then."""

    def _weigh(self, now_ns: int, current_a: float, power_w: float, celsius: float | None) -> None:
        """Take the present current and temperature for the time since they were last taken."""
        sums, seconds = self._sums, (now_ns - self._weighed_ns) / NS_PER_S
        self._weighed_ns = now_ns
        sums.seconds += seconds
        if -self._zero_a < current_a < self._zero_a:
            sums.zero_as += seconds * current_a
            sums.zero_s += seconds
            return
        sums.flow_as += seconds * abs(current_a)
        sums.square_a2s += seconds * current_a * current_a
        if celsius is not None:
            weight = seconds * abs(power_w)
            sums.warm += weight * celsius
            sums.warm_ws += weight

    def _equal_charge(self, soc_pct: float) -> Loop | None:
        """Take a new state of charge: the battery may be back at one where it was before."""
        sums, before = self._sums, self._soc_pct
        self._soc_pct = soc_pct
        charge_as = sums.in_as - sums.out_as
        counted_pct = (charge_as - self._soc_as) * self._pct_per_as
        self._soc_as = charge_as
        if before is not None:
            self._step_pct = min(self._step_pct, abs(soc_pct - before))
            if abs(soc_pct - before - counted_pct) > JUMP_PCT + self._step_pct + abs(counted_pct) / 2:
                self._start()
        level = round(soc_pct / LEVEL_PCT)
        began = self._began.get(level)
        if began is None:
            self._began[level] = soc_pct, replace(self._sums)
            return None
        near = min(MOST_PCT, max(CLOSED_PCT, self._step_pct / 2))
        if sums.in_ws - began[1].in_ws < self._least_ws or abs(soc_pct - began[0]) > near:
            return None
        loop = Loop(_less(sums, began[1]), (began[0] - soc_pct) / 100, full=False)
        self._start()
        self._began[level] = soc_pct, Sums()
        return loop

    def _full_charge(self, cell_v: float | None, current_a: float) -> Loop | None:
        if current_a > self._charging_a:
            self._charged_to = (cell_v, current_a) if cell_v is not None else None
            return None
        if self._charged_to is None:
            return None
        (end_v, end_a), self._charged_to = self._charged_to, None
        if end_v < self._full_v or end_a > self._tapered_a:
            return None
        sums, began = self._sums, self._full_at_v
        self._full_at_v = end_v
        self._start()
        if began is None or abs(began - end_v) > SAME_V or sums.in_ws < self._least_ws:
            return None
        return Loop(sums, 0.0, full=True)


def _less(sums: Sums, before: Sums) -> Sums:
    """Return what went in and out since `before`."""
    now, then = astuple(sums), astuple(before)
    return Sums(*(a - b for a, b in zip(now, then, strict=True)))

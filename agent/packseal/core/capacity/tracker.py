"""Tracker: follows one battery sample by sample and tells where its state of charge is known.

An interval over the gap limit is not integrated. What was known before it stays known only where the voltage after it
agrees; the estimator decides that.
"""

from math import exp, hypot, log

from packseal.core.capacity.anchor import Anchor, Kind
from packseal.core.capacity.curve import Curve
from packseal.core.capacity.cut_off import DEEP_SHARE, cut_off_sd, cut_off_v, pass_cut_off, to_cut_off
from packseal.core.capacity.limits import Limits
from packseal.core.capacity.seen import Seen
from packseal.core.capacity.tracked import CHARGING, DISCHARGING, RESTING, TrackerState

NS_PER_S = 1e9
TICK_S = 10.0
SMOOTH_S = 120.0
"""Voltage and current are followed in steps of TICK_S, as a mean that fades within two minutes."""
LEAST_LOAD_S = LEAST_REST_S = 60.0
"""Shorter stretches, such as regenerative braking, end nothing."""
NEAR_FULL_V = 0.015
"""A charge that ends so little below the upper voltage has come to it."""
TAPERED = 0.5
"""A charge that ended with its current at this share of its peak, at a held voltage, was ended by the charger."""
HELD_V = 0.008
BELOW_FULL_V = 0.15
"""Held: within HELD_V of this charge's highest voltage. One that ends further below the declared one is no full one."""
FULL_SD = EMPTY_SD = 0.004  # of the charge: docs/state-of-health.md, anchors
TAIL_SD = 0.08
"""Per C of tail current away from this charger's habit."""
RATE_SD = 0.02
"""Per e-fold of the current away from that at which this battery is usually emptied."""
HABIT_GAIN = 0.3
"""What a new current changes of a habit: five in a row are five sixths of it."""
TRACK_STEP, MOST_TRACK = 0.012, 90
"""Of a pass one point in 1.2 % of the charge is kept: 84 of a whole one."""
SOON_AFTER_FULL = (0.08, 0.2)
"""Share given since full at which the state of charge is known well, whatever the capacity has become."""
STEADY, STEADY_SHARE = 0.1, 0.04
"""A current within 10 % over 4 % of the charge is steady."""


class Tracker:
    """Gives anchors to `told`, and calls `closed` where a session may end."""

    def __init__(
        self,
        limits: Limits,
        curve: Curve,
        limit_ns: int,
        state: TrackerState,
        capacity_as: float,
        known: list[Anchor],
    ) -> None:
        self.limits, self._curve, self.limit_ns, self._limit_s = limits, curve, limit_ns, limit_ns / NS_PER_S
        self.state, self._rest_a = state, limits.rest_a
        self.capacity_as, self._known = capacity_as, known
        self.anchors: list[Anchor] = []

    @property
    def cycles(self) -> float:
        """Full equivalent cycles by throughput."""
        return self.state.moved_as / (2 * self.limits.rated_as)

    def goes_on(self, view: Seen) -> bool:
        """Account for a sample that goes on with the present stretch, as most do; False for others, untouched."""
        state, current, cell, last_ns = self.state, view.current_a, view.cell_v, self.state.last_ns
        if current is None or cell is None or last_ns is None:
            return False
        seconds = (view.mono_ns - last_ns) / NS_PER_S
        rest_a = self._rest_a
        mode = RESTING if -rest_a < current < rest_a else CHARGING if current > 0 else DISCHARGING
        if mode != state.mode or not 0 < seconds <= self._limit_s:
            return False
        self._integrate(current, seconds)
        self._keep(view, current, cell)
        if state.elapsed_s >= state.tick_s:
            self._tick(view, current, cell)
        return True

    def feed(self, view: Seen) -> bool:
        """Account for one sample; return whether a session may have ended. New anchors are in `anchors`."""
        current, cell = view.current_a, view.cell_v
        if current is None or cell is None:
            return False
        state = self.state
        if state.last_ns is None:
            return self._begin(view, current, cell)
        seconds = (view.mono_ns - state.last_ns) / NS_PER_S
        if not 0 < seconds <= self._limit_s:
            return self.gap(view, seconds)
        self._integrate(current, seconds)
        rest_a = self._rest_a
        mode = RESTING if -rest_a < current < rest_a else CHARGING if current > 0 else DISCHARGING
        ended = False
        if mode != state.mode and not (mode == RESTING and self._trickles(current, cell)):
            ended = self._change(mode)
        self._keep(view, current, cell)
        if state.elapsed_s >= state.tick_s:
            self._tick(view, current, cell)
        return ended

    def _integrate(self, current: float, seconds: float) -> None:
        state, last_a = self.state, self.state.last_a
        moved = (current + last_a) * seconds / 2
        stepped = (current - last_a) * seconds
        state.blurred += stepped * stepped
        if moved > 0:
            state.moved_as += moved
            moved *= state.efficiency
        else:
            state.moved_as -= moved
        state.charge_as += moved
        state.elapsed_s += seconds

    def _trickles(self, current: float, cell: float) -> bool:
        state = self.state
        full_v = state.full_v or self.limits.full_v
        return state.mode == CHARGING and current > self.limits.tail_a and cell >= full_v - NEAR_FULL_V

    def _keep(self, view: Seen, current: float, cell: float) -> None:
        state = self.state
        state.last_ns, state.last_a, state.last_v = view.mono_ns, current, cell
        lowest, highest = view.lowest_v, view.highest_v
        state.last_low_v = cell if lowest is None else lowest
        state.last_high_v = cell if highest is None else highest

    def _begin(self, view: Seen, current: float, cell: float) -> bool:
        state, rest_a = self.state, self.limits.rest_a
        state.mode = RESTING if abs(current) < rest_a else CHARGING if current > 0 else DISCHARGING
        state.since_s, state.since_as = state.elapsed_s, state.charge_as
        state.smooth_v, state.smooth_a = cell, current
        self._start(current)
        self._keep(view, current, cell)
        self._tick(view, current, cell)
        return False

    def _start(self, current: float) -> None:
        """Begin a stretch of one mode."""
        state = self.state
        state.peak_a = state.top_v = 0.0
        state.passed_as = None
        state.steady_a, state.steady_as, state.steady_told = current, state.charge_as, False

    def gap(self, view: Seen | None, seconds: float) -> bool:
        """Account for a time that was not observed; return True: whatever went on is to be closed."""
        state = self.state
        self._end()
        state.elapsed_s += max(seconds, 0.0)
        state.gaps_s += max(seconds, 0.0)
        state.trail = []
        before_s = state.since_s if state.mode == RESTING else state.elapsed_s - max(seconds, 0.0)
        state.last_ns = None
        if view is None or view.current_a is None or view.cell_v is None:
            return True
        self._begin(view, view.current_a, view.cell_v)
        if state.mode == RESTING:
            # A battery whose gateway slept is taken to have rested as well if it rests now.
            state.since_s = before_s
        return True

    def _change(self, mode: int) -> bool:
        state = self.state
        ended = self._end()
        if mode == DISCHARGING:
            state.rested_v = state.last_v if state.mode == RESTING else None
        state.mode, state.since_s, state.since_as = mode, state.elapsed_s, state.charge_as
        self._start(0.0)
        return ended

    def _end(self) -> bool:
        """End the present stretch with the anchor that it gives; return whether a session may end here."""
        state, count = self.state, len(self.anchors)
        lasted_s = state.elapsed_s - state.since_s
        if state.mode == RESTING:
            if lasted_s < LEAST_REST_S:
                return False
            self._rested(lasted_s)
            return True
        if lasted_s < LEAST_LOAD_S:
            return False
        state.load_a = state.smooth_a
        if state.mode == CHARGING:
            self._charged()
        else:
            self._discharged()
        if len(self.anchors) > count:
            return True
        self._loaded()
        return False

    def _rested(self, lasted_s: float) -> None:
        state, limits = self.state, self.limits
        found = self._curve.soc_of(state.last_v, 0.0, self.cycles)
        if found is None:
            return
        settling_v = limits.cell_ohm / 2 * abs(state.load_a) * exp(-3 * lasted_s / limits.rest_s)
        self.tell(Kind.REST, found.soc, hypot(found.sd, settling_v / found.slope))

    def _charged(self) -> None:
        state, limits = self.state, self.limits
        high_v = state.last_high_v
        tapered = 0 < state.last_a < TAPERED * state.peak_a and high_v >= state.top_v - HELD_V
        if tapered and high_v >= limits.full_v - BELOW_FULL_V:
            state.full_v = high_v
        elif high_v < (state.full_v or limits.full_v) - NEAR_FULL_V:
            return
        off_a = 0.0 if state.tail_a is None else abs(state.last_a - state.tail_a)
        state.tail_a = _habit(state.tail_a, state.last_a)
        self.tell(Kind.FULL, 1.0, FULL_SD + TAIL_SD * off_a * 3600 / limits.rated_as)

    def _discharged(self) -> None:
        state, limits = self.state, self.limits
        beyond_as = to_cut_off(state, limits, self.capacity_as)
        if beyond_as is None or state.smooth_v > limits.empty_v + DEEP_SHARE * limits.span_v:
            return
        away = 0.0 if state.empty_a is None else abs(log(max(-state.smooth_a, 1e-6) / state.empty_a))
        state.empty_a = _habit(state.empty_a, max(-state.smooth_a, 1e-6))
        sd = hypot(EMPTY_SD, RATE_SD * away, cut_off_sd(state, beyond_as) / self.capacity_as)
        full = self._full()
        capacity_as = self.capacity_as if full is None else full.charge_as - state.charge_as + beyond_as
        self.tell(Kind.EMPTY, beyond_as / capacity_as, sd)

    def _full(self) -> Anchor | None:
        return next((a for a in self._known if a.kind == Kind.FULL), None)

    def _loaded(self) -> None:
        """Tell the state of charge by the voltage at a steady current."""
        state = self.state
        if abs(state.charge_as - state.steady_as) < STEADY_SHARE * self.capacity_as:
            return
        found = self._curve.soc_of(state.last_v, state.last_a, self.cycles)
        if found is not None:
            self.tell(Kind.LOAD, found.soc, found.sd)

    def tell(self, kind: Kind, soc: float, sd: float) -> None:
        """Keep an anchor as of now."""
        state = self.state
        sums = (state.charge_as, state.moved_as, state.heated_as, state.heat, state.elapsed_s)
        self.anchors.append(Anchor(kind, soc, sd, *sums, state.elapsed_s - state.gaps_s, state.warm_c, state.blurred))

    def _tick(self, view: Seen, current: float, cell: float) -> None:
        state = self.state
        passed_s = TICK_S + state.elapsed_s - state.tick_s
        state.tick_s = state.elapsed_s + TICK_S
        share = 1.0 if passed_s > 10 * SMOOTH_S else 1 - exp(-passed_s / SMOOTH_S)
        state.smooth_v += share * (cell - state.smooth_v)
        state.smooth_a += share * (current - state.smooth_a)
        there = [c for c in (view.coldest_c, view.hottest_c) if c is not None]
        if there:
            warm = sum(there) / len(there)
            fresh_as = state.moved_as - state.ticked_as
            state.heated_as += fresh_as
            state.heat += warm * fresh_as
            state.warm_c = warm
        if state.mode == DISCHARGING:
            pass_cut_off(state, cut_off_v(state, self.limits))
        state.ticked_as = state.moved_as
        if state.mode != RESTING:
            self._follow(current, cell)

    def _follow(self, current: float, cell: float) -> None:
        """Keep what a stretch of charge or discharge is judged by."""
        state, step_as = self.state, TRACK_STEP * self.capacity_as
        state.peak_a, state.top_v = max(state.peak_a, current), max(state.top_v, state.last_high_v)
        if abs(current - state.steady_a) > STEADY * abs(state.steady_a):
            state.steady_a, state.steady_as, state.steady_told = current, state.charge_as, False
        elif not state.steady_told and abs(state.charge_as - state.steady_as) >= STEADY_SHARE * self.capacity_as:
            state.steady_told = True
            self._loaded()
        trail = state.trail
        if not trail or abs(state.charge_as - trail[-1][0]) >= step_as / 2:
            trail.append((state.charge_as, cell))
            del trail[:-3]
        if abs(state.charge_as - state.since_as) < step_as:
            return
        if state.track_mode != state.mode:
            state.track_mode, state.track = state.mode, []
        track = state.track
        if len(track) < MOST_TRACK and (not track or abs(state.charge_as - track[-1][0]) >= step_as):
            track.append((state.charge_as, cell, current))
            self._compare(current, cell)

    def _compare(self, current: float, cell: float) -> None:
        """Hold the voltage of a steady discharge, soon after full, against the curve: the resistance has grown."""
        state = self.state
        full = self._full()
        steady = abs(state.charge_as - state.steady_as) >= STEADY_SHARE / 2 * self.capacity_as
        if full is None or not steady or current >= 0 or state.rested_v is None:
            return
        given = (full.charge_as - state.charge_as) / self.capacity_as
        if SOON_AFTER_FULL[0] <= given <= SOON_AFTER_FULL[1]:
            self._curve.compare(cell, current, 1 - given, state.rested_v)


def _habit(before: float | None, now: float) -> float:
    return now if before is None else before + HABIT_GAIN * (now - before)

"""Estimator: anchors in, graded sessions and the capacity out, with what it has learnt of the battery's curve."""

from math import hypot, sqrt

import msgspec

from packseal.core.capacity import kalman
from packseal.core.capacity.anchor import Anchor, Grade, Kind, Pair, Session, graded, pair
from packseal.core.capacity.curve import Curve, CurveState
from packseal.core.capacity.kalman import FilterState
from packseal.core.capacity.limits import AS_PER_AH, UNKNOWN_SD, Limits
from packseal.core.capacity.seen import Seen
from packseal.core.capacity.tracked import CHARGING, DISCHARGING, TrackerState
from packseal.core.capacity.tracker import NEAR_FULL_V, Tracker

LEAST_SHARE = 0.05
"""Of the rated capacity: less charge makes no session."""
FLOOR_SD = {Grade.A: 0.0035, Grade.B: 0.012, Grade.C: 0.025}
"""Relative: sessions of one kind share errors, and many of them are not better than this."""
JUMPS = {Grade.A: 2, Grade.B: 5, Grade.C: 8}
"""So many sessions in a row must agree to be believed against what was known before."""
ENDS_SD = 0.005
"""Relative: where full and empty lie, in all sessions alike."""
MOST_ANCHORS = 6
"""Bounds the state: one of each kind and two of a steady load are kept."""
AWAY_SD_PER_MONTH = 0.02
"""Of the charge: self-discharge and what the battery itself consumes while nobody looks."""
KEPT_SD = 0.002
"""Of the charge: what a gap adds, however short, to an anchor that the voltage does not contradict."""
FULL_SAG_V, FULL_LOADED_SAG_V = 0.12, 0.35
"""So far below where its charge ended a full cell may be found after a gap, at rest and under load."""
EMPTY_RISE_SHARE, MORE_RISE_V = 0.65, 0.08
"""Of the voltage span: an aged cell that was cut off under load comes back so far at rest."""
LOW_AT_REST = 0.25
"""By the learnt curve: where an aged cell comes back to."""
FULL_AT_REST_SD = 0.01
"""Of the charge, of a battery found at rest where charging ends: nobody saw how it came there."""
SLEPT_V, SLEPT_NS = 0.06, 3_600_000_000_000
"""Within an hour, with rest and no more than this apart at both ends, nothing has flowed."""
EFFICIENCIES = (0.96, 1.005)
"""Least and greatest of what is learnt: 0.997 or more is the cell's own, the rest a current sensor's zero."""
CURVE_SD = 0.7
"""Per share that the capacity has changed since the curve was learnt: what makes it fade also moves the curve."""
UNLIKE = 0.03
"""What a charge takes is what the discharge before gave, within this; a cell that has just recovered shows more."""
UNPROVEN_SD = 0.01
"""Relative, of a capacity from a charge before two full loops have shown the coulombic efficiency."""


class EstimatorState(msgspec.Struct):
    """All that the estimator remembers: a few kilobytes, whatever the battery's age."""

    tracker: TrackerState = msgspec.field(default_factory=TrackerState)
    curve: CurveState = msgspec.field(default_factory=CurveState)
    filter: FilterState = msgspec.field(default_factory=FilterState)
    anchors: list[Anchor] = msgspec.field(default_factory=list)
    closed_s: float = -1.0
    closed_as: float = 0.0
    given_as: float | None = None
    loops: int = 0
    soft: int = 0
    wall_ms: int = 0
    empty_rest_v: float = 0.0


class Estimator:
    """Estimates one battery's capacity. Needs its limits; `feed` takes every sample."""

    def __init__(self, limits: Limits, limit_ns: int, state: EstimatorState) -> None:
        self._limits, self.state = limits, state
        self.curve = Curve(limits, state.curve)
        known = state.filter.capacity_as or limits.rated_as
        self._tracker = Tracker(limits, self.curve, limit_ns, state.tracker, known, state.anchors)

    def feed(self, view: Seen) -> Session | None:
        """Account for one sample; return the session that ended with it, if any."""
        tracker = self._tracker
        if tracker.goes_on(view):
            if tracker.anchors:
                self._take(tracker.anchors)
            return None
        last_ns, last_a, last_v = tracker.state.last_ns, tracker.state.last_a, tracker.state.last_v
        ended = tracker.feed(view)
        if tracker.anchors:
            self._take(tracker.anchors)
        if last_ns is None:
            self._full_at_rest(view)
        if not ended:
            return None
        session = self._close(view.wall_ms)
        if last_ns is not None and not 0 < view.mono_ns - last_ns <= tracker.limit_ns:
            tracker.state.track = []
            rested = abs(last_a) < self._limits.rest_a and abs(last_v - (view.cell_v or 0.0)) < SLEPT_V
            self._hold_against(view, slept=rested and view.mono_ns - last_ns < SLEPT_NS)
            self._full_at_rest(view)
        return session

    @property
    def heard(self) -> bool:
        """Whether any usable sample has come."""
        return self.state.tracker.elapsed_s > 0

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`; what was known then is known no more."""
        self._tracker.gap(None, gap_ns / 1e9)
        self._tracker.state.track = []
        self._tracker.anchors.clear()
        self.state.anchors.clear()

    def renew(self) -> None:
        """Forget the capacity and what was to lead to the next one: the battery holds other cells now."""
        self.resume(0)
        self.state.filter, self.state.given_as, self.state.wall_ms = FilterState(), None, 0
        self._tracker.capacity_as = self._limits.rated_as

    def capacity_ah(self) -> tuple[float, float] | None:
        """Return the capacity now and its standard uncertainty with systematic terms; None before any evidence."""
        state = self.state.filter
        if state.capacity_as is None or not state.sessions:
            return None
        now = msgspec.structs.replace(state)
        kalman.predict(now, self._tracker.cycles, self.state.tracker.elapsed_s)
        value = (now.capacity_as or 0.0) / AS_PER_AH
        return value, hypot(sqrt(now.p00) / AS_PER_AH, self._limits.gain_sd * value, ENDS_SD * value)

    def _take(self, anchors: list[Anchor]) -> None:
        kept = self.state.anchors
        for anchor in anchors:
            same = [a for a in kept if a.kind == anchor.kind]
            if len(same) > (anchor.kind == Kind.LOAD):
                kept.remove(same[0])
            kept.append(anchor)
        del kept[:-MOST_ANCHORS]
        anchors.clear()

    def _full_at_rest(self, view: Seen) -> None:
        """Take a battery for full that is seen first, or after a gap, resting at the voltage where charging ends."""
        tracker, limits = self._tracker, self._limits
        full_v = tracker.state.full_v or limits.full_v
        there = any(a.kind == Kind.FULL for a in self.state.anchors)
        if there or view.cell_v is None or view.current_a is None or abs(view.current_a) >= limits.rest_a:
            return
        if view.cell_v >= full_v - NEAR_FULL_V:
            tracker.tell(Kind.FULL, 1.0, FULL_AT_REST_SD)
            self._take(tracker.anchors)

    def _hold_against(self, view: Seen, *, slept: bool) -> None:
        """Keep after a gap only those anchors that the voltage does not contradict, and trust them less.

        `slept`: a short gap with rest and nearly the same voltage at both ends; then nothing moved.
        """
        tracker, limits, cell = self._tracker.state, self._limits, view.cell_v or 0.0
        loaded = abs(view.current_a or 0.0) >= limits.rest_a
        full_v = (tracker.full_v or limits.full_v) - (FULL_LOADED_SAG_V if loaded else FULL_SAG_V)
        empty_v = max(limits.empty_v + EMPTY_RISE_SHARE * limits.span_v, self.state.empty_rest_v + MORE_RISE_V)
        found = self.curve.learnt_soc_of(cell)
        low = cell <= empty_v or (found is not None and found.soc < LOW_AT_REST)
        kept = []
        for anchor in self.state.anchors:
            months = (tracker.elapsed_s - anchor.elapsed_s) / (30 * 86400)
            since_as = abs(tracker.charge_as - anchor.charge_as)
            near = since_as < LEAST_SHARE * limits.rated_as
            agrees = (anchor.kind == Kind.FULL and cell >= full_v) or (anchor.kind == Kind.EMPTY and low)
            if near and agrees and anchor.kind == Kind.EMPTY and not loaded:
                self.state.empty_rest_v = max(cell, self.state.empty_rest_v)
            if (near and agrees) or (slept and not loaded and anchor.kind != Kind.LOAD):
                sd = hypot(anchor.sd, KEPT_SD, AWAY_SD_PER_MONTH * months)
                kept.append(msgspec.structs.replace(anchor, sd=sd))
        self.state.anchors[:] = kept

    def _close(self, wall_ms: int) -> Session | None:
        """End a session here if enough charge went through, and take over what it tells."""
        state, tracker = self.state, self._tracker.state
        # An anchor from the middle of a stretch can begin a session, but not end it.
        near_as = LEAST_SHARE / 2 * self._limits.rated_as
        at_end = [a for a in state.anchors if abs(tracker.charge_as - a.charge_as) < near_as]
        fresh = [a for a in at_end if a.elapsed_s > state.closed_s]
        moved_as = tracker.charge_as - state.closed_as
        if abs(moved_as) < LEAST_SHARE * self._limits.rated_as:
            return None
        older = list(state.anchors)
        pairs = [
            p for last in fresh for first in older if first.elapsed_s < last.elapsed_s and (p := pair(first, last))
        ]
        state.closed_s, state.closed_as = tracker.elapsed_s, tracker.charge_as
        if any(a.kind in (Kind.FULL, Kind.EMPTY) for a in fresh):
            # What came before would tell of the capacity as it was then.
            state.anchors[:] = at_end
        if not pairs:
            reason = "no anchor at its end" if not fresh else "no anchor at its beginning, or too little between"
            return Session(wall_ms, Grade.D, None, None, None, None, None, moved_as / AS_PER_AH, "", reason)
        best = min(pairs, key=_worth)
        return self._judge(best, wall_ms)

    def _judge(self, found: Pair, wall_ms: int) -> Session:
        grade, sd, reason = graded(found)
        charging = found.last.charge_as > found.first.charge_as
        whole = {found.first.kind, found.last.kind} == {Kind.FULL, Kind.EMPTY}
        if charging and self.state.loops < 2:  # noqa: PLR2004 - see UNPROVEN_SD
            sd = hypot(sd, UNPROVEN_SD)
        if not whole:
            self.state.given_as = None
        if whole and charging:
            sd = hypot(sd, self._unlike(found))
        elif not whole and self.state.filter.capacity_as is not None:
            sd = hypot(sd, CURVE_SD * self.curve.faded(self.state.filter.capacity_as))
        if grade is not Grade.D and not self._update(found, grade, sd):
            grade, reason = Grade.D, "it lies too far from what the sessions before say"
        if whole and not reason:
            self._learn_efficiency(found, charging=charging)
        if whole and grade is not Grade.D and self.state.filter.capacity_as is not None:
            self._learn_curve(found, grade, charging=charging)
        if not reason:
            self.state.wall_ms = wall_ms
            self._tracker.capacity_as = self.state.filter.capacity_as or self._limits.rated_as
        return self._session(found, grade, sd, wall_ms, reason)

    def _session(self, found: Pair, grade: Grade, sd: float, wall_ms: int, reason: str) -> Session:
        return Session(
            wall_ms,
            grade,
            found.capacity_as / AS_PER_AH,
            hypot(sd, self._limits.gain_sd) * found.capacity_as / AS_PER_AH,
            found.first.soc,
            found.last.soc,
            found.temperature_c,
            (found.last.charge_as - found.first.charge_as) / AS_PER_AH,
            f"{Kind(found.first.kind).name.lower()}-{Kind(found.last.kind).name.lower()}",
            reason,
        )

    def _unlike(self, found: Pair) -> float:
        """Return the doubt of a whole charge that takes much less or more than the whole discharge before it gave."""
        given_as = self.state.given_as
        off = 0.0 if given_as is None else abs(given_as / found.capacity_as - 1)
        return off / 2 if off > UNLIKE else 0.0

    def _update(self, found: Pair, grade: Grade, sd: float) -> bool:
        state, cycles, elapsed_s = self.state.filter, self._tracker.cycles, self.state.tracker.elapsed_s
        if state.capacity_as is None:
            if grade is Grade.A:
                kalman.begin(state, found.capacity_as, sd, cycles, elapsed_s)
                state.sessions = 1
                return True
            kalman.begin(state, self._limits.rated_as, UNKNOWN_SD, cycles, elapsed_s)
        kalman.predict(state, cycles, elapsed_s)
        as_known = state.capacity_as or found.capacity_as
        floor = FLOOR_SD[grade]
        jump = JUMPS[grade]
        if grade is not Grade.A:
            floor = hypot(floor, CURVE_SD * self.curve.faded(as_known))
            self.state.soft += 1
        elif self.state.soft:
            # What a whole session says stands above all that rests on a learnt curve.
            self.state.soft, jump = 0, 1
        size = found.capacity_as
        return kalman.update(state, size, sd * size, floor * size, jump)

    def _learn_efficiency(self, found: Pair, *, charging: bool) -> None:
        """Compare what a full charge took in with what the full discharge before it gave."""
        state = self.state
        if not charging:
            state.given_as = found.capacity_as
            return
        if state.given_as is None:
            return
        state.loops += 1
        ratio = (state.given_as / found.capacity_as) ** max(1 / state.loops, 0.15)
        low, high = EFFICIENCIES
        tracker = state.tracker
        tracker.efficiency = min(max(tracker.efficiency * ratio, low), high)
        state.given_as = None

    def _learn_curve(self, found: Pair, grade: Grade, *, charging: bool) -> None:
        tracker = self.state.tracker
        if tracker.track_mode != (CHARGING if charging else DISCHARGING):
            return
        full = found.last if charging else found.first
        scale_as = found.capacity_as if grade is Grade.A else self.state.filter.capacity_as or found.capacity_as
        track = [(1 + (c - full.charge_as) / scale_as, v, a) for c, v, a in tracker.track]
        rest_v = None if charging else tracker.rested_v
        self.curve.learn(track, self._tracker.cycles, scale_as, rest_v, charging=charging)


def _worth(found: Pair) -> tuple[bool, float]:
    grade, sd, _ = graded(found)
    return grade is Grade.D, sd

"""Sanity: what a battery cannot do, told once with the evidence: a doubt, and no value is changed by it.

* The current's sign: a battery's voltage rises with the current into it, at once (its resistance) and by its charge.
  Steps of at least C/10 within 5 s vote; so does the state of charge against the current's integral.
* A stuck voltage: the same to the last digit through 50 current steps of C/5. A cell's resistance times its capacity is
  about 60 mΩ·Ah (3 Ah and 20 mΩ in an 18650), so each of them moves a cell by some 10 mV.
* A stuck state of charge: the same to the last digit while a quarter of the rated charge went in or out.
* A state of charge that jumps: by 3 points more than the current since it was last said explains.
"""

from dataclasses import dataclass

from packseal.core.declared import Declared
from packseal.core.meter.view import View
from packseal.core.passport import Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import EventCode, Notice

STEP_C_RATE = 1 / 10
STEP_NS = 5_000_000_000
LEAST_VOTES = 30
"""Before anything is told: of so many random votes, AGAINST would be wrong once in 1,400 times (binomial)."""
MOST_VOTES = 400
"""Votes are halved here, so that the newest count most."""
AGAINST = 0.8
SOC_SPAN_PCT = 5.0
SOC_VOTES = 10
"""What 5 points of the state of charge weigh: it is the integral of hundreds of samples."""
STUCK_STEP_C_RATE = 1 / 5
STUCK_STEPS = 50
STUCK_SOC_SHARE = 0.25
FULL_PCT = 100.0
JUMP_PCT = 3.0
JUMP_AGAIN_MS = 3_600_000
"""One jump an hour is told; a state of charge that dithers must not fill the log."""
AS_PER_AH = 3600.0
HALF_PER_NS = 0.5e-9


@dataclass(slots=True)
class SanityState:
    """Votes for and against the sign, what is held stuck since when, and what was told."""

    votes_for: float = 0.0
    votes_against: float = 0.0
    sign_told: bool = False
    stuck_v: float | None = None
    stuck_steps: int = 0
    voltage_told: bool = False
    soc_pct: float | None = None
    soc_at_as: float = 0.0
    soc_told: bool = False
    anchor_pct: float | None = None
    anchor_at_as: float = 0.0
    charge_as: float = 0.0
    jumps: int = 0
    jump_told_ms: int = 0
    last_ns: int | None = None
    last_a: float = 0.0
    last_v: float | None = None


class Sanity:
    """Watches pack voltage, current and state of charge against each other. Needs the rated capacity; else no doubt."""

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],  # noqa: ARG002 - every family is made with it
        limit_ns: int,
        state: SanityState,
    ) -> None:
        self._rated_as = (declared.rated_capacity_ah or 0.0) * AS_PER_AH
        self._step_a = (declared.rated_capacity_ah or 0.0) * STEP_C_RATE
        self._stuck_as = STUCK_SOC_SHARE * self._rated_as
        self._limit_ns = limit_ns
        self.state = state

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return a notice for each doubt that begins now."""
        current = view.current_a
        if current is None or not self._rated_as:
            return None
        state, now_ns = self.state, view.mono_ns
        before_ns, before_a, before_v = state.last_ns, state.last_a, state.last_v
        state.last_ns, state.last_a, state.last_v = now_ns, current, view.voltage_v
        told: list[Notice] | None = None
        if before_ns is None or now_ns - before_ns > self._limit_ns:
            state.anchor_pct = state.soc_pct = None
        else:
            passed_ns, step_a = now_ns - before_ns, current - before_a
            state.charge_as += (current + before_a) * passed_ns * HALF_PER_NS
            if not -self._step_a < step_a < self._step_a and before_v is not None and passed_ns <= STEP_NS:
                told = self._step(step_a, before_v, view)
        soc_pct = view.soc_pct
        if soc_pct is None or (soc_pct == state.soc_pct and abs(state.charge_as - state.soc_at_as) < self._stuck_as):
            return told
        return (told or []) + self._charge_state(soc_pct, view)

    def _step(self, step_a: float, before_v: float, view: View) -> list[Notice]:
        voltage = view.voltage_v
        if voltage is None:
            return []
        told = self._stuck_voltage(abs(step_a), voltage, view)
        if voltage != before_v:
            told += self._vote((voltage - before_v > 0) == (step_a > 0), 1.0, view)
        return told

    def _vote(self, agrees: bool, weight: float, view: View) -> list[Notice]:  # noqa: FBT001 - the vote itself
        state = self.state
        if agrees:
            state.votes_for += weight
        else:
            state.votes_against += weight
        votes = state.votes_for + state.votes_against
        if votes > MOST_VOTES:
            state.votes_for, state.votes_against = state.votes_for / 2, state.votes_against / 2
        if votes < LEAST_VOTES:
            return []
        against = state.votes_against / votes if votes <= MOST_VOTES else 2 * state.votes_against / votes
        if against < 1 - AGAINST:
            state.sign_told = False
        if against < AGAINST or state.sign_told:
            return []
        state.sign_told = True
        facts = {"votes_against_pct": round(100 * against), "votes": round(votes)}
        return [Notice(EventCode.CURRENT_SIGN_DOUBTED, view.sample.at, facts)]

    def _stuck_voltage(self, step_a: float, voltage: float, view: View) -> list[Notice]:
        state = self.state
        if voltage != state.stuck_v:
            state.stuck_v, state.stuck_steps, state.voltage_told = voltage, 0, False
            return []
        if step_a >= self._step_a / STEP_C_RATE * STUCK_STEP_C_RATE:
            state.stuck_steps += 1
        if state.stuck_steps < STUCK_STEPS or state.voltage_told:
            return []
        state.voltage_told = True
        facts: dict[str, int | str]
        facts = {"quantity": Quantity.PACK_VOLTAGE_V.key, "value": f"{voltage:.3f}", "current_steps": STUCK_STEPS}
        return [Notice(EventCode.SENSOR_STUCK, view.sample.at, facts)]

    def _charge_state(self, soc_pct: float, view: View) -> list[Notice]:
        state = self.state
        if state.anchor_pct is None:
            state.anchor_pct, state.anchor_at_as = soc_pct, state.charge_as
        if state.soc_pct is None:
            state.soc_pct, state.soc_at_as = soc_pct, state.charge_as
            return []
        if soc_pct == state.soc_pct:
            return self._stuck_soc(soc_pct, view)
        told = self._jump(soc_pct, soc_pct - state.soc_pct, view)
        state.soc_pct, state.soc_at_as, state.soc_told = soc_pct, state.charge_as, False
        if told or self.state.anchor_pct is None:
            state.anchor_pct, state.anchor_at_as = soc_pct, state.charge_as
        elif abs(soc_pct - state.anchor_pct) >= SOC_SPAN_PCT:
            span_pct, moved_as = soc_pct - state.anchor_pct, state.charge_as - state.anchor_at_as
            state.anchor_pct, state.anchor_at_as = soc_pct, state.charge_as
            if abs(moved_as) >= 0.5 * SOC_SPAN_PCT / 100 * self._rated_as:
                told += self._vote((span_pct > 0) == (moved_as > 0), SOC_VOTES, view)
        return told

    def _stuck_soc(self, soc_pct: float, view: View) -> list[Notice]:
        state = self.state
        # Held at 0 or 100 % it is not stuck: many a BMS goes on charging or discharging there for a while.
        moved_as = state.charge_as - state.soc_at_as
        if state.soc_told or abs(moved_as) < self._stuck_as or soc_pct <= 0 or soc_pct >= FULL_PCT:
            return []
        state.soc_told = True
        facts = {
            "quantity": Quantity.STATE_OF_CHARGE_PCT.key,
            "value": f"{soc_pct:.2f}",
            "moved_ah": f"{moved_as / AS_PER_AH:.2f}",
        }
        return [Notice(EventCode.SENSOR_STUCK, view.sample.at, facts)]

    def _jump(self, soc_pct: float, step_pct: float, view: View) -> list[Notice]:
        state = self.state
        if abs(step_pct) < JUMP_PCT:
            return []
        explained_pct = 100 * (state.charge_as - state.soc_at_as) / self._rated_as
        # The sign may be the wrong way round, and that is told elsewhere.
        if min(abs(step_pct - explained_pct), abs(step_pct + explained_pct)) < JUMP_PCT:
            return []
        state.jumps += 1
        if 0 <= view.wall_ms - state.jump_told_ms < JUMP_AGAIN_MS:
            return []
        state.jump_told_ms = view.wall_ms
        facts: dict[str, int | str] = {
            "from_pct": f"{soc_pct - step_pct:.2f}",
            "to_pct": f"{soc_pct:.2f}",
            "explained_pct": f"{explained_pct:.2f}",
            "jumps": state.jumps,
        }
        return [Notice(EventCode.CHARGE_STATE_JUMPED, view.sample.at, facts)]

    def resume(self, gap_ns: int) -> None:  # noqa: ARG002 - the length does not matter
        """Go on after a stop: what happened in it is not known."""
        self.state.last_ns = None

    def readings(self) -> list[Reading]:
        """Return nothing: doubts are no fields."""
        return []

"""State of health: our own capacity beside the BMS's, the energy that follows from it, and the verdict on its claim.

Remaining capacity is our estimate once a session has told it, and until then the full-charge capacity that the BMS
states, labelled as such. The BMS's own value always stands beside it.
"""

from collections.abc import Callable  # noqa: TC003 - an attribute's type
from dataclasses import replace
from math import hypot

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.capacity import Claim, ClaimState, Estimator, EstimatorState, Generic, Limits, Session
from packseal.core.declared import Declared
from packseal.core.meter.knowledge import Knowledge
from packseal.core.meter.open_circuit import GENERIC_SD_V, GENERIC_V, SHARES
from packseal.core.meter.reported import Reported
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Instant, Notice

CLAIM = Channel(Quantity.STATE_OF_HEALTH_PCT)
FULL_ENERGY = Channel(Quantity.FULL_CHARGE_ENERGY_KWH)
NEEDS = frozenset({Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V})
MEAN_V_SD, NOMINAL_V_SD = 0.01, 0.03
"""Relative, of the mean discharge voltage: from the battery's own curve, and the declared nominal one in its place."""


class HealthState(msgspec.Struct):
    """The estimator, the claim and the energy that the BMS states."""

    estimator: EstimatorState = msgspec.field(default_factory=EstimatorState)
    claim: ClaimState = msgspec.field(default_factory=ClaimState)
    full_energy_kwh: float | None = None
    full_energy_ms: int = 0


class Health:
    """The family of capacity and state of health.

    `on_session` is called with every session, also with those that gave no update; for reports. `limits` are those of
    the declared data, None where no capacity can be estimated.
    """

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],
        limit_ns: int,
        state: HealthState,
        reported: Reported,
    ) -> None:
        self._declared, self._delivers, self._reported, self.state = declared, delivers, reported, state
        chemistry = declared.chemistry or ""
        curve = GENERIC_V.get(chemistry)
        limits = Limits.of(declared, Generic(SHARES, curve, GENERIC_SD_V[chemistry]) if curve else None)
        usable = limits is not None and declared.cells_in_series is not None and delivers >= NEEDS
        self.limits = limits if usable else None
        self.estimator = Estimator(limits, limit_ns, state.estimator) if limits is not None and usable else None
        self._claim = Claim(state.claim)
        self._claims, self._energies = CLAIM.quantity in delivers, FULL_ENERGY.quantity in delivers
        self._says = self._claims or self._energies
        self.on_session: Callable[[Session], None] | None = None

    @property
    def knowledge(self) -> Knowledge:
        """What was learnt, for the other families."""
        return Knowledge(self.estimator)

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return the sessions that told the capacity and what follows for the BMS's claim."""
        told = self._hear(view) if self._says else None
        if self.estimator is None:
            return told
        session = self.estimator.feed(view)
        if session is None:
            return told
        if self.on_session is not None:
            self.on_session(session)
        return told if session.reason else (told or []) + self._measured(session, view)

    def _hear(self, view: View) -> list[Notice] | None:
        """Take over what the BMS claims and states; return what a claim did that it must not."""
        told = None
        values = view.sample.values
        if self._claims:
            claimed = values.get(CLAIM)
            if claimed is not None and claimed != self.state.claim.lowest_pct:
                told = self._rose(claimed, view)
        if self._energies:
            energy = values.get(FULL_ENERGY)
            if energy is not None:
                self.state.full_energy_kwh, self.state.full_energy_ms = energy, view.wall_ms
        return told

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: what was known of the state of charge is known no more; the capacity stays."""
        if self.estimator is not None:
            self.estimator.resume(gap_ns)

    def mark(self, code: LifecycleCode, at: Instant) -> None:  # noqa: ARG002 - sessions have their own times
        """Begin anew: the capacity after a replaced module, and the BMS's claim, which then may rise, after either."""
        if code not in (LifecycleCode.MODULE_REPLACED, LifecycleCode.BMS_REPLACED):
            return
        self.state.claim = ClaimState()
        self._claim = Claim(self.state.claim)
        if self.estimator is None:
            return
        if code is LifecycleCode.MODULE_REPLACED:
            self.estimator.renew()
        else:
            self.estimator.resume(0)

    def _rose(self, claimed: float, view: View) -> list[Notice] | None:
        lowest = self.state.claim.lowest_pct
        risen = self._claim.follow(claimed)
        if risen is None:
            return None
        facts: dict[str, int | str] = {"from_pct": f"{lowest or 0.0:.2f}", "to_pct": f"{claimed:.2f}"}
        ours = self._health()
        if ours is not None:
            facts["estimate_pct"] = f"{ours[0]:.2f}"
        return [Notice(EventCode.HEALTH_CLAIM_ROSE, view.sample.at, facts)]

    def _measured(self, session: Session, view: View) -> list[Notice]:
        facts: dict[str, int | str] = {
            "grade": session.grade.name,
            "anchors": session.anchors,
            "session_ah": f"{session.capacity_ah:.3f}",
            "session_sd_ah": f"{session.sd_ah:.3f}",
            "soc_from_pct": f"{100 * (session.soc_from or 0):.1f}",
            "soc_to_pct": f"{100 * (session.soc_to or 0):.1f}",
        }
        if session.temperature_c is not None:
            facts["temperature_c"] = f"{session.temperature_c:.1f}"
        now = self.estimator.capacity_ah() if self.estimator is not None else None
        if now is not None:
            facts["capacity_ah"], facts["sd_ah"] = f"{now[0]:.3f}", f"{now[1]:.3f}"
        return [Notice(EventCode.CAPACITY_MEASURED, view.sample.at, facts), *self._compared(view)]

    def _compared(self, view: View) -> list[Notice]:
        ours, claim = self._health(), self._reported.reading(Field.STATE_OF_HEALTH_BMS)
        if ours is None or claim.value is None:
            return []
        code = self._claim.compare(claim.value, *ours, view.wall_ms)
        if code is None:
            return []
        facts: dict[str, int | str] = {
            "claim_pct": f"{claim.value:.2f}",
            "estimate_pct": f"{ours[0]:.2f}",
            "sd_pct": f"{ours[1]:.2f}",
            "sessions_apart": self.state.claim.apart,
            "sessions_compared": self.state.claim.compared,
        }
        return [Notice(code, view.sample.at, facts)]

    def _health(self) -> tuple[float, float] | None:
        """Return our state of health in percent and its standard uncertainty."""
        rated = self._declared.rated_capacity_ah
        now = self.estimator.capacity_ah() if self.estimator is not None else None
        return None if now is None or rated is None else (100 * now[0] / rated, 100 * now[1] / rated)

    def readings(self) -> list[Reading]:
        """Return capacity, fade, energy, state of health and the verdict."""
        ours = self._capacity(Field.REMAINING_CAPACITY)
        stated = self._reported.reading(Field.REMAINING_CAPACITY_BMS)
        rated = self._declared.rated_capacity_ah
        health, field = self._health(), Field.STATE_OF_HEALTH_ESTIMATE
        if health is None:
            estimate = Reading(field, missing=ours.missing or Missing.NO_EVIDENCE)
        else:
            estimate = _derived(field, health, Method.RATIO_TO_RATED, ours.last_update_ms)
        if ours.value is None and stated.value is not None:
            ours = replace(stated, field=Field.REMAINING_CAPACITY)
        elif ours.value is None and stated.missing is not Missing.NOT_REPORTED:
            ours = Reading(Field.REMAINING_CAPACITY, missing=stated.missing)
        energy = self._energy()
        return [ours, _fade(ours, rated), energy, estimate, stated, self._certified(energy), self._verdict()]

    def _capacity(self, field: Field) -> Reading:
        if not self._delivers >= NEEDS:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if self.estimator is None:
            return Reading(field, missing=Missing.NOT_DECLARED)
        now = self.estimator.capacity_ah()
        if now is None:
            return Reading(field, missing=Missing.NO_EVIDENCE if self.estimator.heard else Missing.NO_DATA)
        return _derived(field, now, Method.COULOMB_COUNTING, self.state.estimator.wall_ms)

    def _energy(self) -> Reading:
        """The energy of the full battery; until we know its capacity, what the BMS states."""
        state = self.state
        now = self._capacity(Field.REMAINING_ENERGY)
        if now.value is None or now.uncertainty is None or self.estimator is None:
            if state.full_energy_kwh is None:
                return now
            who, how = Originator.BMS, Method.AS_REPORTED
            return Reading(Field.REMAINING_ENERGY, state.full_energy_kwh, None, who, how, state.full_energy_ms)
        series, nominal_v = self._declared.cells_in_series, self._declared.nominal_voltage_v
        mean = self.estimator.curve.mean_discharge_v()
        pack_v = mean * series if mean is not None and series is not None else nominal_v
        if pack_v is None:
            return Reading(Field.REMAINING_ENERGY, missing=Missing.NOT_DECLARED)
        relative = hypot(
            now.uncertainty / now.value,
            MEAN_V_SD if mean is not None else NOMINAL_V_SD,
            self._declared.voltage_uncertainty,
        )
        kwh = now.value * pack_v / 1000
        return _derived(Field.REMAINING_ENERGY, (kwh, relative * kwh), Method.USABLE_ENERGY, now.last_update_ms)

    def _certified(self, energy: Reading) -> Reading:
        field, certified = Field.CERTIFIED_ENERGY_ESTIMATE, self._declared.certified_energy_kwh
        if certified is None:
            return Reading(field, missing=Missing.NOT_DECLARED)
        if energy.value is None:
            return Reading(field, missing=energy.missing)
        if energy.uncertainty is None:
            return Reading(field, missing=Missing.NO_EVIDENCE)
        share = (100 * energy.value / certified, 100 * energy.uncertainty / certified)
        return _derived(field, share, Method.USABLE_ENERGY, energy.last_update_ms)

    def _verdict(self) -> Reading:
        field, state = Field.HEALTH_CLAIM_VERDICT, self.state.claim
        claim = self._reported.reading(Field.STATE_OF_HEALTH_BMS)
        if claim.value is None:
            return Reading(field, missing=claim.missing)
        at_ms = state.wall_ms or claim.last_update_ms  # nothing was compared yet: so it is as long as the BMS claims it
        return Reading(field, state.verdict, None, Originator.DERIVED, Method.COMPARED, at_ms)


def _derived(field: Field, value: tuple[float, float], method: Method, wall_ms: int) -> Reading:
    return Reading(field, value[0], None, Originator.DERIVED, method, wall_ms, value[1])


def _fade(capacity: Reading, rated: float | None) -> Reading:
    """Fade against the *rated* capacity (Annex IV A(1)); negative for a young pack that holds more."""
    if capacity.value is None:
        return Reading(Field.CAPACITY_FADE, missing=capacity.missing)
    if rated is None:
        return Reading(Field.CAPACITY_FADE, missing=Missing.NOT_DECLARED)
    sd = None if capacity.uncertainty is None else 100 * capacity.uncertainty / rated
    fade = (1 - capacity.value / rated) * 100
    when = capacity.last_update_ms
    return Reading(Field.CAPACITY_FADE, fade, None, Originator.DERIVED, Method.RATIO_TO_RATED, when, sd)

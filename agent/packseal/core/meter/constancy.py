"""Constancy: a state-of-health claim that does not move while the pack is cycled is doubted, once, with the evidence.

A pack that is used loses capacity. Of 21 home storage systems over 106 system-years 2 to 3 percentage points a year
(RWTH Aachen, Nature Energy 2024), at a full cycle a day at most: about 1 point in 100 full equivalent cycles. The
NMC532 cell of Argonne's CAMP data loses more than 2 points in any 100. A doubt is told when a claim ought to have moved
by two of its own steps. A claim of whole percents is taken for one that cannot be finer. It is a doubt and no verdict:
a young pack that holds more than its rated capacity may rightly be held at 100 % for longer.
"""

import msgspec

from packseal.core.declared import Declared
from packseal.core.meter.throughput import AS_PER_AH
from packseal.core.meter.view import View
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Notice

WHOLE_CYCLES = 200
"""Full equivalent cycles after which a claim of whole percents is doubted."""
FINE_CYCLES = 100
"""The same for a finer one: half a percent is the coarsest step below a whole one."""

CLAIM = Channel(Quantity.STATE_OF_HEALTH_PCT)


class ConstancyState(msgspec.Struct):
    """The claim as it has been since, with how much had been discharged by then; whether the doubt was told."""

    claim_pct: float | None = None
    since_wall_ms: int = 0
    since_discharged_as: float = 0.0
    told: bool = False


class Constancy:
    """Watches the claim against the meter's own throughput. Needs the declared rated capacity; without it no doubt."""

    def __init__(self, declared: Declared, state: ConstancyState) -> None:
        self._declared = declared
        self.state = state

    def feed(self, view: View, discharged_as: float) -> list[Notice] | None:
        """Account for one sample; `discharged_as` is the ampere seconds discharged since the log began."""
        claim = view.sample.values.get(CLAIM)
        if claim is None:
            return None
        state = self.state
        if claim != state.claim_pct:
            state.claim_pct, state.since_wall_ms = claim, view.wall_ms
            state.since_discharged_as, state.told = discharged_as, False
            return None
        rated = self._declared.rated_capacity_ah
        if state.told or rated is None:
            return None
        cycles = (discharged_as - state.since_discharged_as) / AS_PER_AH / rated
        limit = WHOLE_CYCLES if float(claim).is_integer() else FINE_CYCLES
        if cycles < limit:
            return None
        state.told = True
        facts: dict[str, int | str] = {
            "state_of_health_pct": f"{claim:.2f}",
            "full_equivalent_cycles": int(cycles),
            "since_ms": state.since_wall_ms,
        }
        return [Notice(EventCode.HEALTH_CLAIM_CONSTANT, view.sample.at, facts)]

"""All that a meter must remember over a restart, in one value that can be saved."""

import msgspec

from packseal.core.changes import Told
from packseal.core.errors import FormatError
from packseal.core.meter.abuse import AbuseState
from packseal.core.meter.baseline import BaselineState
from packseal.core.meter.constancy import ConstancyState
from packseal.core.meter.counters import CountersState
from packseal.core.meter.cycles import CyclesState
from packseal.core.meter.efficiency import EfficiencyState
from packseal.core.meter.exposure import ExposureState
from packseal.core.meter.health import HealthState
from packseal.core.meter.reported import ReportedState
from packseal.core.meter.resistance import ResistanceState
from packseal.core.meter.sanity import SanityState
from packseal.core.meter.self_discharge import SelfDischargeState
from packseal.core.meter.state_now import StateNowState
from packseal.core.meter.throughput import ThroughputState
from packseal.core.meter.usage import UsageState

STATE_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""What was added since has its defaults: a family begins then."""


class MeterState(msgspec.Struct, kw_only=True):
    """All that a meter must remember over a restart.

    `last_wall_ms` is the UTC time of the last sample, 0 for none; `began_wall_ms` that of the first, None for none.
    """

    version: int = STATE_VERSION
    last_wall_ms: int = 0
    began_wall_ms: int | None = None
    throughput: ThroughputState = msgspec.field(default_factory=ThroughputState)
    exposure: ExposureState = msgspec.field(default_factory=ExposureState)
    abuse: AbuseState = msgspec.field(default_factory=AbuseState)
    reported: ReportedState = msgspec.field(default_factory=ReportedState)
    usage: UsageState = msgspec.field(default_factory=UsageState)
    cycles: CyclesState = msgspec.field(default_factory=CyclesState)
    state_now: StateNowState = msgspec.field(default_factory=StateNowState)
    sanity: SanityState = msgspec.field(default_factory=SanityState)
    counters: CountersState = msgspec.field(default_factory=CountersState)
    self_discharge: SelfDischargeState = msgspec.field(default_factory=SelfDischargeState)
    efficiency: EfficiencyState = msgspec.field(default_factory=EfficiencyState)
    health: HealthState = msgspec.field(default_factory=HealthState)
    resistance: ResistanceState = msgspec.field(default_factory=ResistanceState)
    told: Told = msgspec.field(default_factory=Told)
    baseline: BaselineState = msgspec.field(default_factory=BaselineState)
    constancy: ConstancyState = msgspec.field(default_factory=ConstancyState)


def load(data: bytes) -> MeterState:
    """Return the state that `Meter.save` gave; raises FormatError for a damaged or a newer one."""
    try:
        state = msgspec.msgpack.decode(data, type=MeterState)
    except msgspec.MsgspecError as error:
        raise FormatError(f"the saved meter state is damaged: {error}") from error
    if state.version not in READABLE_VERSIONS:
        raise FormatError(
            f"the saved meter state has version {state.version}; this program knows up to {STATE_VERSION}"
        )
    state.version = STATE_VERSION
    return state

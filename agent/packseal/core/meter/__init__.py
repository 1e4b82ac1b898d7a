"""Meter: streaming derivation of the passport's readings, in bounded memory, with a state that can be saved.

One module per family of fields; this one puts them together. Same samples, same readings: no clock is asked.
"""

from collections.abc import Mapping

import msgspec

from packseal.core.declared import Declared
from packseal.core.errors import FormatError
from packseal.core.meter.abuse import Abuse, AbuseState
from packseal.core.meter.exposure import Exposure, ExposureState
from packseal.core.meter.interval import GAP_LIMIT_S, NS_PER_S
from packseal.core.meter.reported import Reported, ReportedState
from packseal.core.meter.throughput import Throughput, ThroughputState
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Notice, Sample

STATE_VERSION = 1
PERIODS_PER_GAP = 3
PRESENT = (
    Channel(Quantity.PACK_VOLTAGE_V),
    Channel(Quantity.PACK_CURRENT_A),
    Channel(Quantity.TEMPERATURE_C),
    Channel(Quantity.TEMPERATURE_MAX_C),
    Channel(Quantity.TEMPERATURE_MIN_C),
    Channel(Quantity.CELL_VOLTAGE_MAX_V),
    Channel(Quantity.CELL_VOLTAGE_MIN_V),
)
MAX_SNAPSHOT_CELLS = 400
"""An 800 V pack has about 220 cells in series; more is a mistake in a profile."""


class MeterState(msgspec.Struct, kw_only=True):
    """All that a meter must remember over a restart. `last_wall_ms` is the UTC time of the last sample, 0 for none."""

    version: int = STATE_VERSION
    last_wall_ms: int = 0
    throughput: ThroughputState = msgspec.field(default_factory=ThroughputState)
    exposure: ExposureState = msgspec.field(default_factory=ExposureState)
    abuse: AbuseState = msgspec.field(default_factory=AbuseState)
    reported: ReportedState = msgspec.field(default_factory=ReportedState)


class Meter:
    """Samples of one battery in, a Snapshot out.

    Args:
        declared: the battery's static data.
        delivers: the quantities its profile can deliver, to tell "not reported" from "not yet".
        period_s: the declared sample period; an interval over three of them and over 10 s is a gap.
        state: what `save` gave earlier.

    Raises:
        FormatError: the state is damaged or from a newer version.
    """

    def __init__(
        self, declared: Declared, delivers: frozenset[Quantity], period_s: float = 1.0, state: bytes | None = None
    ) -> None:
        self._state = _load(state) if state is not None else MeterState()
        self.gap_limit_s = max(GAP_LIMIT_S, PERIODS_PER_GAP * period_s)
        limit_ns = round(self.gap_limit_s * NS_PER_S)
        self._throughput = Throughput(declared, delivers, limit_ns, self._state.throughput)
        self._exposure = Exposure(declared, delivers, limit_ns, self._state.exposure)
        self._abuse = Abuse(declared, delivers, limit_ns, self._state.abuse)
        self._reported = Reported(declared, delivers, self._state.reported)
        self._present: dict[Channel, float] = {}
        self._cells_v: dict[int, float] = {}

    @property
    def last_wall_ms(self) -> int:
        """UTC milliseconds of the last sample, 0 before the first."""
        return self._state.last_wall_ms

    def feed(self, sample: Sample) -> list[Notice]:
        """Account for one sample; return what happened to the battery."""
        self._throughput.feed(sample)
        self._exposure.feed(sample)
        self._reported.feed(sample)
        self._keep_present(sample.values)
        self._state.last_wall_ms = sample.at.wall_ns // 1_000_000
        return self._abuse.feed(sample)

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: nothing is integrated over it, and it counts as not covered."""
        for family in (self._throughput, self._exposure, self._abuse):
            family.resume(gap_ns)

    def snapshot(self) -> Snapshot:
        """Return all readings as they stand after the last sample, in the order of their codes."""
        families = (self._reported, self._throughput, self._exposure, self._abuse)
        readings = sorted((r for f in families for r in f.readings()), key=lambda r: r.field.code)
        cells = [round(self._cells_v[i] * 1000) for i in sorted(self._cells_v)][:MAX_SNAPSHOT_CELLS]
        return Snapshot(tuple(readings), dict(self._present), cells)

    def save(self) -> bytes:
        """Return the state for `Meter(state=…)`."""
        return msgspec.msgpack.encode(self._state)

    def _keep_present(self, values: Mapping[Channel, float]) -> None:
        for channel in PRESENT:
            if channel in values:
                self._present[channel] = values[channel]
        for channel, value in values.items():
            if channel.quantity is Quantity.CELL_VOLTAGE_V:
                self._cells_v[channel.index] = value


def _load(data: bytes) -> MeterState:
    try:
        state = msgspec.msgpack.decode(data, type=MeterState)
    except msgspec.MsgspecError as error:
        raise FormatError(f"the saved meter state is damaged: {error}") from error
    if state.version != STATE_VERSION:
        raise FormatError(f"the saved meter state has version {state.version}; this program knows {STATE_VERSION}")
    return state

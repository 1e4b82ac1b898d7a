"""Samples for the families' tests, and the readings that come of them."""

from collections.abc import Mapping

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Flaw, Instant, Sample

WALL_NS = 1_800_000_000_000_000_000
NAMES = {
    "v": Channel(Quantity.PACK_VOLTAGE_V),
    "a": Channel(Quantity.PACK_CURRENT_A),
    "soc": Channel(Quantity.STATE_OF_CHARGE_PCT),
    "t": Channel(Quantity.TEMPERATURE_C),
    "soh": Channel(Quantity.STATE_OF_HEALTH_PCT),
    "soce": Channel(Quantity.STATE_OF_CERTIFIED_ENERGY_PCT),
    "cycles": Channel(Quantity.CYCLES),
    "out_ah": Channel(Quantity.CHARGE_DISCHARGED_AH),
    "out_kwh": Channel(Quantity.ENERGY_DISCHARGED_KWH),
}
ALL = frozenset(channel.quantity for channel in NAMES.values())
PACK = Declared(rated_capacity_ah=50, rated_energy_kwh=20, cells_in_series=100)


def sample(t_s: float, flaws: Mapping[Channel, Flaw] | None = None, /, **values: float) -> Sample:
    """Return a sample at `t_s` seconds on both clocks."""
    ns = round(t_s * 1e9)
    at = Instant(ns, WALL_NS + ns, ClockQuality.NTP)
    return Sample(at, {NAMES[k]: v for k, v in values.items()}, flaws or {})


def readings(meter: Meter) -> dict[Field, Reading]:
    """Return the meter's readings by field."""
    return {r.field: r for r in meter.snapshot().readings}


def value(meter: Meter, field: Field) -> float:
    """Return a field's value; it must have one."""
    found = readings(meter)[field]
    assert found.value is not None, found
    return found.value

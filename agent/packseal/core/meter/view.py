"""View: what the meter's families need of one sample, looked up once for all of them."""

import msgspec

from packseal.core.declared import Declared
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Sample

VOLTAGE = Channel(Quantity.PACK_VOLTAGE_V)
CURRENT = Channel(Quantity.PACK_CURRENT_A)
CHARGE_STATE = Channel(Quantity.STATE_OF_CHARGE_PCT)
HOTTEST = Channel(Quantity.TEMPERATURE_MAX_C)
COLDEST = Channel(Quantity.TEMPERATURE_MIN_C)
HIGHEST = Channel(Quantity.CELL_VOLTAGE_MAX_V)
LOWEST = Channel(Quantity.CELL_VOLTAGE_MIN_V)
CELL_SOURCES = frozenset({Quantity.CELL_VOLTAGE_V, Quantity.CELL_VOLTAGE_MIN_V, Quantity.CELL_VOLTAGE_MAX_V})
TEMPERATURE_SOURCES = frozenset({Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MAX_C, Quantity.TEMPERATURE_MIN_C})
TEMPERATURE_EXTREMES = frozenset({Quantity.TEMPERATURE_MAX_C, Quantity.TEMPERATURE_MIN_C})
NO_FLAWS: frozenset[Quantity] = frozenset()


class View(msgspec.Struct, gc=False):
    """One sample as the families see it; None for what it does not say.

    `current_a` is positive while charging. `hottest_c` and `coldest_c` are the extremes over all sensors and what the
    BMS states as extremes. `lowest_v` and `highest_v` are the extremes over all cells; of a battery that delivers no
    cell voltages, the pack's voltage over its declared cells in series. `cell_v` is the mean cell: the
    pack's voltage over its declared cells in series. `flawed` are the quantities that were on the wire and unusable.
    """

    sample: Sample
    mono_ns: int
    wall_ms: int
    quality: ClockQuality
    voltage_v: float | None
    current_a: float | None
    soc_pct: float | None
    hottest_c: float | None
    coldest_c: float | None
    lowest_v: float | None
    highest_v: float | None
    cell_v: float | None
    flawed: frozenset[Quantity]


class Viewer:
    """Makes the Views of one battery."""

    def __init__(self, declared: Declared, delivers: frozenset[Quantity]) -> None:
        self._series = declared.cells_in_series
        self._reads_cells = bool(delivers & CELL_SOURCES)
        self._reads_extremes = bool(delivers & TEMPERATURE_EXTREMES)
        # A profile that states extremes but no single sensor or cell needs no walk over all values.
        self._walks_cells = Quantity.CELL_VOLTAGE_V in delivers
        self._walks_sensors = Quantity.TEMPERATURE_C in delivers

    def see(self, sample: Sample) -> View:
        """Return the view of one sample."""
        mono_ns, wall_ns, quality = sample.at
        get = sample.values.get
        voltage_v = get(VOLTAGE)
        hottest_c, coldest_c = (get(HOTTEST), get(COLDEST)) if self._reads_extremes else (None, None)
        lowest_v, highest_v = (get(LOWEST), get(HIGHEST)) if self._reads_cells else (None, None)
        cell_v = voltage_v / self._series if voltage_v is not None and self._series is not None else None
        if self._walks_sensors:
            hottest_c, coldest_c = _widened(sample, Quantity.TEMPERATURE_C, hottest_c, coldest_c)
        if self._walks_cells:
            highest_v, lowest_v = _widened(sample, Quantity.CELL_VOLTAGE_V, highest_v, lowest_v)
        elif not self._reads_cells:
            lowest_v = highest_v = cell_v
        return View(
            sample,
            mono_ns,
            wall_ns // 1_000_000,
            quality,
            voltage_v,
            get(CURRENT),
            get(CHARGE_STATE),
            hottest_c,
            coldest_c,
            lowest_v if lowest_v is not None else highest_v,
            highest_v if highest_v is not None else lowest_v,
            cell_v,
            frozenset(channel.quantity for channel in sample.flaws) if sample.flaws else NO_FLAWS,
        )


def _widened(
    sample: Sample, quantity: Quantity, highest: float | None, lowest: float | None
) -> tuple[float | None, float | None]:
    """Return the extremes over every place of `quantity` and those that are stated."""
    for channel, value in sample.values.items():
        if channel[0] is quantity:
            if highest is None or value > highest:
                highest = value
            if lowest is None or value < lowest:
                lowest = value
    return highest, lowest

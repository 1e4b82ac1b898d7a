"""Opening the drivers of all batteries, those made of parts after their parts."""

from collections.abc import Mapping, Sequence

from packseal.clock import SystemClock
from packseal.config import Battery, Config
from packseal.core import meter, nesting
from packseal.core.combining import LISTS, Combiner, Part
from packseal.core.quantities import Quantity
from packseal.runtime.opening import open_battery_driver
from packseal.runtime.parts import PartDriver, WholeDriver
from packseal_drivers import profile as profiles
from packseal_drivers.driver import Driver
from packseal_drivers.settings import Recording, Stream

MIN_PERIOD_S = 1.0
"""Of a whole whose configuration says nothing: parts that sample faster do so each at its own moments."""


class _Opened:
    """What is open so far, by the battery's id."""

    def __init__(self, config: Config, clock: SystemClock) -> None:
        self._config = config
        self._clock = clock
        self.batteries = {battery.id: battery for battery in config.file.battery}
        self.drivers: dict[str, Driver] = {}
        self.widths: dict[str, Mapping[Quantity, int]] = {}

    def open(self, name: str) -> None:
        battery = self.batteries[name]
        if battery.arrangement is None:
            self.drivers[name] = open_battery_driver(self._config, battery, self._clock)
            self.widths[name] = _widths(self._config, battery)
            return
        combiner = Combiner(battery.arrangement, [self._part(p) for p in battery.parts], battery.tolerance_pct)
        period_s = battery.period_s or max(MIN_PERIOD_S, *(self.drivers[p].period_s for p in battery.parts))
        title = f"{battery.arrangement.value} of {len(battery.parts)} parts"
        whole = WholeDriver(title, combiner, period_s, self._clock, replayed=self._is_replayed(battery))
        for number, part in enumerate(battery.parts):
            self.drivers[part] = PartDriver(self.drivers[part], whole, number)
        self.drivers[name], self.widths[name] = whole, combiner.widths

    def _part(self, name: str) -> Part:
        battery, driver = self.batteries[name], self.drivers[name]
        limit_s = meter.limit_s(driver.period_s or 1.0, battery.gap_s)
        rated_ah = battery.declared.rated_capacity_ah
        return Part(name, limit_s, driver.delivers, self.widths[name], rated_ah, is_whole=bool(battery.parts))

    def _is_replayed(self, battery: Battery) -> bool:
        while battery.parts:
            battery = self.batteries[battery.parts[0]]
        return isinstance(battery.link, Recording | Stream)


def open_drivers(config: Config, clock: SystemClock) -> Sequence[Driver]:
    """Return the driver of every battery, in the order of the file; raises ConfigError."""
    opened = _Opened(config, clock)
    for name in nesting.parts_first({battery.id: battery.parts for battery in config.file.battery}):
        opened.open(name)
    return [opened.drivers[battery.id] for battery in config.file.battery]


def _widths(config: Config, battery: Battery) -> Mapping[Quantity, int]:
    """Return how many cells and sensors there are at most: by the profile, and fewer cells where that is declared."""
    channels = profiles.load(battery.profile or "", config.directory).profile.channels
    widths = {q: max((c.index + 1 for c in channels if c.quantity is q), default=0) for q in LISTS}
    if battery.declared.cells_in_series is not None:
        cells = Quantity.CELL_VOLTAGE_V
        widths[cells] = min(widths[cells], battery.declared.cells_in_series)
    return widths

"""The simulated BMS: what it reads, what it believes, what it says. Protection and balancing are in `control`.

It counts charge with its own current sensor, so that errors of gain and offset become a drift of its state of charge,
which jumps back at a full charge (calibration).
"""

from collections.abc import Mapping

import numpy as np

from packseal.core.quantities import Channel, Quantity
from packseal_hil.battery import sensing
from packseal_hil.battery.cells import S_PER_H, Cells, highest, lowest
from packseal_hil.battery.sensing import Silence
from packseal_hil.battery.spec import BatterySpec

S_PER_DAY = 86_400.0
W_PER_KW = 1000.0
HALF = np.array([0.5])


class Management:
    """One BMS. `true_soh_pct` is given at every step, since only the simulation knows it."""

    def __init__(self, spec: BatterySpec, cells: Cells, soc_pct: float, rng: np.random.Generator) -> None:
        self._spec, self._bms, self._cells, self._rng = spec, spec.bms, cells, rng
        self._sensors = spec.sensors
        self._places = sensor_places(spec)
        self._cell_channels = _channels(
            Quantity.CELL_VOLTAGE_V, Quantity.CELL_VOLTAGE_MIN_V, Quantity.CELL_VOLTAGE_MAX_V, spec.cells
        )
        self._sensor_channels = _channels(
            Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MIN_C, Quantity.TEMPERATURE_MAX_C, len(self._places)
        )
        self._silences = {
            kind: Silence(getattr(spec.sensors, kind), rng)
            for kind in ("current", "pack_voltage", "cell_voltage", "temperature")
        }
        self.soc_pct = min(100.0, max(0.0, soc_pct + spec.bms.soc_start_error_pct))
        self.soh_pct = 100.0
        self._current_a = self._voltage_v = 0.0
        self._charged_ah = self._discharged_ah = self._charged_kwh = self._discharged_kwh = 0.0
        self._lived_h = 0.0
        self._said: dict[Channel, float] | None = None

    def begin(self, soh_pct: float, throughput_ah: float, nominal_v: float, lived_h: float) -> None:
        """Set the counters of a battery that has already lived: `throughput_ah` each way."""
        self._lived_h = lived_h
        self.soh_pct = soh_pct
        self._charged_ah = self._discharged_ah = throughput_ah
        self._charged_kwh = self._discharged_kwh = throughput_ah * nominal_v / W_PER_KW
        self._current_a, self._voltage_v = self._read(0.0)

    @property
    def full_charge_ah(self) -> float:
        """The capacity it believes in: what its claim of the state of health means."""
        return self._spec.capacity_ah * self.claim_pct / 100

    @property
    def claim_pct(self) -> float:
        """The state of health that it states."""
        return self.soh_pct if self._bms.soh == "truth" else self._bms.soh

    def calibrate(self, soc_pct: float) -> None:
        """Take a full charge or the cut-off as a fixed point of the state of charge."""
        if self._bms.calibrates:
            self.soc_pct = soc_pct

    def advance(self, seconds: float, current_a: float, soh_pct: float) -> None:
        """Read the sensors and count; a silent current sensor counts as its last value."""
        self._said = None
        self.soh_pct = soh_pct
        for silence in self._silences.values():
            silence.advance(seconds)
        before_a, before_v = self._current_a, self._voltage_v
        self._current_a, self._voltage_v = self._read(current_a)
        charge_ah = (before_a + self._current_a) / 2 * seconds / S_PER_H
        energy_kwh = charge_ah * (before_v + self._voltage_v) / 2 / W_PER_KW
        self._charged_ah += max(0.0, charge_ah)
        self._discharged_ah -= min(0.0, charge_ah)
        self._charged_kwh += max(0.0, energy_kwh)
        self._discharged_kwh -= min(0.0, energy_kwh)
        self._lived_h += seconds / S_PER_H
        drift_pct = self._bms.soc_drift_pct_per_day * seconds / S_PER_DAY
        counted_pct = 100 * charge_ah / max(self.full_charge_ah, 1e-9)
        self.soc_pct = min(100.0, max(0.0, self.soc_pct + counted_pct + drift_pct))

    def said(self) -> Mapping[Channel, float]:
        """Return what it says now; a channel that a silent sensor feeds is absent."""
        if self._said is None:
            self._said = self._say()
        return self._said

    def _read(self, current_a: float) -> tuple[float, float]:
        if not self._silences["current"].is_silent:
            current_a = sensing.read_one(self._sensors.current, current_a, self._rng)
        else:
            current_a = self._current_a
        voltage_v = sensing.read_one(self._sensors.pack_voltage, float(self._cells.volts.sum()), self._rng)
        return current_a, voltage_v

    def _say(self) -> dict[Channel, float]:
        said = {Channel(quantity): value for quantity, value in self._beliefs().items()}
        silent = {kind for kind, silence in self._silences.items() if silence.is_silent}
        if "current" not in silent:
            said[Channel(Quantity.PACK_CURRENT_A)] = self._current_a
        if "pack_voltage" not in silent:
            said[Channel(Quantity.PACK_VOLTAGE_V)] = self._voltage_v
        if not silent & {"current", "pack_voltage"}:
            said[Channel(Quantity.PACK_POWER_W)] = self._voltage_v * self._current_a
        if "cell_voltage" not in silent:
            cells = sensing.read(self._sensors.cell_voltage, self._cells.volts, self._rng)
            said |= zip(self._cell_channels, [lowest(cells), highest(cells), *cells.tolist()], strict=True)
        if "temperature" not in silent:
            true_c = self._cells.temperature_c[self._places]
            sensed = sensing.read(self._sensors.temperature, true_c, self._rng)
            said |= zip(self._sensor_channels, [lowest(sensed), highest(sensed), *sensed.tolist()], strict=True)
        return said

    def _beliefs(self) -> dict[Quantity, float]:
        step, full_ah = self._bms.soc_step_pct, self.full_charge_ah
        soc_pct = round(self.soc_pct / step) * step if step else self.soc_pct
        full_kwh = full_ah * float(self._cells.curve_v(HALF)[0]) * self._spec.cells / W_PER_KW
        return {
            Quantity.STATE_OF_CHARGE_PCT: soc_pct,
            Quantity.STATE_OF_HEALTH_PCT: self.claim_pct,
            Quantity.FULL_CHARGE_CAPACITY_AH: full_ah,
            Quantity.REMAINING_CHARGE_AH: full_ah * soc_pct / 100,
            Quantity.FULL_CHARGE_ENERGY_KWH: full_kwh,
            Quantity.ENERGY_REMAINING_KWH: full_kwh * soc_pct / 100,
            Quantity.CHARGE_CHARGED_AH: self._charged_ah,
            Quantity.CHARGE_DISCHARGED_AH: self._discharged_ah,
            Quantity.ENERGY_CHARGED_KWH: self._charged_kwh,
            Quantity.ENERGY_DISCHARGED_KWH: self._discharged_kwh,
            Quantity.CYCLES: self._discharged_ah / self._spec.capacity_ah,
            Quantity.OPERATING_TIME_H: self._lived_h,
            Quantity.INTERNAL_RESISTANCE_OHM: self._cells.pulse_ohm,
        }


def sensor_places(spec: BatterySpec) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the cells at which the temperature sensors sit, the first and the last among them."""
    count = min(spec.sensors.temperature_count, spec.cells)
    return np.unique(np.linspace(0, spec.cells - 1, count).astype(np.intp))


def _channels(each: Quantity, least: Quantity, most: Quantity, count: int) -> list[Channel]:
    """Return the channels of extremes and all values, made once because a BMS says hundreds of them each second."""
    return [Channel(least), Channel(most), *(Channel(each, i) for i in range(count))]

"""SimulatedBattery: load, control, cells, BMS and truth, one step after the other. Time is its own; nothing sleeps."""

from collections.abc import Mapping
from math import pi, sin

import msgspec
import numpy as np

from packseal.core.declared import Declared
from packseal.core.passport import Field
from packseal.core.quantities import Channel
from packseal_hil.battery import ageing, loads
from packseal_hil.battery.ageing import State
from packseal_hil.battery.cells import Cells, highest, lowest
from packseal_hil.battery.chemistry import CHEMISTRIES, Chemistry
from packseal_hil.battery.control import Control, Stop
from packseal_hil.battery.declaring import MEAN_GRID, declare
from packseal_hil.battery.documents import document
from packseal_hil.battery.loads import Load
from packseal_hil.battery.management import Management, sensor_places
from packseal_hil.battery.spec import BatterySpec
from packseal_hil.battery.truth import Moment, Truth
from packseal_hil.rig.protocols import RigError

S_PER_DAY = 86_400.0
S_PER_H = 3600.0
COLDEST_S = 3 * S_PER_H
AGEING_EVERY_S = S_PER_H


class SimulatedBattery:
    """One battery from the beginning of its run on. Made by `open_battery`."""

    def __init__(self, spec: BatterySpec, seed: int) -> None:
        self._load: Load = loads.load(spec.load)
        if spec.start_soc_pct is None:
            spec = msgspec.structs.replace(spec, start_soc_pct=self._load.start_soc_pct)
        self.spec, self.seed = spec, seed
        self._chemistry: Chemistry = CHEMISTRIES[spec.chemistry]
        self._trajectory = ageing.load(spec.trajectory or self._chemistry.trajectory)
        if self._trajectory.chemistry != spec.chemistry:
            ours = f"the ageing trajectory {self._trajectory.name} is of {self._trajectory.chemistry}"
            raise RigError(f"{ours}, not of {spec.chemistry}: leave `trajectory` out, or change `chemistry`")
        self._new = self._trajectory.at(0)
        self.time_s = 0.0
        self.age = spec.age
        state = self._trajectory.at(spec.age)
        settled = msgspec.structs.replace(spec, ambient_c=self._ambient_c(spec.load_starts_h * S_PER_H))
        self.cells = Cells(settled, self._chemistry, state, np.random.default_rng([seed, 1]))
        self._control = Control(spec, self._chemistry)
        self._places = sensor_places(spec)
        self._declared = declare(spec, self._trajectory)
        self._truth = Truth(self._declared)
        self._bms = Management(spec, self.cells, self.soc_pct, np.random.default_rng([seed, 2]))
        throughput_ah, lived_h = state.full_cycles * spec.capacity_ah, state.mix("days") * 24
        self._bms.begin(self.soh_pct, throughput_ah, self._mean_v * spec.cells, lived_h)
        self._current_a = 0.0
        self._moment = self._look(0.0)
        self._aged_s = 0.0
        self.forced_c: float | None = None
        """A C rate that flows instead of what the load asks for, past every limit, as under a BMS that fails."""

    @property
    def soc_pct(self) -> float:
        """The true state of charge: what the pack still gives, of what it gives from full."""
        gives, takes = self.cells.deliverable_ah
        return 100 * gives / max(gives + takes, 1e-12)

    @property
    def capacity_ah(self) -> float:
        """The true remaining capacity: from the first full to the first empty cell."""
        return sum(self.cells.deliverable_ah)

    @property
    def soh_pct(self) -> float:
        """The true state of health: remaining capacity of the rated."""
        return 100 * self.capacity_ah / self.spec.capacity_ah

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` seconds pass, in steps of the spec's `step_s` and a last shorter one."""
        left = dt_s
        while left > 1e-9:  # noqa: PLR2004  # a nanosecond is no time
            seconds = min(self.spec.step_s, left)
            self._step(seconds)
            left -= seconds

    def said(self) -> Mapping[Channel, float]:
        """Return what its BMS says now, in each quantity's unit; a silent sensor's channels are absent."""
        return self._bms.said()

    def signals(self) -> Mapping[str, float]:
        """Return what is true now, for plots; each name ends in its unit."""
        now = self._moment
        return {
            "pack_voltage_v": now.voltage_v,
            "pack_current_a": now.current_a,
            "soc_pct": self.soc_pct,
            "temperature_max_c": now.hottest_c,
            "temperature_min_c": now.coldest_c,
            "cell_voltage_min_v": now.lowest_v,
            "cell_voltage_max_v": now.highest_v,
        }

    def truth(self) -> Mapping[Field, float]:
        """Return the true value of every passport field, counters since the beginning of this run.

        What the BMS claims as its state of health is held against the true one.
        """
        capacity_ah = self.capacity_ah
        return {
            Field.STATE_OF_CHARGE: self.soc_pct,
            Field.STATE_OF_HEALTH_BMS: self.soh_pct,
            Field.REMAINING_CAPACITY: capacity_ah,
            Field.CAPACITY_FADE: 100 * (1 - capacity_ah / self.spec.capacity_ah),
        } | self._truth.counters()

    def truth_document(self) -> dict[str, object]:
        """Return every dynamic attribute of the passport: value and definition, or why none is defined. JSON-ready."""
        return document(self)

    def declared(self) -> Declared:
        """Return what its manufacturer declares, of a new battery."""
        return self._declared

    @property
    def state(self) -> State:
        """Its point on the ageing trajectory."""
        return self.cells.state

    @property
    def counters(self) -> Truth:
        """The true counters."""
        return self._truth

    @property
    def _mean_v(self) -> float:
        return float(self._new.ocv_v(MEAN_GRID).mean())

    def _step(self, seconds: float) -> None:
        cells, before = self.cells, self._moment
        self.time_s += seconds
        at_s = self.time_s + self.spec.load_starts_h * S_PER_H
        if self.forced_c is None:
            wanted_a = self._load.rate_c(at_s) * self.spec.capacity_ah
            current_a = self._control.allow(wanted_a, cells, before.current_a, seconds)
        else:
            current_a = self.forced_c * self.spec.capacity_ah
        cells.step(before.current_a, current_a, seconds, self._ambient_c(at_s))
        self._control.balance(cells)
        self._moment = self._look(current_a)
        self._truth.step(before, self._moment, seconds)
        self._bms.advance(seconds, current_a, self.soh_pct)
        if self._control.stop is not Stop.NONE:
            self._bms.calibrate(100.0 if self._control.stop is Stop.FULL else 0.0)
        if self.spec.age_per_day and self.time_s - self._aged_s >= AGEING_EVERY_S:
            self._grow_older()

    def _look(self, current_a: float) -> Moment:
        volts, sensed_c = self.cells.volts, self.cells.temperature_c[self._places]
        return Moment(
            current_a,
            float(volts.sum()),
            lowest(sensed_c),
            highest(sensed_c),
            lowest(volts),
            highest(volts),
        )

    def _ambient_c(self, at_s: float) -> float:
        own = self._load.ambient_c(at_s)
        if own is not None:
            return own
        swing = self.spec.ambient_swing_k
        return self.spec.ambient_c - (swing * sin(2 * pi * (at_s - COLDEST_S) / S_PER_DAY + pi / 2) if swing else 0.0)

    def _grow_older(self) -> None:
        self.age = min(1.0, self.age + self.spec.age_per_day * (self.time_s - self._aged_s) / S_PER_DAY)
        self._aged_s = self.time_s
        self.cells.age(self._trajectory.at(self.age))


def open_battery(spec: BatterySpec, seed: int) -> SimulatedBattery:
    """Return a battery at the beginning of its run. The same spec, seed and calls give the same values.

    Raises:
        RigError: its load or ageing trajectory does not exist, or does not fit its chemistry.
    """
    return SimulatedBattery(spec, seed)

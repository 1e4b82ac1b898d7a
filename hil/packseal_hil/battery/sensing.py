"""Sensors: from what is true to what a BMS reads: gain, offset, noise, quantisation, silence."""

from collections.abc import Sequence

import numpy as np

from packseal_hil.battery.ageing import Floats
from packseal_hil.battery.spec import Sensor

S_PER_H = 3600.0


def read(sensor: Sensor, true: Floats | Sequence[float], rng: np.random.Generator) -> Floats:
    """Return what sensors of this kind say of true values."""
    values: Floats = np.asarray(true) * sensor.gain + sensor.offset
    if sensor.noise:
        values = values + sensor.noise * rng.standard_normal(len(values))
    return np.round(values / sensor.step) * sensor.step if sensor.step else values


def read_one(sensor: Sensor, true: float, rng: np.random.Generator) -> float:
    """Return what one sensor says; the same as `read`, without the cost of an array."""
    value = true * sensor.gain + sensor.offset
    if sensor.noise:
        value += sensor.noise * rng.standard_normal()
    return round(value / sensor.step) * sensor.step if sensor.step else value


class Silence:
    """Whether a sensor is silent now: at random moments, exponentially distributed, each of the same length."""

    def __init__(self, sensor: Sensor, rng: np.random.Generator) -> None:
        self._sensor, self._rng = sensor, rng
        self._wait_s = self._next_s()
        self.is_silent = False

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if not self._sensor.dropouts_per_h:
            return
        self._wait_s -= seconds
        while self._wait_s <= 0:
            self.is_silent = not self.is_silent
            self._wait_s += self._sensor.dropout_s if self.is_silent else self._next_s()

    def _next_s(self) -> float:
        rate = self._sensor.dropouts_per_h
        return float(self._rng.exponential(S_PER_H / rate)) if rate else 0.0

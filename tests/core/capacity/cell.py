"""A simple cell whose capacity is known: an open-circuit curve, one resistance, charged and discharged as told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from packseal.core.sample import ClockQuality, Instant

Row = tuple[float, float, float, float]
SOC = (0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)
OCV_V = (2.9, 3.2, 3.42, 3.52, 3.6, 3.68, 3.82, 3.97, 4.06, 4.19)
FULL_V, EMPTY_V = 4.2, 2.8


def ocv_v(soc: float) -> float:
    for (s0, s1), (v0, v1) in zip(pairwise(SOC), pairwise(OCV_V), strict=True):
        if soc <= s1:
            return v0 + (v1 - v0) * (soc - s0) / (s1 - s0)
    return OCV_V[-1] + 2 * (soc - 1)


@dataclass
class Cell:
    """`rows` are (t_s, V, A, °C); the truth is what a discharge from full at `rate` of the 10 Ah gives."""

    capacity_ah: float = 10.0
    ohm: float = 0.01
    soc: float = 0.5
    t_s: float = 0.0
    step_s: float = 10.0
    warm_c: float = 25.0
    rows: list[Row] = field(default_factory=list)

    def _row(self, amps: float) -> float:
        self.t_s += self.step_s
        self.soc += amps * self.step_s / 3600 / self.capacity_ah
        volts = ocv_v(self.soc) + amps * self.ohm
        self.rows.append((self.t_s, volts, amps, self.warm_c))
        return volts

    def rest(self, seconds: float) -> "Cell":
        for _ in range(int(seconds / self.step_s)):
            self._row(0.0)
        return self

    def charge(self, amps: float = 5.0, to_soc: float = 2.0) -> "Cell":
        while self.soc < to_soc:
            held = max(0.0, min(amps, (FULL_V - ocv_v(self.soc)) / self.ohm))
            if held < 0.3:
                break
            self._row(held)
        return self

    def discharge(self, amps: float = 5.0, to_soc: float = -1.0) -> "Cell":
        while self.soc > to_soc and self._row(-amps) > EMPTY_V:
            pass
        return self

    def away(self, seconds: float) -> "Cell":
        self.t_s += seconds
        return self


def instants(rows: list[Row]) -> Iterator[tuple[Instant, Row]]:
    for row in rows:
        yield Instant(round(row[0] * 1e9), round((1e9 + row[0]) * 1e9), ClockQuality.NTP), row

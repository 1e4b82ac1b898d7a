"""Tables to replay, what a direct integration makes of them, and the demo as a user starts it."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

GAP_LIMIT_S = 10
TRIPS = Path(__file__).parents[2] / "../shared/data/bmw_i3_trips/trips_1hz.csv.gz"
EXTREMES = ("time_extreme_high", "time_extreme_low", "time_extreme_high_charging", "time_extreme_low_charging")
DEMO = [sys.executable, "-m", "packseal", "demo"]


class Line(NamedTuple):
    """A row of a table; None is "not usable"."""

    trip: str
    t_s: float
    voltage_v: float | None
    current_a: float | None
    temperature_c: float | None


@dataclass
class Direct:
    """What a table gives by trapezoids between neighbouring rows, neither over gaps nor over unusable values."""

    hot_c: float
    cold_c: float
    charging_above_a: float
    charged_ah: float = 0.0
    discharged_ah: float = 0.0
    energy_kwh: float = 0.0
    covered_s: float = 0.0
    minutes: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EXTREMES, 0.0))

    @property
    def throughput_ah(self) -> float:
        return self.charged_ah + self.discharged_ah

    def integrate(self, lines: Iterable[Line]) -> "Direct":
        last: Line | None = None
        was: dict[str, bool] = {}
        charging = False
        for line in lines:
            charging = charging if line.current_a is None else line.current_a > self.charging_above_a
            now = self._extremes(line, charging=charging)
            if last is not None and last.trip == line.trip and line.t_s - last.t_s <= GAP_LIMIT_S:
                self._add(last, line, line.t_s - last.t_s)
                if last.temperature_c is not None and line.temperature_c is not None:
                    for name in EXTREMES:
                        self.minutes[name] += (line.t_s - last.t_s) * (was[name] + now[name]) / 2 / 60
            last, was = line, now
        return self

    def _add(self, a: Line, b: Line, dt_s: float) -> None:
        if a.current_a is None or b.current_a is None:
            return
        self.covered_s += dt_s
        self.charged_ah += dt_s * (max(a.current_a, 0) + max(b.current_a, 0)) / 2 / 3600
        self.discharged_ah -= dt_s * (min(a.current_a, 0) + min(b.current_a, 0)) / 2 / 3600
        if a.voltage_v is not None and b.voltage_v is not None:
            watts = abs(a.voltage_v * a.current_a) + abs(b.voltage_v * b.current_a)
            self.energy_kwh += dt_s * watts / 2 / 3.6e6

    def _extremes(self, line: Line, *, charging: bool) -> dict[str, bool]:
        celsius = line.temperature_c
        hot, cold = celsius is not None and celsius > self.hot_c, celsius is not None and celsius < self.cold_c
        return dict(zip(EXTREMES, (hot, cold, hot and charging, cold and charging), strict=True))


def read(path: Path) -> Iterator[Line]:
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            yield Line(row["trip"], *(float(row[name]) for name in ("t_s", "v_v", "i_a", "temp_c")))


def demo(*words: str | Path, report: Path, code: int = 0) -> dict[str, Any]:
    """Run the demo headless to its end and return its report."""
    command = [*DEMO, *map(str, words), "--headless", "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    content: dict[str, Any] = json.loads(report.read_text())
    assert content["ok"] is (code == 0)
    return content


def processes_that_name(text: str) -> list[int]:
    """Return the processes whose command line has `text` in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if text.encode() in words:
                found.append(int(entry.name))
    return found

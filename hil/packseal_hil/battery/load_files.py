"""Loads from the files of load_profiles: csv.gz with Time_s, SOC (0 to 1) and, in some, Temperature_C.

The slope of the state of charge is the current, of the rated capacity. It is what the world asks for; an aged battery
is asked for the same ampere hours and so swings further. What the file calls empty is 5 % here: its state of charge is
that of the usable range, and a BMS keeps a reserve.
"""

import csv
import gzip
import os
import zlib
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

from packseal_hil.rig.protocols import RigError

CHECKOUT = Path(__file__).resolve().parents[3]
VARIABLE = "PACKSEAL_DATA"
SUFFIX = ".csv.gz"
RESERVE = 0.05
S_PER_H = 3600.0


class Measured:
    """A course of state of charge that was recorded or computed elsewhere; it repeats after its last row."""

    def __init__(self, moments: list[float], soc: list[float], ambient: list[float] | None) -> None:
        self._moments, self._soc, self._ambient = moments, soc, ambient
        self.start_soc_pct = 100 * (RESERVE + (1 - RESERVE) * soc[0])
        self.period_s = moments[-1] - moments[0]

    def rate_c(self, at_s: float) -> float:
        """Return the C rate: constant between two rows."""
        i = self._row(at_s)
        hours = (self._moments[i + 1] - self._moments[i]) / S_PER_H
        return (1 - RESERVE) * (self._soc[i + 1] - self._soc[i]) / hours

    def ambient_c(self, at_s: float) -> float | None:
        """Return the ambient temperature of the file, None where it has none."""
        return None if self._ambient is None else self._ambient[self._row(at_s)]

    def _row(self, at_s: float) -> int:
        within = self._moments[0] + at_s % self.period_s
        return min(bisect_right(self._moments, within), len(self._moments) - 1) - 1


def folder() -> Path:
    """Return where the files are: load_profiles below $PACKSEAL_DATA, or below shared/data beside the checkout."""
    told = os.environ.get(VARIABLE)
    return (Path(told) if told else CHECKOUT.parent / "shared/data") / "load_profiles"


def file_names() -> list[str]:
    """Return the names of the files there, none where the folder is absent."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}"))


def read_file(name: str, built_in: list[str]) -> Measured:
    """Return the load in the file of this name.

    Raises:
        RigError: it is absent or damaged.
    """
    where = folder()
    if name not in file_names():
        raise RigError(
            f"there is no load {name!r}: it is none of the built-in ones ({', '.join(built_in)}) and "
            f"{where / (name + SUFFIX)} does not exist; set {VARIABLE} to the folder that holds load_profiles"
        )
    path = where / f"{name}{SUFFIX}"
    try:
        with gzip.open(path, "rt", newline="") as file:
            return _measured(list(csv.DictReader(file)))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError) as error:
        raise RigError(f"the load {path} is damaged: {error}; it must have Time_s and SOC, and two rows") from error


def _measured(rows: list[dict[str, str]]) -> Measured:
    moments = [float(row["Time_s"]) for row in rows]
    soc = [float(row["SOC"]) for row in rows]
    if len(moments) < 2 or any(b <= a for a, b in pairwise(moments)):  # noqa: PLR2004
        raise ValueError("Time_s must rise")
    if not all(0 <= s <= 1 for s in soc):
        raise ValueError("SOC must be from 0 to 1")
    ambient = [float(row["Temperature_C"]) for row in rows] if "Temperature_C" in rows[0] else None
    return Measured(moments, soc, ambient)

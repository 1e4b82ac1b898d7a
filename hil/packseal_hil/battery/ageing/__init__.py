"""Ageing trajectories: how the electrodes' windows, capacity and resistance move, prepared off-line (hil/ageing).

Lithium that is lost shifts the two half-cell curves against each other, material that is lost stretches one of them:
so the open-circuit curve changes its shape, and an aged battery is not a new one with a smaller number of ampere hours.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from packseal_hil.rig.protocols import RigError

Floats = npt.NDArray[np.float64]

FOLDER = Path(__file__).parent


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stoichiometry of the negative (x) and positive (y) electrode, empty (0) and full (100)."""

    x0: float
    x100: float
    y0: float
    y100: float


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One age. Losses in % of what there was when new; `pulse_ohm` is the 10 s resistance of the cell simulated.

    `ocv_v` is the open-circuit voltage from empty to full in equal steps of charge, as the simulation gave it.
    """

    cycles: int
    days: float
    throughput_ah: float
    capacity_ah: float
    lithium_loss_pct: float
    negative_loss_pct: float
    positive_loss_pct: float
    window: Window
    pulse_ohm: float
    ocv_v: Sequence[float]


class HalfCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Open-circuit potential of one electrode against lithium, in V, by rising stoichiometry."""

    stoichiometry: Sequence[float]
    volts: Sequence[float]


class HalfCells(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both electrodes."""

    negative: HalfCell
    positive: HalfCell


class Trajectory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of this folder: how one published cell ages. `provenance` says where every number comes from."""

    name: str
    title: str
    chemistry: str
    provenance: dict[str, str | Sequence[str] | dict[str, str]]
    limits_v: tuple[float, float]
    half_cells: HalfCells
    points: Sequence[Point]

    def at(self, age: float) -> "State":
        """Return the cell at an age from 0 (new) to 1 (the last point), straight lines between the points."""
        place = min(max(age, 0.0), 1.0) * (len(self.points) - 1)
        before = min(int(place), max(0, len(self.points) - 2))
        first, second = self.points[before], self.points[min(before + 1, len(self.points) - 1)]
        return State(self, first, second, place - before)


class State(NamedTuple):
    """A cell of a trajectory at one age, between two of its points."""

    trajectory: Trajectory
    before: Point
    after: Point
    share: float

    @property
    def window(self) -> Window:
        """Where the electrodes work now."""
        pairs = zip(
            msgspec.structs.astuple(self.before.window), msgspec.structs.astuple(self.after.window), strict=True
        )
        return Window(*(a + self.share * (b - a) for a, b in pairs))

    def mix(self, name: str) -> float:
        """Return a number of the points by its name."""
        first, second = getattr(self.before, name), getattr(self.after, name)
        return float(first + self.share * (second - first))

    @property
    def capacity(self) -> float:
        """Capacity relative to the new cell's."""
        return self.mix("capacity_ah") / self.trajectory.points[0].capacity_ah

    @property
    def resistance(self) -> float:
        """10 s resistance relative to the new cell's."""
        return self.mix("pulse_ohm") / self.trajectory.points[0].pulse_ohm

    @property
    def full_cycles(self) -> float:
        """Charge given out since new, in capacities of the new cell: half of the throughput."""
        return self.mix("throughput_ah") / 2 / self.trajectory.points[0].capacity_ah

    def ocv_v(self, soc: Floats) -> Floats:
        """Return the open-circuit voltage at states of charge, 0 to 1 of this age's capacity and somewhat beyond."""
        w, cells = self.window, self.trajectory.half_cells
        x, y = w.x0 + soc * (w.x100 - w.x0), w.y0 + soc * (w.y100 - w.y0)
        positive = np.interp(y, cells.positive.stoichiometry, cells.positive.volts)
        negative = np.interp(x, cells.negative.stoichiometry, cells.negative.volts)
        volts: Floats = positive - negative
        return volts


def names() -> list[str]:
    """Return the names of all trajectories."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def load(name: str) -> Trajectory:
    """Return the trajectory of this name.

    Raises:
        RigError: there is none, or its file is damaged.
    """
    if name not in names():
        raise RigError(f"there is no ageing trajectory {name!r}: choose one of {', '.join(names())}")
    try:
        return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Trajectory)
    except msgspec.MsgspecError as error:
        raise RigError(f"the ageing trajectory {name} is damaged: {error}; write it anew, see hil/ageing") from error

"""Combining: what a battery made of parts says at one instant, from what its parts say then. Pure, without time.

In series one current flows through every part and the voltages add; in parallel all parts share the voltage and the
currents add. A sum, a list and an extreme are of the whole only if every part is in them; what the parts share, each of
them can tell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from packseal.core.quantities import Channel, Quantity

VOLTAGE, CURRENT = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
POWER, CHARGE = Channel(Quantity.PACK_POWER_W), Channel(Quantity.STATE_OF_CHARGE_PCT)

LISTS = Quantity.CELL_VOLTAGE_V, Quantity.TEMPERATURE_C
"""What is kept apart by index: the first part's come first."""
EXTREMES = (
    (Quantity.CELL_VOLTAGE_MAX_V, Quantity.CELL_VOLTAGE_V, max),
    (Quantity.CELL_VOLTAGE_MIN_V, Quantity.CELL_VOLTAGE_V, min),
    (Quantity.TEMPERATURE_MAX_C, Quantity.TEMPERATURE_C, max),
    (Quantity.TEMPERATURE_MIN_C, Quantity.TEMPERATURE_C, min),
)
"""What is extreme, and the list that it is also found from."""

FLOOR_A = 1.0
"""Currents that differ by less agree: the offsets of two sensors at rest."""


class Arrangement(Enum):
    """How the parts are connected."""

    SERIES = "series"
    PARALLEL = "parallel"


TOLERANCE_PCT = {Arrangement.SERIES: 5.0, Arrangement.PARALLEL: 2.5}
"""Three and a half standard deviations of the difference of two sensors with the default uncertainties (declared.py):
currents of 1 %, voltages of 0.5 %."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `widths`: how many cells and sensors it has at most, by their quantity.

    `gap_limit_s`: what it said is good for so long; `rated_capacity_ah`: as declared, None where it is not.
    `is_whole`: it is made of parts itself, so each of its samples says all that is known of it.
    """

    id: str
    gap_limit_s: float
    delivers: frozenset[Quantity]
    widths: Mapping[Quantity, int]
    rated_capacity_ah: float | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Combined:
    """What the whole says. `spread`: by how much the parts differ in what they share, where that is too much."""

    values: dict[Channel, float]
    spread: float | None = None


Said = Mapping[Channel, float]


class Combiner:
    """Combines what parts say.

    Args:
        arrangement: how they are connected.
        parts: in the order in which their cells and sensors are numbered.
        tolerance_pct: how far the parts' values of what they share may lie apart, of the greatest of them.
    """

    def __init__(self, arrangement: Arrangement, parts: Sequence[Part], tolerance_pct: float | None = None) -> None:
        self.parts = parts
        in_series = arrangement is Arrangement.SERIES
        self._in_series = in_series
        self.shared, self._added = (CURRENT, VOLTAGE) if in_series else (VOLTAGE, CURRENT)
        self._tolerance = (TOLERANCE_PCT[arrangement] if tolerance_pct is None else tolerance_pct) / 100
        self._floor = FLOOR_A if in_series else 0.0
        self.widths = {quantity: sum(part.widths.get(quantity, 0) for part in parts) for quantity in LISTS}
        self.delivers = frozenset(self._delivered())

    def combine(self, said: Sequence[Said]) -> Combined:
        """Return what the whole says; `said` is in the order of the parts, empty where one says nothing."""
        values: dict[Channel, float] = {}
        for channel in (self._added, POWER):
            if all(channel in s for s in said):
                values[channel] = sum(s[channel] for s in said)
        spread = self._share(said, values)
        charge = self._state_of_charge(said)
        if charge is not None:
            values[CHARGE] = charge
        for quantity in LISTS:
            values.update(self._list(quantity, said))
        for extreme, listed, most in EXTREMES:
            found = [[v for c, v in s.items() if c.quantity in (extreme, listed)] for s in said]
            if all(found):
                values[Channel(extreme)] = most(v for of_part in found for v in of_part)
        return Combined(values, spread)

    def _delivered(self) -> Iterable[Quantity]:
        """Yield what the whole can deliver.

        State of charge is not among it: readings pass on what a BMS says, and no BMS says it of the whole.
        """
        sets = [part.delivers for part in self.parts]
        if any(self.shared.quantity in s for s in sets):
            yield self.shared.quantity
        for quantity in (self._added.quantity, Quantity.PACK_POWER_W, *LISTS):
            if all(quantity in s for s in sets):
                yield quantity
        for extreme, listed, _ in EXTREMES:
            if all({extreme, listed} & s for s in sets):
                yield extreme

    def _share(self, said: Sequence[Said], values: dict[Channel, float]) -> float | None:
        """Add the mean of what the parts share; return the spread, and add nothing, where they disagree."""
        heard = [s[self.shared] for s in said if self.shared in s]
        if not heard:
            return None
        spread = max(heard) - min(heard)
        if spread > self._floor + self._tolerance * max(map(abs, heard)):
            return spread
        values[self.shared] = sum(heard) / len(heard)
        return None

    def _state_of_charge(self, said: Sequence[Said]) -> float | None:
        """In series the emptiest part ends the discharge of all; in parallel each counts by its rated capacity."""
        if not all(CHARGE in s for s in said):
            return None
        if self._in_series:
            return min(s[CHARGE] for s in said)
        rated = [part.rated_capacity_ah for part in self.parts if part.rated_capacity_ah is not None]
        if len(rated) < len(said):
            return None
        return sum(s[CHARGE] * ah for s, ah in zip(said, rated, strict=True)) / sum(rated)

    def _list(self, quantity: Quantity, said: Sequence[Said]) -> dict[Channel, float]:
        """Return all parts' cells or sensors under new numbers; none where a part has more than it is known to have."""
        values: dict[Channel, float] = {}
        first = 0
        for part, of_part in zip(self.parts, said, strict=True):
            width = part.widths.get(quantity, 0)
            own = {c.index: v for c, v in of_part.items() if c.quantity is quantity}
            if not own or max(own) >= width:
                return {}
            values.update((Channel(quantity, first + index), value) for index, value in own.items())
            first += width
        return values

"""Catalogue: what the profiles that come with packseal deliver, which models they serve, and how that is checked."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from packseal.core.quantities import Quantity
from packseal_drivers import profile
from packseal_drivers.models import Checked
from packseal_drivers.profile import Profile

OWN = frozenset({"packseal/reference96", "bmw/i3_replay"})
"""Profiles of frames that the project makes itself, for its demo and tests: no battery that one can buy."""

Road = Literal["CAN", "Modbus", "Bluetooth"]


@dataclass(frozen=True, slots=True)
class Row:
    """One model or documented family that somebody would look for, and what stands behind it."""

    name: str
    source: str
    checked: Checked


@dataclass(frozen=True, slots=True)
class Entry:
    """One profile. `delivers` says how many channels of each quantity, in the order of the quantities' codes."""

    profile: Profile
    delivers: Mapping[Quantity, int]

    @property
    def page(self) -> str:
        """The name of its page in docs/drivers."""
        return f"{self.profile.name.replace('/', '_')}.md"

    @property
    def asks(self) -> bool:
        """Whether anything is asked for; else the bus is only listened to."""
        asked_groups = any(table.ask_s is not None for table in self.profile.pgn)
        return bool(self.profile.request or self.profile.values or self.profile.ble) or asked_groups

    @property
    def road(self) -> Road:
        """Which kind of wire, or of air, it is read over."""
        if self.profile.ble is not None:
            return "Bluetooth"
        return "Modbus" if self.profile.values else "CAN"

    @property
    def rows(self) -> tuple[Row, ...]:
        """Its [[model]] tables; without any it is one of its own."""
        of = self.profile
        if not of.model:
            return (Row(of.title, " ".join(of.source.split()), of.checked),)
        return tuple(Row(m.name, " ".join(m.source.split()), m.checked) for m in of.model)


def entry(of: Profile) -> Entry:
    """Return a profile's entry."""
    counts = Counter(channel.quantity for channel in of.channels)
    return Entry(of, {quantity: counts[quantity] for quantity in Quantity if quantity in counts})


def entries() -> list[Entry]:
    """Return an entry for every profile of a battery that one can buy, by name.

    Raises:
        ConfigError: a profile is broken.
    """
    return [entry(profile.load(name).profile) for name in profile.names() if name not in OWN]


def totals(found: Iterable[Entry]) -> Mapping[tuple[Road, Checked], int]:
    """Return how many models there are, by road and by how they are checked."""
    return Counter((e.road, row.checked) for e in found for row in e.rows)

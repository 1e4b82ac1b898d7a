"""Identify: which profile fits the traffic of a bus or of a recording. Pure: frames were seen, nothing is asked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packseal.core.sample import Frame
from packseal_drivers.profile import Content, Profile

MAX_IDS = 4096
"""Of one bus: twice what 11 bits allow. A bus that is noise ends the list, not the memory."""
MAX_DATA = 64
"""Different data kept of one id: enough for a name behind a multiplexer."""


class Seen:
    """What came by: for each id its different data, the first of them, so that memory is bounded."""

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        self._data: dict[int, dict[bytes, None]] = {}
        for frame in frames:
            self.add(frame)

    def add(self, frame: Frame) -> None:
        """Account for a frame; an error frame is no traffic and must not be given."""
        data = self._data.get(frame.address)
        if data is None:
            if len(self._data) >= MAX_IDS:
                return
            data = self._data[frame.address] = {}
        if len(data) < MAX_DATA:
            data[bytes(frame.data)] = None

    @property
    def data(self) -> Mapping[int, Iterable[bytes]]:
        """Different data by id."""
        return self._data

    @property
    def ids(self) -> frozenset[int]:
        """Every id seen."""
        return frozenset(self._data)


@dataclass(frozen=True, slots=True)
class Match:
    """How a profile fits what was seen. `weight` says how much of it was proven: the heaviest of several fits best.

    `missing` and `unwanted` are ids; `content` are the frames that were looked for and did not come.
    """

    fits: bool
    weight: int
    missing: tuple[int, ...] = ()
    unwanted: tuple[int, ...] = ()
    content: tuple[Content, ...] = ()


def match(profile: Profile, seen: Seen) -> Match:
    """Return how `profile` fits; one without [identify] never does."""
    known = profile.identify
    if known is None:
        return Match(fits=False, weight=0)
    ids = seen.ids
    missing = tuple(i for i in known.ids if i not in ids)
    unwanted = tuple(i for i in known.without if i in ids)
    places: dict[tuple[int, int], list[Content]] = defaultdict(list)
    for content in known.content:
        places[content.id, content.at].append(content)
    wrong = tuple(c for group in places.values() if not _is_met(group, seen) for c in group)
    fits = not missing and not unwanted and not wrong
    return Match(fits, len(known.ids) + len(places) if fits else 0, missing, unwanted, wrong)


def best(profiles: Iterable[Profile], seen: Seen) -> list[Profile]:
    """Return the profiles that fit, the one with the most proof first; several where they are equally proven."""
    weights = [(match(profile, seen).weight, profile) for profile in profiles]
    fitting = sorted(((w, p) for w, p in weights if w), key=lambda found: (-found[0], found[1].name))
    return [p for _, p in fitting]


def _is_met(group: Iterable[Content], seen: Seen) -> bool:
    return any(content.is_in(data) for content in group for data in seen.data.get(content.id, ()))

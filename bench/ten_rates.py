"""Rates: how often each quantity of a battery was sealed, against how often its profile says."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packseal.core.bodies import Telemetry
from packseal.core.quantities import Channel
from packseal.core.record import parse
from packseal.journal.store import Journal, LogKind
from packseal_drivers import profile

NOT_SAID = {"jk/jk02_32s": {"state_of_health_pct"}}
"""By profile: what is flagged instead, as a value that may be a constant of the BMS."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one battery: a second's values of each quantity, the least of its channels; and what was sealed.

    `expected`: as often as the profile makes a sample. `missing`: quantities of the profile that never came.
    `longest_s`: between two samples.
    """

    expected: float
    found: Mapping[str, float]
    missing: frozenset[str]
    samples: int
    records: int
    longest_s: float

    @property
    def least_pct(self) -> float:
        """The worst quantity's share of what was expected."""
        return 0.0 if self.missing or not self.found else 100 * min(self.found.values()) / self.expected


def taken(journal: Path, profiles: Mapping[str, str], begin_s: float, end_s: float) -> dict[str, Rates]:
    """Return the rates by the battery's id, of what lies between two monotonic times; raises StorageError."""
    with Journal.open_to_read(journal) as opened:
        logs = {entry.subject: entry.log_id for entry in opened.logs() if entry.kind is LogKind.BATTERY}
        return {
            subject: _rates(opened, logs[subject], name, round(begin_s * 1000), round(end_s * 1000))
            for subject, name in profiles.items()
            if subject in logs
        }


def _rates(journal: Journal, log_id: bytes, name: str, begin_ms: int, end_ms: int) -> Rates:
    counts: Counter[Channel] = Counter()
    times: list[int] = []
    records = 0
    for record in journal.records(log_id):
        body = parse(record.raw).body
        records += 1
        if isinstance(body, Telemetry):
            for mono_ms, values, _ in body.rows():
                if begin_ms <= mono_ms < end_ms:
                    counts.update(values.keys())
                    times.append(mono_ms)
    least: defaultdict[str, float] = defaultdict(lambda: float("inf"))
    for channel, count in counts.items():
        key = channel.quantity.key
        least[key] = min(least[key], 1000 * count / (end_ms - begin_ms))
    described = profile.load(name).profile
    wanted = {quantity.key for quantity in described.delivers} - NOT_SAID.get(name, set())
    marks = [begin_ms, *sorted(times), end_ms]
    return Rates(
        1 / described.sampling.period_s,
        least,
        frozenset(wanted - least.keys()),
        len(times),
        records,
        max(later - earlier for earlier, later in itertools.pairwise(marks)) / 1000,
    )

"""A backlog: a gateway's journal after an outage, sealed minute by minute by the product's own meter and sealer."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packseal.core.bodies import LifecycleCode
from packseal.core.chain import Pen
from packseal.core.cose import Signer
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal.core.sealer import Sealed, Sealer
from packseal.journal.store import Journal

WINDOW_S = 60
WINDOWS_PER_APPEND = 60
BOOT_ID = bytes(8)
"""Of a boot that is long over."""
MONO_NS = 5_000 * NS_PER_S

STARTS = {
    Channel(Quantity.PACK_VOLTAGE_V): (51.2, 0.1),
    Channel(Quantity.PACK_CURRENT_A): (-8.0, 0.1),
    Channel(Quantity.STATE_OF_CHARGE_PCT): (60.0, 0.1),
    Channel(Quantity.TEMPERATURE_MAX_C): (22.0, 0.5),
}
"""Where each walk of `minutes` begins, and the resolution of its steps: invented, a stationary battery's."""
RETURN = 50
"""How slowly, in steps, a walk comes back to its start, so that none wanders out of its limits."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a log: the key, and the identifiers that each record bears."""

    signer: Signer
    gateway: str
    battery: str
    log_id: bytes


def fill(journal: Path, author: Author, declared: Declared, period_s: float, samples: Iterable[Sample]) -> int:
    """Write a new journal with a whole log of these samples, ended in good order; return how many records it holds.

    Args:
        journal: the file.
        author: who writes.
        declared: what is known of the battery.
        period_s: between two samples.
        samples: at least one, oldest first.
    """
    log_id = author.log_id
    with Journal.open(journal) as opened:
        opened.begin_log(author.battery, log_id)
        pen = Pen(author.signer, author.gateway, author.battery, log_id, BOOT_ID, opened.head(log_id))
        for part in _parts(sealing(pen, declared, period_s, iter(samples))):
            records = [record for sealed in part for record in sealed.records]
            opened.append(log_id, records, part[-1].state)
        return opened.head(log_id).next_sequence


def minutes(count: int, last_wall_ns: int, seed: int = 1) -> Iterator[Sample]:
    """Yield a sample a minute, the last one at this UTC time: random walks of four quantities."""
    chance = random.Random(seed)
    present = {channel: start for channel, (start, _) in STARTS.items()}
    for number in range(count):
        for channel, (start, resolution) in STARTS.items():
            step = chance.gauss((start - present[channel]) / RETURN, resolution * 2)
            present[channel] = round(round((present[channel] + step) / resolution) * resolution, 6)
        elapsed_ns = number * WINDOW_S * NS_PER_S
        wall_ns = last_wall_ns - (count - 1) * WINDOW_S * NS_PER_S + elapsed_ns
        yield Sample(Instant(MONO_NS + elapsed_ns, wall_ns, ClockQuality.NTP), dict(present))


def _parts(sealed: Iterable[Sealed]) -> Iterator[list[Sealed]]:
    """Yield what is sealed, an hour or so at a time."""
    waiting: list[Sealed] = []
    for one in sealed:
        waiting.append(one)
        if len(waiting) >= WINDOWS_PER_APPEND:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def sealing(pen: Pen, declared: Declared, period_s: float, samples: Iterator[Sample]) -> Iterator[Sealed]:
    """Yield what is sealed of a whole log: its beginning, its windows, its end in good order."""
    last = next(samples)
    meter = Meter(declared, frozenset(channel.quantity for channel in last.values), period_s)
    sealer = Sealer(pen, meter, WINDOW_S, None)
    yield sealer.begin(LifecycleCode.LOG_BEGUN, last.at, {})
    yield from sealer.feed(last)
    for last in samples:
        yield from sealer.feed(last)
    yield sealer.end(LifecycleCode.AGENT_STOPPED, last.at)

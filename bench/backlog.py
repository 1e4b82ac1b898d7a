"""A backlog: a gateway's journal after an outage, sealed minute by minute by the product's own meter and sealer."""

from collections.abc import Iterator
from pathlib import Path

from bench import signals
from bench.installation import GATEWAY_ID
from bench.size import DECLARED
from packseal.core.bodies import LifecycleCode
from packseal.core.chain import Pen
from packseal.core.meter import Meter
from packseal.core.sample import Sample
from packseal.core.sealer import Sealed, Sealer
from packseal.journal.store import Journal
from packseal.keys import file as key_file

SUBJECT = "urn:packseal:battery:bench"
LOG_ID = bytes(range(16))
WINDOW_S = 60
WALK_S = 3600
MINUTES_PER_APPEND = 60
MINUTES_PER_DAY = 1440


def fill(folder: Path, days: float) -> int:
    """Write `folder`/journal.db, with its key beside it, and return how many records it holds."""
    key_file.create(folder / "gateway.key")
    signer = key_file.load(folder / "gateway.key")
    with Journal.open(folder / "journal.db") as journal:
        journal.begin_log(SUBJECT, LOG_ID)
        pen = Pen(signer, GATEWAY_ID, SUBJECT, LOG_ID, bytes(8), journal.head(LOG_ID))
        for part in _parts(pen, round(days * MINUTES_PER_DAY)):
            records = [record for sealed in part for record in sealed.records]
            journal.append(LOG_ID, records, part[-1].state)
        return journal.head(LOG_ID).next_sequence


def _parts(pen: Pen, minutes: int) -> Iterator[list[Sealed]]:
    """Yield what is sealed, an hour or so at a time."""
    samples = _samples(minutes * WINDOW_S)
    first = next(samples)
    meter = Meter(DECLARED, frozenset(channel.quantity for channel in first.values))
    sealer = Sealer(pen, meter, WINDOW_S, None)
    waiting = [sealer.begin(LifecycleCode.LOG_BEGUN, first.at, {}), *sealer.feed(first)]
    for sample in samples:
        waiting += sealer.feed(sample)
        if len(waiting) >= MINUTES_PER_APPEND:
            yield waiting
            waiting = []
    yield [*waiting, sealer.end(LifecycleCode.AGENT_STOPPED, signals.instant(minutes * WINDOW_S))]


def _samples(count: int) -> Iterator[Sample]:
    """Yield a sample a second: an hour's walk, again and again."""
    walk = signals.walked(signals.PACK, WALK_S)
    return (Sample(signals.instant(second), walk[second % WALK_S].values) for second in range(count))

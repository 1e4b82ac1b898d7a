"""A backlog of the bench's pack: a gateway's journal after an outage, a sample a second sealed by the minute."""

from collections.abc import Iterator
from pathlib import Path

from bench import signals
from bench.installation import GATEWAY_ID
from bench.size import DECLARED
from packseal.core.chain import Head, Pen
from packseal.core.cose import Signer
from packseal.core.sample import Sample
from packseal.core.sealer import Sealed
from packseal.keys import file as key_file
from packseal_hil import backlog
from packseal_hil.backlog import Author

SUBJECT = "urn:packseal:battery:bench"
LOG_ID = bytes(range(16))
WALK_S = 3600
SECONDS_PER_DAY = 86_400
WINDOW_S = backlog.WINDOW_S
MINUTES_PER_DAY = SECONDS_PER_DAY // WINDOW_S


def fill(folder: Path, days: float) -> int:
    """Write `folder`/journal.db, with its key beside it, and return how many records it holds."""
    key_file.create(folder / "gateway.key")
    author = Author(key_file.load(folder / "gateway.key"), GATEWAY_ID, SUBJECT, LOG_ID)
    return backlog.fill(folder / "journal.db", author, DECLARED, 1.0, _samples(round(days * SECONDS_PER_DAY)))


def minutes(signer: Signer, count: int) -> Iterator[Sealed]:
    """Yield what is sealed of a log from its beginning to its end, `count` minutes later."""
    pen = Pen(signer, GATEWAY_ID, SUBJECT, LOG_ID, backlog.BOOT_ID, Head())
    return backlog.sealing(pen, DECLARED, 1.0, _samples(count * WINDOW_S))


def _samples(count: int) -> Iterator[Sample]:
    """Yield a sample a second: an hour's walk, again and again."""
    walk = signals.walked(signals.PACK, WALK_S)
    return (Sample(signals.instant(second), walk[second % WALK_S].values) for second in range(count))

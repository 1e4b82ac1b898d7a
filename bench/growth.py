"""What an append costs when the journal has grown: one window's two records and the meter's state, synced.

The journals stand on the disk that this runs on. They are filled with small records, sealed and chained but under a
signature of zeros, for the journal checks none; appends to the short and to the long one are timed in turns.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import signals
from bench.row import Effort, Gate, Row, Spread, spread
from packseal.core.bodies import Event, Telemetry
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.cose import SIGNATURE_BYTES, Algorithm
from packseal.core.sample import EventCode
from packseal.journal.store import Journal

SHORT, LONG = 1_000, 100_000
PER_APPEND = 5_000
WINDOW_BYTES, STATE_BYTES = 1_200, 4_000
SUBJECT, LOG_ID = "urn:packseal:battery:bench", bytes(range(16))
GATE = Gate(1.2, at_least=False)


class Unsigned:
    """Signs nothing, in no time."""

    algorithm = Algorithm.EDDSA
    kid = bytes(32)

    def sign(self, _data: bytes) -> bytes:
        """Return zeros."""
        return bytes(SIGNATURE_BYTES)


class Grown:
    """A journal of so many records, and the times of appends to it."""

    def __init__(self, journal: Journal, count: int) -> None:
        self._journal = journal
        self.wall_us: list[float] = []
        self.cpu_us: list[float] = []
        journal.begin_log(SUBJECT, LOG_ID)
        self._pen = Pen(Unsigned(), "urn:packseal:gateway:bench", SUBJECT, LOG_ID, bytes(8), Head())
        for _ in range(0, count, PER_APPEND):
            journal.append(LOG_ID, list(self._events(min(PER_APPEND, count))), bytes(STATE_BYTES))

    def append(self) -> None:
        """Append a window and note how long it took."""
        at = signals.instant(self._pen.head.next_sequence)
        window = Telemetry(0, at.wall_ns // 1_000_000, 60, 59_000, bytes(WINDOW_BYTES))
        records = [self._pen.write(window, at), *self._events(1)]
        wall, cpu = time.perf_counter(), time.thread_time()
        self._journal.append(LOG_ID, records, bytes(STATE_BYTES))
        self.cpu_us.append((time.thread_time() - cpu) * 1e6)
        self.wall_us.append((time.perf_counter() - wall) * 1e6)

    def _events(self, count: int) -> Iterator[SealedRecord]:
        for _ in range(count):
            yield self._pen.write(Event(EventCode.BUS_SILENT), signals.instant(self._pen.head.next_sequence))


def measure(effort: Effort) -> list[Row]:
    """Fill the journals and append in turns."""
    sizes = [SHORT, LONG]
    appends = effort.of(300, 60)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd())))
        grown = [Grown(stack.enter_context(Journal.open(folder / f"{size}.db")), size) for size in sizes]
        for number in range(appends):
            for one in grown:
                one.append()
            effort.tell(0.5 + number / appends / 2)
    short, long = grown
    return [
        _row(f"append at {LONG:,}, CPU", long.cpu_us, short.cpu_us),
        _row(f"append at {LONG:,}, elapsed", long.wall_us, short.wall_us),
    ]


def _row(name: str, ours: list[float], short: list[float]) -> Row:
    ratio = statistics.median(ours) / statistics.median(short)
    note = f"median of {len(ours)} synced appends of one window, over that at {SHORT:,} records, which stands as peer"
    made = Spread(ratio, ratio, ratio)
    return Row(name=name, unit="µs", ours=spread(ours), peer=spread(short), ratio=made, gate=GATE, note=note)

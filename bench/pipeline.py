"""From samples to stored records: meter and sealer alone, and the journal's synced transaction. Reported, not gated."""

import tempfile
import time
from pathlib import Path

from bench import signals, size
from bench.row import Effort, Row, cpu_s, spread
from packseal.journal.store import Journal

LOG_ID = bytes(16)
WINDOW_S = 60
WINDOWS_PER_ROUND = 20


def measure(effort: Effort) -> list[Row]:
    """Time both."""
    return [_sealing(effort), _appending(effort)]


def _sealing(effort: Effort) -> Row:
    samples = signals.walked(signals.FORTY, WINDOW_S * WINDOWS_PER_ROUND)
    rates = []
    rounds = effort.of(9, 3)
    for number in range(rounds):
        sealer = size.new_sealer(samples[0], WINDOW_S)
        rates.append(len(samples) / cpu_s(lambda sealer=sealer: [sealer.feed(s) for s in samples]))  # type: ignore[misc]
        effort.tell((number + 1) / rounds / 2)
    note = f"40 quantities through meter and sealer, {WINDOW_S} s windows, per second of CPU"
    return Row(name="samples sealed", unit="1/s", ours=spread(rates), note=note)


def _appending(effort: Effort) -> Row:
    samples = signals.walked(signals.FORTY, WINDOW_S * effort.of(100, 20))
    sealer = size.new_sealer(samples[0], WINDOW_S)
    took_ms = []
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder,  # a disk, where /tmp may be a memory
        Journal.open(Path(folder) / "journal.db") as journal,
    ):
        journal.begin_log("urn:packseal:battery:bench", LOG_ID)
        for sealed in (sealed for sample in samples for sealed in sealer.feed(sample)):
            began = time.perf_counter()
            journal.append(LOG_ID, sealed.records, sealed.state)
            took_ms.append((time.perf_counter() - began) * 1e3)
            effort.tell(0.5 + len(took_ms) / len(samples) * WINDOW_S / 2)
    note = "one window's records and the meter's state in one synced transaction, elapsed time on this disk"
    return Row(name="journal append", unit="ms", ours=spread(took_ms), note=note)

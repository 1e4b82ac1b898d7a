"""What a day of recording writes to the device, against a commit per sample.

Each writes to an ext4 of its own on a loop device, and what is counted are the sectors that the kernel hands to that
device: data, file system journal and SQLite's own journal alike. After each minute all is written back, as a kernel
does in the 60 s until the next one (dirty_expire_centisecs is 30 s, ext4's commit 5 s): times of files and SQLite's
index of its write-ahead log cost as much as the records. Ours is what the agent's journal does in a day: a
synced transaction a minute with the window's records and the meter's state, and one with the sink's receipt for them.
The peers commit each sample of the same signals, one signed message, before they take the next: SQLite as it comes
(a rollback journal, synchronous=FULL), and with a write-ahead log, which is the least that SQLite can do.
"""

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import backlog
from bench.messages import messages
from bench.row import Effort, Gate, Row, once
from packseal.core import cose, exchange
from packseal.core.errors import InputError
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner

SIZE_MB = 256
BYTES_PER_MB = 1 << 20
SECTOR_BYTES = 512  # of /sys/block/*/stat, whatever the device's own are
WRITTEN = 6  # the seventh field: sectors written, Documentation/block/stat.rst
SAMPLES_PER_DAY, SAMPLES_PER_MINUTE = 86_400, 60
ALIGNED = 60
"""Minutes before the counting begins, in which the files get their first pages."""

DAY_GATE, RATIO_GATE = Gate(60, at_least=False), Gate(40, at_least=True)


def measure(effort: Effort) -> list[Row]:
    """Record a day, and a part of one a sample at a time."""
    if os.geteuid():
        return [Row(name="disk", unit="MB/day", skipped="a file system on a loop device needs root")]
    count, samples = effort.of(backlog.MINUTES_PER_DAY, 120), effort.of(3_000, 300)
    ours = _written(lambda folder: _record(folder, count)) * backlog.MINUTES_PER_DAY / count
    effort.tell(0.4)
    plain, ahead = (
        _written(lambda folder, mode=mode: _commit(folder, samples, mode)) * SAMPLES_PER_DAY / samples  # type: ignore[misc]
        for mode in ("DELETE", "WAL")
    )
    note = f"MB of 1024² bytes written to an ext4 of its own by {count} windows of 60 s, two records each, and receipts"
    after = (
        f"in {samples:,} commits. Any commit writes a page of 4 kB, so that 354 MB a day are the least for this peer"
    )
    return [
        Row(name="disk, a day", unit="MB", ours=once(ours), gate=DAY_GATE, note=note),
        _row(
            "disk, SQLite's commit per sample", ours, plain, f"rollback journal, synchronous=FULL, {after}", RATIO_GATE
        ),
        _row("disk, the same with a write-ahead log", ours, ahead, f"WAL, synchronous=FULL, {after}", None),
    ]


def _row(name: str, ours: float, peer: float, note: str, gate: Gate | None) -> Row:
    ratio = once(peer / ours)
    return Row(name=name, unit="MB", ours=once(ours), peer=once(peer), ratio=ratio, gate=gate, note=note)


def _written(work: Callable[[Path], Iterator[None]]) -> float:
    """Return the MB that `work` writes from its first to its last step."""
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name,
        _device(Path(name)) as (folder, sectors),
    ):
        steps = work(folder)
        next(steps)
        began = sectors()
        for _ in steps:
            pass
        return (sectors() - began) * SECTOR_BYTES / BYTES_PER_MB


def _record(folder: Path, count: int) -> Iterator[None]:
    gateway, sink = FileSigner(Ed25519PrivateKey.generate()), FileSigner(Ed25519PrivateKey.generate())
    envelope = cose.Envelope(sink, "urn:packseal:sink:bench", backlog.SUBJECT)
    with Journal.open(folder / "journal.db") as journal:
        journal.begin_log(backlog.SUBJECT, backlog.LOG_ID)
        for number, sealed in enumerate(backlog.minutes(gateway, ALIGNED + count)):
            journal.append(backlog.LOG_ID, sealed.records, sealed.state)
            last = sealed.records[-1]
            end = (backlog.LOG_ID, last.sequence, last.hash)
            journal.acknowledge(
                exchange.verify_receipt(exchange.write_receipt(envelope, end, last.wall_ms), sink.public)
            )
            os.sync()
            if number == ALIGNED:
                yield
    yield


def _commit(folder: Path, count: int, mode: str) -> Iterator[None]:
    connection = sqlite3.connect(folder / "samples.db", isolation_level=None)
    for pragma in (f"journal_mode = {mode}", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE sample (id INTEGER PRIMARY KEY, raw BLOB)")
    yield
    for number, message in enumerate(messages(FileSigner(Ed25519PrivateKey.generate()), count)):
        connection.execute("INSERT INTO sample (raw) VALUES (?)", (message,))
        if number % SAMPLES_PER_MINUTE == 0:
            os.sync()
    connection.close()
    yield


@contextmanager
def _device(folder: Path) -> Iterator[tuple[Path, Callable[[], int]]]:
    """Give a folder on a device of its own, and what tells how many sectors were written to it, all of it synced.

    Raises:
        InputError: there is no loop device, or no ext4.
    """
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    image.touch()
    os.truncate(image, SIZE_MB << 20)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    device = _run("losetup", "--find", "--show", str(image))
    try:
        _run("mount", "-t", "ext4", device, str(place))
        try:
            yield place, lambda: _sectors(device)
        finally:
            _run("umount", str(place))
    finally:
        _run("losetup", "--detach", device)


def _sectors(device: str) -> int:
    os.sync()
    return int(Path(f"/sys/block/{Path(device).name}/stat").read_text().split()[WRITTEN])


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise InputError(f"{command[0]} is missing: apt install e2fsprogs mount") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"no file system on a loop device here: {str(error.stderr).strip()}") from error
    return done.stdout.strip()

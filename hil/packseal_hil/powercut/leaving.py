"""What one cut leaves, as the beginning of another recording: a cut may follow a cut, before all is mended."""

import random
import shutil
import tempfile
from pathlib import Path

from packseal.journal.store import Journal
from packseal_hil.powercut import logged_disk, recover, sparse, trail
from packseal_hil.powercut.cut import Tear, cut_image
from packseal_hil.powercut.write_log import WriteLog


def leave(recording: Path, work: Path, seed: int) -> dict[bytes, int]:
    """Cut a recording in its last half and put the disk, not mended, and the key into the new directory `work`.

    Return how many records of each log the next start will find: what is in the journal after a recovery. Raises
    RigError, and StorageError when that journal cannot be opened.
    """
    work.mkdir(parents=True)
    described = trail.read(recording)
    for name in (described.key, Path(described.key).with_suffix(".pub").name):
        shutil.copy(recording / name, work / name)
    rng = random.Random(seed)
    base = recording / described.base
    with WriteLog.read(recording / described.log, base.stat().st_size) as log:
        middle, end = (described.phases[0].start + log.end) // 2, described.phases[-1].end
        position = rng.choice([entry.end for entry in log.entries(middle, end) if entry.writes])
        cut_image(base, log, position, rng, Tear.PAGES, work).rename(work / logged_disk.BASE)
    return _count(work / logged_disk.BASE, described.directory, described.journal)


def _count(image: Path, directory: str, journal: str) -> dict[bytes, int]:
    with tempfile.TemporaryDirectory(prefix="packseal-left-") as scratch:
        copy = Path(scratch) / "copy.img"
        sparse.copy(image, copy)
        found = recover.recover(copy, Path(scratch) / "disk", directory)
        with Journal.open(found.directory / journal) as opened:
            return {log.log_id: opened.head(log.log_id).next_sequence for log in opened.logs()}

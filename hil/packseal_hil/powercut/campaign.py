"""Campaign: cut one recording at many positions, recover each disk and judge the journal on it."""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress

from packseal_hil.powercut import recover, trail
from packseal_hil.powercut.chains import Chains, key_from_pem
from packseal_hil.powercut.cut import Cutter, Tear
from packseal_hil.powercut.judge import Fault, Finding, judge
from packseal_hil.powercut.points import TEARS, Point, choose
from packseal_hil.powercut.recover import Recovered
from packseal_hil.powercut.reopening import reopen
from packseal_hil.powercut.trail import Trail
from packseal_hil.powercut.write_log import WriteLog
from packseal_hil.rig.protocols import RigError

MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it; tmpfs makes syncs free of cost


Recovery = Callable[[Path, Path, str], Recovered]
"""Image, directory to copy to, directory to copy."""


class CutResult(msgspec.Struct, frozen=True):
    """One cut and what was wrong afterwards. `promised` counts the records that had to survive."""

    position: int
    phase: str
    tear: str
    open_bytes: int
    lost_bytes: int
    promised: int
    findings: list[Finding]


class Outcome(msgspec.Struct):
    """All cuts of one recording. `seed` repeats them."""

    name: str
    seed: int
    cuts: list[CutResult]
    took_s: float
    log_bytes: int
    log_entries: int
    acks: int
    hashes: int
    """How many of the acknowledgements name the record's hash."""

    def with_fault(self, *faults: Fault) -> list[CutResult]:
        """Return the cuts that did any of this."""
        return [cut for cut in self.cuts if any(finding.fault in faults for finding in cut.findings)]

    @property
    def worst_loss(self) -> int:
        """The most acknowledged records that one cut took."""
        return max((sum(finding.records for finding in cut.findings) for cut in self.cuts), default=0)


class Campaign:
    """One recording, ready to be cut.

    Args:
        directory: where the trail and its files are.
        work: for images; None takes memory where the machine has /dev/shm.
        recovery: takes a directory out of an image; None does it with e2fsprogs, without root.

    Raises:
        RigError: the recording is not whole, or a program is missing.
    """

    def __init__(self, directory: Path, work: Path | None = None, recovery: Recovery | None = None) -> None:
        if recovery is None and (absent := recover.missing()):
            raise RigError(absent)
        self._recover = recovery or recover.recover
        self._directory = directory
        self._work = work or (MEMORY if MEMORY.is_dir() else directory)
        self.trail: Trail = trail.read(directory)
        self._chains = Chains(key_from_pem((directory / self.trail.key).with_suffix(".pub").read_bytes()))

    def run(self, count: int, seed: int, tears: Sequence[Tear] = TEARS, console: Console | None = None) -> Outcome:
        """Make at least `count` cuts, spread over the phases, and judge each; raises RigError."""
        began = time.monotonic()
        base = self._directory / self.trail.base
        with WriteLog.read(self._directory / self.trail.log, base.stat().st_size) as log:
            rng = random.Random(seed)
            points = choose(log, self.trail.phases, count, rng, tears)
            with tempfile.TemporaryDirectory(prefix="packseal-cuts-", dir=self._work) as work:
                cuts = self._cut_all(log, points, rng, Path(work), console)
            took = time.monotonic() - began
            acks = self.trail.acks
            hashes = sum(ack.hash is not None for ack in acks)
            return Outcome(self.trail.name, seed, cuts, took, log.end, len(log), len(acks), hashes)

    def _cut_all(
        self, log: WriteLog, points: Sequence[Point], rng: random.Random, work: Path, console: Console | None
    ) -> list[CutResult]:
        # On standard error, so that a report on standard output stays whole.
        bar = Progress(console=console or Console(stderr=True), transient=True)
        with bar, Cutter(self._directory / self.trail.base, log, work) as cutter:
            steps = bar.track(points, description=f"power cuts, {self.trail.name}")
            return [self._cut(cutter, point, rng, work) for point in steps]

    def _cut(self, cutter: Cutter, point: Point, rng: random.Random, work: Path) -> CutResult:
        cut = cutter.cut(point.position, point.tear, rng, point.keep)
        found = self._recover(cut.image, work / "disk", self.trail.directory)
        promised = self.trail.promised(point.position)
        findings = [Finding(Fault.DISK, found.damage)] if found.damage else []
        found.directory.mkdir(exist_ok=True)  # a cut may leave none; the agent's installation made it
        journal = found.directory / self.trail.journal
        findings += judge(journal, promised, self._chains)
        if not findings:
            findings += reopen(journal, self._directory / self.trail.key, self.trail.issuer, self._chains)
        return CutResult(
            point.position,
            point.phase,
            point.tear.name.lower(),
            cut.open_bytes,
            cut.lost_bytes,
            sum(promise.sequence + 1 for promise in promised.values()),
            findings,
        )

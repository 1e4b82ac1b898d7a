"""One keeper under the shim: what it is told, what it answers, and whether all that it has promised is there."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from packseal.core.chain import verify_log
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal_hil.faults import keeper
from packseal_hil.faults.shim import Switch
from packseal_hil.rig.protocols import RigError

JOURNAL, SINK = "journal", "sink"
FILES = {JOURNAL: keeper.JOURNAL, SINK: keeper.DATABASE}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a keeper said: whether it is stored and how much is, or why not; and what else the operator is told."""

    ok: bool
    stored: int
    why: str
    told: str


class Subject:
    """A keeper of one kind in a directory of its own.

    Args:
        kind: JOURNAL or SINK.
        directory: made.
        shim: what `shim.build` made.
    """

    def __init__(self, kind: str, directory: Path, shim: Path) -> None:
        self.kind = kind
        self.state = directory / "state"
        self._device = directory / "device"
        self.state.mkdir(parents=True)
        self._key = key_file.create(self.state / keeper.KEY).public
        self.switch = Switch(shim, directory / "order", self._device)
        self.acknowledged = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def file(self) -> str:
        """The name of the database."""
        return FILES[self.kind]

    def start(self) -> None:
        """Start the program; it opens nothing yet."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "packseal_hil.faults.keeper", self.kind, str(self.state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.switch.environment(), "PYTHONPATH": ":".join(sys.path)},
        )

    def say(self, line: str) -> Answer:
        """Return the answer to a line; raises RigError with its last words when the program has died of it."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None or process.stderr is None:
            raise RigError("the keeper does not run")
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer, _, told = process.stdout.readline().rstrip("\n").partition("\t")
        word, _, rest = answer.partition(" ")
        if word not in ("ok", "failed"):
            raise RigError(f"the keeper died of {line!r}: {process.stderr.read()}")
        ok = word == "ok"
        if ok and line.partition(" ")[0] in ("take", "bulk"):
            self.acknowledged = int(rest)
        return Answer(ok, int(rest) if ok else 0, "" if ok else rest, told)

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def complaints(self) -> list[str]:
        """Return what is wrong with the files as they are, and as a power cut at this moment would leave them."""
        found = []
        for where, directory in (("in the files", self.state), ("after a power cut", self._device)):
            with tempfile.TemporaryDirectory() as copied:
                copy = Path(copied) / self.file
                for name in (self.file, f"{self.file}-wal"):
                    if (directory / name).exists():
                        shutil.copyfile(directory / name, Path(copied) / name)
                found += [f"{where}: {complaint}" for complaint in self._judge(copy)]
        return found

    def _judge(self, path: Path) -> list[str]:
        try:
            raws = _in_journal(path) if self.kind == JOURNAL else _in_sink(path)
            head = verify_log(raws, lambda _: self._key)
        except (StorageError, FormatError, VerifyError, sqlite3.Error) as error:
            return [str(error)]
        if head.next_sequence < self.acknowledged:
            return [f"{head.next_sequence} records of {self.acknowledged} that were acknowledged"]
        return []


def _in_journal(path: Path) -> Sequence[bytes]:
    with Journal.open(path) as journal:
        if not journal.logs():
            return []
        raws = [record.raw for record in journal.records(keeper.LOG_ID)]
        journal.state(keeper.LOG_ID)
    return [*raws, *_whole(path)]


def _in_sink(path: Path) -> Sequence[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return []
        raws = [raw for (raw,) in connection.execute("SELECT raw FROM record ORDER BY id")]
    return [*raws, *_whole(path)]


def _whole(path: Path) -> Sequence[bytes]:
    """Return nothing; raises StorageError where SQLite's own check finds something."""
    with closing(sqlite3.connect(path)) as connection:
        said = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
    if said != ["ok"]:
        raise StorageError(" | ".join(said[:3]))
    return []

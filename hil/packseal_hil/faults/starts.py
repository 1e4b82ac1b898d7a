"""Starts and commands: each system call of a program that begins, or that does one thing and ends, fails in turn."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packseal_hil.faults.cells import CALLS
from packseal_hil.faults.matrix import AFTER_S, agent_trouble
from packseal_hil.faults.shim import Call, Error, Switch
from packseal_hil.faults.station import PROGRAM, START_S, Station
from packseal_hil.powercut.sink import PROGRAM as SINK_PROGRAM
from packseal_hil.rig.protocols import RigError

ERRORS = {
    Call.OPEN: (Error.EIO, Error.EROFS, Error.ENOSPC),
    Call.WRITE: (Error.EIO, Error.EROFS, Error.ENOSPC, Error.SHORT),
    Call.SYNC: (Error.EIO, Error.EROFS, Error.ENOSPC),
    Call.TRUNCATE: (Error.EIO, Error.EROFS, Error.ENOSPC),
    Call.READ: (Error.EIO,),
    Call.MAP: (Error.EIO, Error.ENOSPC),
    Call.RENAME: (Error.EIO, Error.EROFS, Error.ENOSPC),
    Call.UNLINK: (Error.EIO, Error.EROFS),
}
MOST = 40
"""Calls of one kind that are tried in one program."""


@dataclass(slots=True)
class Tried:
    """What one program did while its calls of one kind failed, each in turn. `sentences` are those it ended with."""

    program: str
    calls: Call
    tries: int = 0
    ended: int = 0
    sentences: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """One line for people."""
        return f"{self.program}: {CALLS[self.calls]}"

    def add(self, sentence: str, wrong: Sequence[str]) -> None:
        """Take up one try."""
        self.tries += 1
        self.ended += bool(sentence)
        if sentence and sentence not in self.sentences:
            self.sentences += (sentence,)
        self.wrong += tuple(wrong)


def agent_starts(station: Station) -> Iterator[Tried]:
    """Yield what `packseal run` did at its start, on what a kill has left; raises RigError when it never comes back."""
    folder = f"{station.work}/"
    for calls, errors in ERRORS.items():
        tried = Tried("packseal run", calls)
        station.switch.order(calls, Error.EIO, folder, times=0)
        station.start()
        count = station.switch.seen
        station.kill()
        for skip in range(min(count, MOST)):
            for error in errors:
                station.switch.order(calls, error, folder, skip=skip)
                sentence, wrong = _start(station)
                tried.add(sentence, [f"{error.name} from call {skip + 1} on: {one}" for one in wrong])
        yield tried


def _start(station: Station) -> tuple[str, list[str]]:
    """Start the agent; return the sentence it ends with, "" where it goes on, and what is wrong."""
    since = station.output.stat().st_size
    child = station.launch()
    try:
        station.until(lambda: bool(station.status()), START_S, "it neither records nor ends")
    except RigError as error:
        station.switch.lift()
        if child.code is None:
            child.kill()
            return "", [str(error)]
        said = [line for line in station.lines(since) if line]
        return _last(said), [*_judge(child.code, said), *station.complaints()]
    station.switch.lift()
    wrong = ["a traceback"] if any("Traceback" in line for line in station.lines(since)) else []
    try:
        station.until(lambda: _is_well(station), AFTER_S, "it does not go on")
    except RigError as error:
        wrong.append(f"{error}; {agent_trouble(station)}")
    station.kill()
    return "", [*wrong, *station.complaints()]


def _is_well(station: Station) -> bool:
    status = station.status()
    return bool(status) and not status["journal"]["pending"] and not agent_trouble(station)


def _last(lines: Sequence[str]) -> str:
    return lines[-1] if lines else ""


def _judge(code: int | None, lines: Sequence[str]) -> list[str]:
    """Return what is wrong with how a program ended: it must be one sentence and code 1."""
    wrong = [] if code == 1 else [f"code {code}"]
    if any("Traceback" in line for line in lines):
        wrong.append(f"a traceback: {_last(lines)}")
    if not _last(lines).startswith("packseal"):
        wrong.append(f"no sentence, but {_last(lines)!r}")
    return wrong


@dataclass(frozen=True, slots=True)
class Command:
    """A command that writes what must last: `words`, to which the `where` in its fresh directory is added.

    After it has done its work `file` must be there, and hold `text`.
    """

    name: str
    words: Sequence[str]
    where: str
    file: str
    text: str


COMMANDS = (
    Command("packseal init", [*PROGRAM, "init"], "", "packseal.toml", "[gateway]"),
    Command("packseal-sink init", [sys.executable, "-c", SINK_PROGRAM, "init"], "", "sink.toml", "[sink]"),
    Command(
        "packseal commission",
        [*PROGRAM, "commission", "--set", "rated_capacity_ah=61", "--config"],
        "packseal.toml",
        "registry.json",
        "61",
    ),
)


def command_tries(command: Command, work: Path, shim: Path) -> Iterator[Tried]:
    """Yield what a command did while its calls failed, each in turn, and whether it could be done afterwards."""
    switch = Switch(shim, work / "command.order")
    directory = work / "command"
    for calls, errors in ERRORS.items():
        tried = Tried(command.name, calls)
        _fresh(directory, command)
        switch.order(calls, Error.EIO, f"{directory}/", times=0)
        _run(command, directory, switch)
        for skip in range(min(switch.seen, MOST)):
            for error in errors:
                _fresh(directory, command)
                switch.order(calls, error, f"{directory}/", skip=skip)
                sentence, wrong = _try(command, directory, switch)
                tried.add(sentence, [f"{error.name} from call {skip + 1} on: {one}" for one in wrong])
        yield tried


def _try(command: Command, directory: Path, switch: Switch) -> tuple[str, list[str]]:
    """Run it with the fault, and where that failed once more without."""
    done = _run(command, directory, switch)
    switch.lift()
    said = [line for line in done.stderr.splitlines() if line]
    wrong = _judge(done.returncode, said) if done.returncode else []
    again = _run(command, directory, switch) if done.returncode else done
    if again.returncode:
        wrong.append(f"not possible afterwards: {again.stderr.strip()}")
    elif command.text not in (directory / command.file).read_text():
        wrong.append(f"{command.file} is not what it should be")
    return _last(said) if done.returncode else "", wrong


def _run(command: Command, directory: Path, switch: Switch) -> "subprocess.CompletedProcess[str]":
    words = [*switch.words(), *command.words, str(directory / command.where)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=START_S)  # noqa: S603 - ours


def _fresh(directory: Path, command: Command) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    if command.where:
        subprocess.run([*PROGRAM, "init", str(directory)], check=True, capture_output=True, timeout=START_S)  # noqa: S603 - ours

"""The folder of one run: `stories/*.json` in the order in which they happened, and `run.json` with all the rest.

A story is written the moment it is told, so that a run that is killed keeps what it had.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from packseal_hil import story as told
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Story, Trace

LONGEST_NAME = 80  # of a story in its file's name; file systems allow 255 bytes


class Check(msgspec.Struct, frozen=True):
    """A test of the run that told no story. `outcome` is passed, failed, error or skipped; `reason` says why."""

    title: str
    outcome: str
    took_s: float = 0
    reason: str = ""


class Run(msgspec.Struct):
    """What a run is beside its stories: the bench it ran on, measured figures by name, and the other tests."""

    bench: str = ""
    version: str = ""
    figures: dict[str, float] = {}
    checks: list[Check] = []


class Folder:
    """The folder at `path`. Every method raises RigError where it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = 0

    def begin(self) -> None:
        """Make it, without what an earlier run left."""
        with _said(self.path):
            (self.path / "stories").mkdir(parents=True, exist_ok=True)
            for old in (*self._files(), self.path / "run.json"):
                old.unlink(missing_ok=True)

    def keep(self, story: Story) -> None:
        """Write this story behind those that are there."""
        self._kept += 1
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", story.name)[:LONGEST_NAME]
        with _said(self.path):
            told.write(self.path / "stories" / f"{self._kept:03d}-{name}.json", _finite(story))

    def end(self, run: Run) -> None:
        """Write what the run was."""
        with _said(self.path):
            (self.path / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))

    def stories(self) -> list[Story]:
        """All that was told, in its order."""
        if not (self.path / "stories").is_dir():
            raise RigError(f"{self.path} holds no folder `stories`: name the folder that --report was given")
        read = []
        for file in self._files():
            with _said(file):
                read.append(told.read(file))
        return read

    def run(self) -> Run:
        """What the run was; an empty one where it did not come to its end."""
        file = self.path / "run.json"
        if not file.exists():
            return Run()
        with _said(file):
            return msgspec.json.decode(file.read_bytes(), type=Run)

    def _files(self) -> list[Path]:
        return sorted((self.path / "stories").glob("*.json"))


def _finite(story: Story) -> Story:
    """Leave out what JSON has no number for (RFC 8259, 6): a sensor that fell silent may be NaN."""
    traces = [_finite_trace(trace) for trace in story.traces]
    compared = [
        msgspec.structs.replace(c, derived=_known(c.derived), uncertainty=_known(c.uncertainty))
        for c in story.comparisons
        if math.isfinite(c.truth)
    ]
    figures = {name: value for name, value in story.figures.items() if math.isfinite(value)}
    return msgspec.structs.replace(story, traces=traces, comparisons=compared, figures=figures)


def _finite_trace(trace: Trace) -> Trace:
    kept = [(x, y) for x, y in zip(trace.at, trace.value, strict=False) if math.isfinite(x) and math.isfinite(y)]
    return msgspec.structs.replace(trace, at=[x for x, _ in kept], value=[y for _, y in kept])


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say in one sentence what kept a file from being read or written."""
    try:
        yield
    except OSError as error:
        raise RigError(f"the report in {path} cannot be read or written: {error.strerror}: {error.filename}") from error
    except msgspec.DecodeError as error:
        raise RigError(f"{path} is not what a run writes: {error}") from error

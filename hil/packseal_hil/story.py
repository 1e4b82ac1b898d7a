"""Story: what happened in one scenario, as the report tells it. Written as JSON beside the run.

Times are seconds since the scenario began, on this machine's monotonic clock.
"""

from pathlib import Path

import msgspec


class Point(msgspec.Struct, frozen=True):
    """How far every part was at one moment: records sealed, received by the sink, receipted; samples taken."""

    at_s: float
    samples: int
    sealed: int
    received: int
    receipted: int


class Band(msgspec.Struct, frozen=True):
    """A fault: what it was and from when to when; shaded in the plots."""

    title: str
    from_s: float
    to_s: float


class Trace(msgspec.Struct, frozen=True):
    """One signal: what the simulated battery truly did, at `at`, in `unit`; both lists have the same length.

    `hours` says that `at` is in hours of the battery's own time, in a compressed run, not seconds since the beginning.
    """

    title: str
    unit: str
    at: list[float]
    value: list[float]
    hours: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """One thing that had to be true. `found` says what was seen, whether it held or not."""

    title: str
    held: bool
    found: str


class Comparison(msgspec.Struct, frozen=True):
    """One passport field: truth against what the sink's last snapshot says; None where it says "not available"."""

    field: str
    unit: str
    truth: float
    derived: float | None
    uncertainty: float | None = None


class Story(msgspec.Struct):
    """One scenario on one rig. `skipped` says why it could not run; `error` what kept it from ending."""

    name: str
    title: str
    why: str
    rig: str
    began_wall_s: float
    took_s: float = 0
    skipped: str = ""
    error: str = ""
    points: list[Point] = []
    bands: list[Band] = []
    traces: list[Trace] = []
    verdicts: list[Verdict] = []
    comparisons: list[Comparison] = []
    figures: dict[str, float] = {}
    """Measured figures by name with the unit at the end, such as boot_s or frames_per_s."""

    @property
    def is_well(self) -> bool:
        """Whether it ran and everything held."""
        return not (self.skipped or self.error) and bool(self.verdicts) and all(v.held for v in self.verdicts)


def write(path: Path, story: Story) -> None:
    """Write it as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(story), indent=1))


def read(path: Path) -> Story:
    """Read it back; raises msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Story)

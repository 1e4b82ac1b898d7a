"""Recordings: what a CAN bus said, from the files that other tools write, as frames with times."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from packseal.core.errors import InputError
from packseal.core.sample import NS_PER_S, Frame
from packseal_drivers.recordings.row import Row, Troubles

__all__ = ["KINDS", "Recording", "read"]

EPOCH_NS = 1_000_000_000 * NS_PER_S
"""Times from 2001 on are dates; smaller ones count from wherever the recorder began."""

BEGINS_AGAIN_NS = NS_PER_S
"""Buses recorded together are out of order by milliseconds; what steps back farther is another recording behind it."""

Reader = Callable[[Path, Troubles], Iterator[Row]]


def _candump(path: Path, troubles: Troubles) -> Iterator[Row]:
    from packseal_drivers.recordings import candump  # noqa: PLC0415 - one format's code is enough

    return candump.rows(path, troubles)


def _asc(path: Path, troubles: Troubles) -> Iterator[Row]:
    from packseal_drivers.recordings import asc  # noqa: PLC0415

    return asc.rows(path, troubles)


def _gvret(path: Path, troubles: Troubles) -> Iterator[Row]:
    from packseal_drivers.recordings import gvret  # noqa: PLC0415

    return gvret.rows(path, troubles)


def _blf(path: Path, troubles: Troubles) -> Iterator[Row]:
    from packseal_drivers.recordings import binary  # noqa: PLC0415

    return binary.blf_rows(path, troubles)


def _mf4(path: Path, troubles: Troubles) -> Iterator[Row]:
    from packseal_drivers.recordings import binary  # noqa: PLC0415

    return binary.mf4_rows(path, troubles)


KINDS: Mapping[str, Reader] = {".log": _candump, ".asc": _asc, ".blf": _blf, ".mf4": _mf4, ".csv": _gvret}
"""By the end of the name: candump, Vector's text and binary logs, ASAM MDF 4, SavvyCAN. Each may be in a .gz."""


class Recording(Iterator[Frame]):
    """The frames of one file, in its order. Their times count from the first one and never run back.

    Error frames have 0x2000_0000 set in their address; remote frames are left out. What cannot be read is noted in
    `troubles` and loses nothing else.

    Raises:
        InputError: while it is read: there is no frame in it, or what is there is of another kind.
    """

    def __init__(self, path: Path, reader: Reader, bus: str | None) -> None:
        self.path = path
        self.troubles = Troubles(path)
        self.buses: set[str] = set()
        self.begun_wall_ns: int | None = None
        """When the first frame came, in ns since 1970; None before it, and where the file does not say."""
        self._bus = bus
        self._frames = self._run(reader(path, self.troubles))

    def __next__(self) -> Frame:
        return next(self._frames)

    def _run(self, rows: Iterator[Row]) -> Iterator[Frame]:
        shift_ns: int | None = None
        last_ns = 0
        for time_ns, bus, address, data in rows:
            self.buses.add(bus)
            if self._bus is not None and bus != self._bus:
                continue
            if shift_ns is None:
                shift_ns = time_ns
                self.begun_wall_ns = time_ns if time_ns >= EPOCH_NS else None
            mono_ns = time_ns - shift_ns
            if mono_ns < last_ns - BEGINS_AGAIN_NS:
                self.troubles.note(None, "its clock steps back here; what follows is taken to come at once")
                shift_ns, mono_ns = time_ns - last_ns, last_ns
            last_ns = max(last_ns, mono_ns)
            yield Frame(address, data, last_ns)
        if shift_ns is None:
            raise InputError(self._empty())

    def _empty(self) -> str:
        if self.buses:
            return f"{self.path}: no frame of bus {self._bus}; it has {', '.join(sorted(self.buses))}"
        why = f" ({self.troubles.first})" if self.troubles.count else ""
        return f"{self.path}: no CAN frame can be read from it{why}"


def read(path: Path, bus: str | None = None) -> Recording:
    """Open a recording.

    Args:
        path: its name ends in one of KINDS, with or without .gz.
        bus: only the frames of this one, as the file names it, such as can0 or 1; None takes all together.

    Raises:
        InputError: it is not there, or of an unknown kind.
    """
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    reader = KINDS.get(suffix.lower())
    if reader is None:
        kinds = ", ".join(KINDS)
        raise InputError(f"{path}: what kind of recording is that? Its name must end in {kinds}, with or without .gz")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return Recording(path, reader, bus)

"""Recordings: a compressed run, a simulated battery's days written as a candump log within seconds."""

import gzip
from collections.abc import Iterator, Mapping
from itertools import chain
from math import ceil
from pathlib import Path
from typing import TextIO

from packseal.core.quantities import Channel
from packseal_hil.faces.can_face import CanFace, Page
from packseal_hil.faces.columns import Numbers, columns_of, data_of, is_simple
from packseal_hil.rig.protocols import CanFrame, LivingBattery, RigError

CHUNK = 4096
"""Moments that are worked out together: some 4 MB for a pack of a hundred cells."""
BEGUN_WALL_S = 1_767_225_600
"""2026-01-01T00:00:00Z: the date of a recording decides nothing, but there must be one."""
BUS = "can0"
US_PER_S = 1_000_000
GZIP_LEVEL = 1
"""Four times as fast as the usual 9 for a tenth more bytes."""
EFF_FLAG, EFF_MASK = 0x8000_0000, 0x1FFF_FFFF  # linux/can.h
CLASSIC_BYTES = 8
FD_MARK = "##1"  # canframe.h of can-utils: CAN FD, with the bit rate switched

Lines = list[str]


def write_candump(
    path: Path,
    battery: LivingBattery,
    face: CanFace,
    seconds: float,
    period_s: float,
    begun_wall_s: float = BEGUN_WALL_S,
) -> int:
    """Write every page of the face once per period, all at the same time; return how many frames.

    The battery's time passes by `seconds`. What it broadcasts more often than once per period is left out.

    Args:
        path: ends in .log, or in .log.gz.
        battery: whose time passes only here.
        face: what it speaks.
        seconds: how much of its time.
        period_s: from one moment to the next.
        begun_wall_s: the first moment, in seconds since 1970.

    Raises:
        RigError: the file cannot be written.
    """
    frames = 0
    try:
        with _open(path) as file:
            for at, rows, channels in _chunks(battery, ceil(seconds / period_s - 1e-9), period_s):
                times = [_time(begun_wall_s, (at + i) * period_s) for i in range(len(rows))]
                columns = columns_of(channels, rows)
                pages = [p for m in face.messages for p in m.pages if p.says_any_of(columns)]
                lines = [_lines(page, columns, times) for page in pages]
                file.write("".join(chain.from_iterable(zip(*lines, strict=True))))
                frames += sum(map(len, lines))
    except OSError as error:
        raise RigError(f"cannot write {path}: {error.strerror}") from error
    return frames


def line_of(wall_s: float, frame: CanFrame, bus: str = BUS) -> str:
    """Return the line of one frame, as candump -L writes it."""
    return f"{_time(wall_s, 0)}{_head(frame.address, len(frame.data), bus)}{frame.data.hex().upper()}\n"


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "wt", compresslevel=GZIP_LEVEL, encoding="ascii")
    return path.open("w", encoding="ascii")


def _chunks(
    battery: LivingBattery, moments: int, period_s: float
) -> Iterator[tuple[int, list[list[float]], tuple[Channel, ...]]]:
    """Yield moments in a row in which the same channels are said: the first one's number, values, channels."""
    rows: list[list[float]] = []
    channels: tuple[Channel, ...] = ()
    for moment in range(moments):
        said: Mapping[Channel, float] = battery.said()
        now = tuple(said)
        if rows and (len(rows) == CHUNK or now != channels):
            yield moment - len(rows), rows, channels
            rows = []
        channels = now
        rows.append(list(said.values()))
        battery.advance(period_s)
    if rows:
        yield moments - len(rows), rows, channels


def _lines(page: Page, columns: Mapping[Channel, Numbers], times: Lines) -> Lines:
    """Return one piece of text per moment."""
    if not is_simple(page):
        return [_scalar(page, columns, i, time) for i, time in enumerate(times)]
    data = data_of(page, columns, len(times))
    digits, text = 2 * data.shape[1], data.tobytes().hex().upper()
    head = _head(page.address, data.shape[1], BUS)
    return [f"{time}{head}{text[i * digits : (i + 1) * digits]}\n" for i, time in enumerate(times)]


def _scalar(page: Page, columns: Mapping[Channel, Numbers], moment: int, time: str) -> str:
    values = {channel: float(columns[channel][moment]) for channel, _ in page.fields if channel in columns}
    frames = page.frames(values)
    return "".join(f"{time}{_head(f.address, len(f.data), BUS)}{f.data.hex().upper()}\n" for f in frames)


def _time(wall_s: float, after_s: float) -> str:
    seconds, micros = divmod(round(wall_s * US_PER_S) + round(after_s * US_PER_S), US_PER_S)
    return f"({seconds}.{micros:06}) "


def _head(address: int, length: int, bus: str) -> str:
    name = f"{address & EFF_MASK:08X}" if address & EFF_FLAG else f"{address:03X}"
    return f"{bus} {name}{'#' if length <= CLASSIC_BYTES else FD_MARK}"

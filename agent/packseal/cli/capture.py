"""packseal capture: writes what a live bus says to a file, only listening."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from packseal.cli import wire
from packseal.cli.present import counted
from packseal.core.errors import InputError, LinkError

if TYPE_CHECKING:
    import can

    from packseal_drivers.recordings.writing import RecordingWriter
    from packseal_drivers.settings import LinkSettings

SHOW_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="OUT",
        help="a new file: .log (candump), .asc, .blf, or of Modbus .registers, of Bluetooth .ble",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="how long (default: until Ctrl-C)")
    wire.add_arguments(parser)


def execute(args: argparse.Namespace) -> int:
    """Write the recording; returns 0 when it holds anything."""
    from packseal_drivers.recordings.writing import RecordingWriter  # noqa: PLC0415 - lazy, as every command is

    if args.seconds is not None and not args.seconds > 0:
        raise InputError("--seconds must be above 0")
    if args.file.suffix == ".ble":
        from packseal.cli import capture_ble  # noqa: PLC0415 - one wire's code is enough

        return capture_ble.execute(args)
    if args.file.suffix == ".registers":
        from packseal.cli import capture_modbus  # noqa: PLC0415 - one wire's code is enough

        return capture_modbus.execute(args)
    link = wire.link_of(args)
    progress = Progress()
    trouble: LinkError | None = None
    with RecordingWriter(args.file, str(args.channel or "can0")) as writer:
        try:
            _record(link, args.seconds, writer, progress)
        except LinkError as error:
            trouble = error  # what was heard before is kept
        progress.end()
    if not progress.frames:
        raise trouble or LinkError(
            f"nothing was heard in {progress.seconds:.0f} s: is the bus awake, its bit rate right?"
        )
    print(f"{args.file}: {progress.summary}; next: packseal probe {args.file}")
    if trouble:
        raise trouble
    return 0


def _record(link: "LinkSettings", seconds: float | None, writer: "RecordingWriter", progress: "Progress") -> None:
    from packseal_drivers.listening import listen  # noqa: PLC0415

    with _stoppable() as stopped, closing(listen(link, seconds)) as ticks:
        for messages in ticks:
            for message in messages:
                writer.write(message)
            progress.add(messages)
            if stopped:
                break


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """Give a list that is no longer empty once SIGINT or SIGTERM came: the file is closed in good order then."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        stopped.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """What was heard so far, on one line of the terminal; only counts when the errors go elsewhere."""

    def __init__(self) -> None:
        self.frames = 0
        self.errors = 0
        self._ids: set[tuple[int, bool]] = set()
        self._begun_s = self._shown_s = time.monotonic()
        self._shown_frames = 0
        self._live = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun_s

    @property
    def summary(self) -> str:
        """All of it in words."""
        errors = f", {counted(self.errors, 'error frame')}" if self.errors else ""
        return f"{counted(self.frames, 'frame')} of {counted(len(self._ids), 'id')} in {self.seconds:.1f} s{errors}"

    def add(self, messages: "list[can.Message]") -> None:
        """Account for messages, and show them twice a second."""
        self.frames += len(messages)
        for message in messages:
            if message.is_error_frame:
                self.errors += 1
            else:
                self._ids.add((message.arbitration_id, message.is_extended_id))
        now_s = time.monotonic()
        if self._live and now_s - self._shown_s >= SHOW_S:
            rate = (self.frames - self._shown_frames) / (now_s - self._shown_s)
            print(f"\r\x1b[K{self.summary}, {rate:.0f} frames/s; Ctrl-C ends it", end="", file=sys.stderr, flush=True)
            self._shown_s, self._shown_frames = now_s, self.frames

    def end(self) -> None:
        """Take the line away."""
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

"""Writing a recording: under another name until it is whole, then at once under its own."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from packseal.core.errors import InputError, StorageError
from packseal_drivers.recordings.binary import address_of_message
from packseal_drivers.recordings.row import EFF_FLAG, ERR_FLAG

if TYPE_CHECKING:
    import can

PARTIAL = ".partial"
US_PER_S = 1_000_000
MOST_BUSES = 0xFFFF
"""16 bits in a BLF, counted from 1 (python-can, can/io/blf.py)."""


class _Writer(Protocol):
    def on_message_received(self, message: "can.Message", /) -> None:
        """Write one."""

    def stop(self) -> None:
        """Write the rest and close."""


class RecordingWriter:
    """Writes messages of python-can to `path`, which appears when the writer is closed, whole and on the disk.

    A writer to which nothing was written leaves nothing behind.

    Args:
        path: its name ends in one of WRITERS.
        channel: the bus's name, for messages that have none.

    Raises:
        InputError: the file exists, cannot be made, or its name says nothing.
        StorageError: from `write` and `close`: the disk is full or gone; what was written is in the partial file.
    """

    def __init__(self, path: Path, channel: str) -> None:
        make = WRITERS.get(path.suffix.lower())
        if make is None:
            raise InputError(f"{path}: the name must end in one of {', '.join(WRITERS)}")
        if path.exists():
            raise InputError(f"{path} exists: name another file, or remove it")
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        try:
            self._writer: _Writer | None = make(self._partial, channel)
        except OSError as error:
            raise InputError(f"cannot write {self._partial}: {error.strerror}") from error
        self.messages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, message: "can.Message") -> None:
        """Write one message; raises StorageError."""
        if self._writer is None:
            raise StorageError(f"{self._path} is closed")
        try:
            self._writer.on_message_received(message)
        except OSError as error:
            raise self._trouble(error) from error
        self.messages += 1

    def close(self) -> None:
        """Give the file its name; may be called twice. Raises StorageError."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.stop()
            if not self.messages:
                self._partial.unlink()
                return
            _sync(self._partial)
            self._partial.rename(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._path}: {error.strerror}; what was heard so far is in {self._partial}")


class _Candump:
    """candump -L, with the contents of error frames, which python-can's own writer leaves out."""

    def __init__(self, path: Path, channel: str) -> None:
        self._file: TextIO = path.open("w", encoding="ascii")
        self._channel = channel if channel.isascii() and channel.split() == [channel] else "can0"

    def on_message_received(self, message: "can.Message", /) -> None:
        """Write one line."""
        seconds, micros = divmod(round(message.timestamp * US_PER_S), US_PER_S)
        address = address_of_message(message)
        long = address & (EFF_FLAG | ERR_FLAG)
        text = f"{address & ~EFF_FLAG:08X}" if long else f"{address:03X}"
        flags = message.bitrate_switch | message.error_state_indicator << 1  # CANFD_BRS, CANFD_ESI, linux/can.h
        content = "R" if message.is_remote_frame else message.data.hex().upper()
        mark = f"##{flags:X}" if message.is_fd else "#"
        self._file.write(f"({seconds}.{micros:06}) {self._channel} {text}{mark}{content}\n")

    def stop(self) -> None:
        """Close."""
        self._file.close()


class _Numbered:
    """A format of python-can's that numbers buses: takes the number at the end of a bus's name where it holds it."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer

    def on_message_received(self, message: "can.Message", /) -> None:
        """Write one."""
        from can.util import channel2int  # noqa: PLC0415 - only for who writes such a file

        if not 0 <= (channel2int(message.channel) or 0) < MOST_BUSES:
            message.channel = None  # as of an adapter that is called by its serial number
        self._writer.on_message_received(message)

    def stop(self) -> None:
        """Write the rest and close."""
        self._writer.stop()


def _asc(path: Path, channel: str) -> _Writer:
    from can.io.asc import ASCWriter  # noqa: PLC0415 - only for who writes such a file

    del channel  # it has numbers only
    return _Numbered(ASCWriter(path))


def _blf(path: Path, channel: str) -> _Writer:
    from can.io.blf import BLFWriter  # noqa: PLC0415

    del channel
    return _Numbered(BLFWriter(path))


WRITERS: Mapping[str, Callable[[Path, str], _Writer]] = {".log": _Candump, ".asc": _asc, ".blf": _blf}
"""By the end of the name: candump's log, Vector's text and binary log."""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

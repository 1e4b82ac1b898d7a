"""What a user may write about a wire: one Struct per kind of link, told apart by `kind`."""

import math
from typing import Literal

import msgspec


class SocketCan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="socketcan"):
    """A kernel CAN interface, read through a raw socket of our own."""

    channel: str
    """Interface name, such as can0 or vcan0."""


class PythonCan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="can"):
    """Any other interface that python-can knows."""

    interface: str
    """python-can's name of it: pcan, slcan, udp_multicast …"""
    channel: str | int
    bitrate: int | None = None
    options: dict[str, str | int | float | bool] = {}
    """Passed to python-can as they are; what is allowed depends on the interface."""


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stream"):
    """Recorded frames from a Unix socket, with back-pressure and the recording's own clock."""

    path: str
    """The socket's path, relative to the configuration file."""


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="recording"):
    """A recorded bus in a file, played once with the recording's own clock; then the battery's log ends."""

    path: str
    """A .log, .asc, .blf, .mf4 or .csv, with or without .gz, relative to the configuration file."""
    speed: float | Literal["max"] = "max"
    """How much faster than it was recorded; "max": as fast as it goes."""
    bus: str | None = None
    """Only the frames of this bus, as the file names it, such as can0 or 1; None takes all together."""

    def __post_init__(self) -> None:
        if self.speed != "max" and not 0 < self.speed < math.inf:
            raise ValueError('speed must be "max" or a number above 0')


class Plugin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="plugin"):
    """A wire that a driver of another package knows."""

    driver: str
    """The driver's name in the entry-point group packseal.drivers."""
    options: dict[str, str | int | float | bool] = {}
    """Passed to the driver as they are; its own page says what is allowed."""


LinkSettings = SocketCan | PythonCan | Stream | Recording | Plugin

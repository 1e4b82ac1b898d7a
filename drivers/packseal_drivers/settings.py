"""What a user may write about a wire: one Struct per kind of link, told apart by `kind`."""

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


LinkSettings = SocketCan | PythonCan | Stream

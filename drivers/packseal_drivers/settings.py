"""What a user may write about a wire: one Struct per kind of link, told apart by `kind`."""

import math
import re
from typing import Literal

import msgspec

_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
MAX_CONNECTIONS = 16
"""More than most adapters hold at a time."""
MAX_TURN_S = 600
"""A longer turn would leave those that wait silent for as long."""


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
    """A .log, .asc, .blf, .mf4, .csv or .registers, with or without .gz, relative to the configuration file."""
    speed: float | Literal["max"] = "max"
    """How much faster than it was recorded; "max": as fast as it goes."""
    bus: str | None = None
    """Only the frames of this bus or unit, as the file names it, such as can0 or 1; None takes all together."""

    def __post_init__(self) -> None:
        if self.speed != "max" and not 0 < self.speed < math.inf:
            raise ValueError('speed must be "max" or a number above 0')


MODBUS_PORT, MODBUS_TLS_PORT = 502, 802
"""MODBUS Messaging on TCP/IP V1.0b §4.3.2, MODBUS/TCP Security §5."""
MAX_UNIT, MAX_SERIAL_UNIT = 255, 247  # MODBUS over Serial Line V1.02 §2.2
MAX_STRING = 128
MAX_TIMEOUT_S = 60.0
PORTS = 0xFFFF  # RFC 9293 §3.1: 16 bits


class Modbus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="modbus", kw_only=True):
    """A Modbus device. Batteries with the same device, or the same host and port, share one connection in turns."""

    transport: Literal["tcp", "tls", "rtu", "rtu_over_tcp"] = "tcp"
    """Modbus/TCP, Modbus/TCP Security, a serial line, or a serial line behind a gateway that passes its frames on."""
    unit: int = 1
    """Unit id, once called slave address."""
    string: int | None = None
    """Which one of a SunSpec device with several strings of modules, from 1 on; None: the first."""
    host: str | None = None
    port: int | None = None
    """None: 502, with TLS 802."""
    device: str | None = None
    """The serial line, such as /dev/ttyUSB0; best one of /dev/serial/by-id."""
    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    local_echo: bool = False
    """Whether the adapter repeats to us what we send, as some for RS-485 do."""
    timeout_s: float = 1.0
    """How long an answer is waited for."""
    authorities: str | None = None
    """PEM file of who may have signed the device's certificate; None: the machine's own list."""
    certificate: str | None = None
    """Our own, for devices that want one; PEM."""
    key: str | None = None

    def __post_init__(self) -> None:
        serial = self.transport == "rtu"
        if serial is not (self.device is not None) or serial is (self.host is not None):
            raise ValueError('transport = "rtu" needs device and no host, any other needs host and no device')
        if not (1 if self.is_rtu else 0) <= self.unit <= (MAX_SERIAL_UNIT if self.is_rtu else MAX_UNIT):
            raise ValueError(f"unit must be from 1 to {MAX_SERIAL_UNIT}, or 0 to {MAX_UNIT} with tcp and tls")
        if self.string is not None and not 1 <= self.string <= MAX_STRING:
            raise ValueError(f"string must be from 1 to {MAX_STRING}")
        if not 1 <= self.tcp_port <= PORTS or self.baud < 1:
            raise ValueError(f"port must be from 1 to {PORTS}, and baud above 0")
        if not (math.isfinite(self.timeout_s) and 0 < self.timeout_s <= MAX_TIMEOUT_S):
            raise ValueError(f"timeout_s must be above 0 and at most {MAX_TIMEOUT_S:g}")
        secured = (self.authorities, self.certificate, self.key) != (None, None, None)
        if (secured and self.transport != "tls") or (self.key is not None and self.certificate is None):
            raise ValueError('authorities, certificate and key belong to transport = "tls", and a key to a certificate')

    @property
    def is_rtu(self) -> bool:
        """Whether the frames are those of a serial line."""
        return self.transport.startswith("rtu")

    @property
    def tcp_port(self) -> int:
        """The port that is connected to."""
        return self.port or (MODBUS_TLS_PORT if self.transport == "tls" else MODBUS_PORT)

    @property
    def where(self) -> str:
        """The connection, for people; those with the same words share one."""
        return f"serial line {self.device}" if self.transport == "rtu" else f"Modbus at {self.host}:{self.tcp_port}"


class Ble(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="ble", kw_only=True):
    """A battery over Bluetooth LE. What is spoken is the profile's business."""

    address: str | None = None
    """Such as A4:C1:38:01:02:03; or `name`, where the address may change."""
    name: str | None = None
    """What it advertises, all of it."""
    adapter: str | None = None
    """Such as hci0; None takes the first."""
    pair: bool = False
    """Pair before anything is asked; one that wants a number must be paired with bluetoothctl once (docs/ble.md)."""
    connections: int = 3
    """How many the adapter holds at once; batteries beyond take turns. Give all on one adapter the same."""
    turn_s: float = 20.0
    """How long a battery keeps a connection that another one waits for."""
    type: str | None = None
    """Of profile aiobmsble/any: which of that library's types, such as jbd_bms; None: found by what it advertises."""

    def __post_init__(self) -> None:
        if (self.address is None) is (self.name is None):
            raise ValueError("either address or name is needed, one of the two")
        if self.address is not None and not _MAC.fullmatch(self.address):
            raise ValueError(f"address {self.address!r} must be six bytes in hex, such as A4:C1:38:01:02:03")
        if not 1 <= self.connections <= MAX_CONNECTIONS or not 1 <= self.turn_s <= MAX_TURN_S:
            raise ValueError(f"connections must be from 1 to {MAX_CONNECTIONS}, turn_s from 1 to {MAX_TURN_S} seconds")

    @property
    def where(self) -> str:
        """The battery, for people."""
        return str(self.address or self.name)

    def matches(self, address: str, name: str | None) -> bool:
        """Whether a device that is heard is this one."""
        if self.address is not None:
            return address.upper() == self.address.upper()
        return name == self.name


class Plugin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="plugin"):
    """A wire that a driver of another package knows."""

    driver: str
    """The driver's name in the entry-point group packseal.drivers."""
    options: dict[str, str | int | float | bool] = {}
    """Passed to the driver as they are; its own page says what is allowed."""


LinkSettings = SocketCan | PythonCan | Stream | Recording | Modbus | Ble | Plugin

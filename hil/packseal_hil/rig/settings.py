"""bench.toml: a bench of real things. The Structs are the tables of the file; their docstrings are its reference.

Whatever is to be done to the world is an Act: a command of this machine (a relay, a USB hub), a command on the gateway,
a line to a network socket (a switched outlet), or a request to the person at the bench.
"""

import shlex
from pathlib import Path
from typing import Annotated

import msgspec

from packseal.core.errors import ConfigError
from packseal.core.toml_error import decode_toml
from packseal_hil.rig.protocols import BusFault, Need, RigError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing to do. Exactly one of the four; `{wall_s}`, `{loss_pct}` and `{delay_ms}` in it are filled in."""

    command: str | None = None
    """A shell command of this machine."""
    device: str | None = None
    """A shell command on the gateway."""
    send: str | None = None
    """Text for the network socket `to`; a newline is added."""
    ask: str | None = None
    """What the person at the bench is asked to do."""
    to: str | None = None
    """HOST:PORT of `send`."""

    def __post_init__(self) -> None:
        said = [name for name in ("command", "device", "send", "ask") if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(
                f"exactly one of command, device, send and ask is needed, not {' and '.join(said) or 'none'}"
            )
        if (self.send is None) != (self.to is None):
            raise ValueError("send and to go together: to names the socket as HOST:PORT")
        if self.to is not None and not self.to.rpartition(":")[2].isdigit():
            raise ValueError(f"to must be HOST:PORT, not {self.to!r}")


class DeviceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[device]: the gateway, reached with this machine's ssh client. Commands run as the user that logs in: root."""

    ssh: str
    """USER@HOST, or a name of ~/.ssh/config."""
    port: Port | None = None
    identity: str | None = None
    """The private key's file, relative to bench.toml; it must need no passphrase, or an agent must hold it."""
    options: tuple[str, ...] = ()
    """Further -o options of ssh, such as "StrictHostKeyChecking=accept-new"."""
    directory: str = "/var/lib/packseal-bench"
    """Where configuration, key and journal go. The bench empties it before every scenario."""
    packseal: str = "packseal"
    """The command that starts packseal there."""

    def __post_init__(self) -> None:
        if not self.directory.startswith("/") or self.directory.count("/") < 2:  # noqa: PLR2004 - not / nor /x
            raise ValueError(f"directory must be a path of its own, such as /var/lib/bench, not {self.directory!r}")
        shlex.split(self.packseal)


class PowerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[power]: the gateway's supply."""

    cut: Act
    on: Act
    boot_s: Annotated[float, msgspec.Meta(gt=0)] = 180.0
    """How long a boot may take until ssh answers."""


class BusTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[bus]: this machine's CAN adapter at the battery's end of the wire."""

    interface: str
    """python-can's name of it: pcan, slcan, gs_usb, socketcan …"""
    channel: str | int
    options: dict[str, str | int | float | bool] = {}
    """Passed to python-can as they are, such as bitrate = 500000."""
    link: dict[str, str] = msgspec.field(default_factory=lambda: {"kind": "socketcan", "channel": "can0"})
    """The agent's [battery.link] table for this bus."""
    fault: dict[str, Act] = {}
    """What puts the bus into each state; `none` mends it."""

    def __post_init__(self) -> None:
        _check_names("fault", self.fault, [fault.value for fault in BusFault])
        if self.fault and BusFault.NONE not in self.fault:
            raise ValueError("fault has no `none`: what mends the bus again?")


class NetworkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[network]: the gateway's way to this machine, apart from the way that ssh takes."""

    host: str
    """This machine's address as the gateway reaches it. Broker and sink of a scenario are open there while it runs."""
    up: Act | None = None
    down: Act | None = None
    shape: Act | None = None

    def __post_init__(self) -> None:
        if (self.up is None) != (self.down is None):
            raise ValueError("up and down go together")


class ClockTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[clock]: the gateway's wall clock."""

    set: Act
    synchronise: Act


class DiskTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[disk]: the file system that holds the device's directory."""

    fill: Act | None = None
    free: Act | None = None
    freeze: Act | None = None
    thaw: Act | None = None

    def __post_init__(self) -> None:
        for first, second in (("fill", "free"), ("freeze", "thaw")):
            if (getattr(self, first) is None) != (getattr(self, second) is None):
                raise ValueError(f"{first} and {second} go together")


class Bench(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. A table that is left out is a thing that this bench cannot do."""

    title: str
    device: DeviceTable
    network: NetworkTable
    bus: BusTable | None = None
    power: PowerTable | None = None
    clock: ClockTable | None = None
    disk: DiskTable = msgspec.field(default_factory=DiskTable)
    has: tuple[Need, ...] = ()
    """What it has that no table says: tpm, kernel."""

    def __post_init__(self) -> None:
        if Need.BLUETOOTH in self.has:
            raise ValueError("has cannot name bluetooth: only the virtual gateway has an air of the bench's own")

    @property
    def needs_met(self) -> frozenset[Need]:
        """What the file says that this bench can do."""
        faults = set() if self.bus is None else set(self.bus.fault)
        met = {
            Need.CAN: self.bus is not None,
            Need.BUS_FAULTS: {"warning", "passive", "off", "none"} <= faults,
            Need.POWER: self.power is not None,
            Need.CLOCK: self.clock is not None,
            Need.NETWORK: self.network.down is not None,
            Need.LOSS: self.network.shape is not None,
            Need.DISK: self.disk.fill is not None,
            Need.READ_ONLY: self.disk.freeze is not None,
        }
        return frozenset({*self.has, *(need for need, is_met in met.items() if is_met)})


def load(path: Path) -> Bench:
    """Read a bench.toml.

    Raises:
        RigError: it cannot be read, or is wrong: names file, line, key and what is allowed.
    """
    try:
        return decode_toml(path.read_bytes(), Bench, str(path))
    except OSError as error:
        raise RigError(f"cannot read the bench {path}: {error.strerror}") from error
    except ConfigError as error:
        raise RigError(str(error)) from error


def _check_names(what: str, table: dict[str, Act], allowed: list[str]) -> None:
    for name in table:
        if name not in allowed:
            raise ValueError(f"{what} has no `{name}`; allowed are {', '.join(allowed)}")

"""What a scenario can do to the world: one protocol per thing, whoever implements it.

A rig is one gateway, its wires and its network. The virtual gateway, this machine's own processes, a Raspberry Pi over
ssh and a person with a checklist are rigs alike. All times are seconds, all protocols are asynchronous.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable

from packseal.core.quantities import Channel
from packseal_hil.rig.shape import Shape


class Need(enum.StrEnum):
    """What a scenario needs of a rig beyond a gateway that runs the agent; the words of a scenario's `needs`."""

    CAN = "can"  # a kernel CAN interface
    BUS_FAULTS = "bus-faults"  # the controller can be driven to warning, passive and bus-off
    POWER = "power"  # power can be cut so that un-flushed writes are lost
    CLOCK = "clock"  # the wall clock can be set without hurting anybody
    NETWORK = "network"  # the network can be taken away
    LOSS = "loss"  # packets can be lost and delayed
    DISK = "disk"  # the journal's file system can be filled
    READ_ONLY = "read-only"  # the journal's file system can be made read-only under open files, and mended again
    BLUETOOTH = "bluetooth"  # BlueZ with a controller, on an air of the bench's own
    TPM = "tpm"  # a TPM 2.0
    KERNEL = "kernel"  # vcan, vxcan, ISO-TP and J1939 modules of the kernel


class CanFrame(NamedTuple):
    """Address, with 0x8000_0000 set for a 29-bit id, and 0 to 8 bytes of data; with more, up to 64, it is CAN FD."""

    address: int
    data: bytes


class BusFault(enum.StrEnum):
    """The state a scenario puts a bus into."""

    NONE = "none"
    WARNING = "warning"  # error-warning
    PASSIVE = "passive"  # error-passive
    OFF = "off"  # bus-off
    UNPLUGGED = "unplugged"  # the wire is out: silence
    GONE = "gone"  # the adapter is out: the interface is no more


class RadioFault(enum.StrEnum):
    """The state a scenario puts the Bluetooth air into."""

    NONE = "none"
    OUT_OF_RANGE = "out-of-range"  # the battery hears nobody and is not heard
    TAKEN = "taken"  # somebody else, such as a phone, holds the battery's only connection as soon as it is free
    UNPLUGGED = "unplugged"  # the gateway's adapter is out


class LineFault(enum.StrEnum):
    """The state a scenario puts a Modbus line into."""

    NONE = "none"
    DIES = "dies"  # the peer hangs up in the middle of its next answer, and listens no more; of TCP
    NOISE = "noise"  # bytes are changed, lost and made up
    CLASH = "clash"  # another device, with other values, answers for the same unit id as well
    STRANGER = "stranger"  # answers bear the unit id of another device
    DEAD_UNIT = "dead-unit"  # of several units the second one answers no more


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended. `output` is stdout and stderr together."""

    code: int
    output: str


class Device(Protocol):
    """The gateway's machine."""

    @property
    def directory(self) -> str:
        """Where configuration, key and journal go, on the gateway; on the disk that power cuts hit."""

    @property
    def packseal(self) -> str:
        """The command line that starts packseal there."""

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command as root; raises RigError when it takes longer or the machine does not answer."""

    async def start(self, command: str, log: str) -> int:
        """Start a shell command that goes on by itself, its output appended to `log`; return its process id."""

    async def put(self, path: str, content: bytes) -> None:
        """Write a file, mode 0600."""

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""


class Power(Protocol):
    """The gateway's supply."""

    async def cut(self) -> None:
        """Take the power away without warning, losing what the disk had not flushed."""

    async def on(self) -> None:
        """Give it back, and wait until the device answers."""


class Bus(Protocol):
    """One CAN bus, as the battery's side holds it."""

    @property
    def link(self) -> Mapping[str, str]:
        """The agent's [battery.link] table for this bus."""

    async def send(self, frames: Sequence[CanFrame]) -> None:
        """Put frames on the bus; those that a fault keeps off it are lost, as on a bus."""

    def listen(self, heard: Callable[[CanFrame], None]) -> None:
        """Have `heard` called with every frame that the gateway sends."""

    async def fault(self, fault: BusFault) -> None:
        """Put the bus into this state; BusFault.NONE mends it, interface included."""


class Speaker(Protocol):
    """A simulated battery that is on a road while its context lasts."""

    mute: bool
    """Whether it is switched off: it lives on, and neither speaks nor answers."""

    @property
    def frames(self) -> int:
        """What it has said so far, in the road's own units."""

    @property
    def requests(self) -> int:
        """How often it was asked."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(self, *_: object) -> None:
        """End."""


class LivingBattery(Protocol):
    """What a road needs of a simulated battery."""

    def advance(self, dt_s: float) -> None:
        """Let so much of its time pass."""

    def said(self) -> Mapping[Channel, float]:
        """Return what its BMS says now."""


class Radio(Protocol):
    """The gateway's Bluetooth adapter and the air around it, as the battery's side holds it."""

    async def on(self) -> Mapping[str, str]:
        """Fit the gateway with an adapter, ready to be used; return the agent's [battery.link] table."""

    def battery(self, profile: str, battery: LivingBattery) -> Speaker:
        """Return this battery as one on the air, with a BMS of this profile; raises RigError when there is none."""

    async def fault(self, fault: RadioFault) -> None:
        """Put the air into this state; RadioFault.NONE mends it, the adapter included."""


class Network(Protocol):
    """The gateway's way to the sink."""

    @property
    def host(self) -> str:
        """The address under which the gateway reaches the machine on which the sink and the broker run."""

    async def up(self) -> None:
        """Connect it."""

    async def down(self) -> None:
        """Cut it: packets vanish in both directions, nobody is told."""

    async def shape(self, shape: Shape) -> None:
        """Lose, delay, reorder and double packets in both directions, from now on; CLEAR ends that."""


@runtime_checkable
class Reaching(Protocol):
    """What a Network also is when it must be told which of this machine's loopback ports the gateway has to reach."""

    async def reach(self, port: int) -> None:
        """Make 127.0.0.1:`port` of this machine reachable for the gateway as `host`:`port`, until the rig is reset."""


class Clock(Protocol):
    """The gateway's wall clock."""

    async def set(self, wall_s: float) -> None:
        """Set it, in seconds since 1970, as nobody's network time: the kernel then counts it as unsynchronised."""

    async def synchronise(self) -> None:
        """Set it right, as network time does: the kernel then counts it as synchronised."""


class Disk(Protocol):
    """The file system that holds the journal."""

    async def fill(self) -> None:
        """Leave no byte free."""

    async def free(self) -> None:
        """Undo `fill`."""

    async def freeze(self) -> None:
        """Make it read-only, open files included, as the kernel does after an error of the card."""

    async def thaw(self) -> None:
        """Undo `freeze`."""


class Rig(Protocol):
    """All of it. What a rig has not, raises RigError; `has` says so before."""

    @property
    def device(self) -> Device:
        """The gateway's machine."""

    @property
    def power(self) -> Power:
        """Its supply."""

    @property
    def bus(self) -> Bus:
        """The battery's side of its bus."""

    @property
    def radio(self) -> Radio:
        """Its Bluetooth."""

    @property
    def network(self) -> Network:
        """Its way to the sink."""

    @property
    def clock(self) -> Clock:
        """Its wall clock."""

    @property
    def disk(self) -> Disk:
        """The file system of its journal."""

    @property
    def has(self) -> frozenset[Need]:
        """What it can do."""

    @property
    def title(self) -> str:
        """What it is, in a few words, for the report."""

    async def open(self, work: Path) -> None:
        """Make it ready; `work` is a directory of this machine for logs and images."""

    async def reset(self) -> None:
        """Undo everything that a scenario left behind: faults, processes, files in the device's directory."""

    async def close(self) -> None:
        """Leave nothing running."""


class RigError(Exception):
    """The rig itself failed: says what and, where known, what to do. Not a verdict on the agent."""

"""VirtualRig: the agent in a virtual gateway, with all that a scenario may need."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from packseal_hil.faces.slcan import SlcanAdapter
from packseal_hil.gateway import image
from packseal_hil.gateway.contents import HOME, SUITE, Arch
from packseal_hil.gateway.machine import Machine, make_disk
from packseal_hil.gateway.programs import find
from packseal_hil.gateway.tap import Tap
from packseal_hil.gateway.wiring import DataDisk, Parts
from packseal_hil.powercut import sparse
from packseal_hil.powercut.cut import Tear, cut_image
from packseal_hil.powercut.write_log import WriteLog
from packseal_hil.rig.protocols import BusFault, Done, Need, RigError
from packseal_hil.rig.virtual_radio import VirtualRadio
from packseal_hil.rig.virtual_world import (
    CAN_CHANNEL,
    DIRECTORY,
    HOST,
    MOUNT_OPTIONS,
    SerialCan,
    VirtualClock,
    VirtualDisk,
    VirtualNetwork,
)

DISK_MB = 256
CAN, BLUETOOTH = "can", "bluetooth"
"""The names of its two serial ports: the CAN adapter's and the Bluetooth controller's (H4); see Board.uarts."""


class VirtualDevice:
    """A `Device`: the guest."""

    directory = DIRECTORY
    packseal = f"{HOME}/bin/packseal"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._started: list[int] = []

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command as root; raises RigError when it takes longer or the guest does not answer."""
        return await self._machine.run(command, timeout_s=timeout_s)

    async def start(self, command: str, log: str) -> int:
        """Start a shell command that goes on by itself; return its process id, which is its group's too."""
        pid = await self._machine.start_command(command, log)
        self._started.append(pid)
        return pid

    async def put(self, path: str, content: bytes) -> None:
        """Write a file, mode 0600; raises RigError."""
        await self._machine.put(path, content)

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""
        return await self._machine.get(path)

    async def end_all(self) -> None:
        """End all that was started, at once."""
        if self._started:
            groups = " ".join(f"-{pid}" for pid in self._started)
            await self._machine.run(f"kill -9 {groups}")
        self._started.clear()

    async def clean(self) -> None:
        """Empty the directory."""
        await self._machine.check(f"find {DIRECTORY} -mindepth 1 -delete")


class VirtualBus(SlcanAdapter):
    """A `Bus`: the host's end of the guest's serial CAN adapter; remembers whether it is plugged in."""

    def __init__(self, machine: Machine) -> None:
        self._can = SerialCan(machine)
        self._is_plugged_in = True
        super().__init__(machine.socket(CAN), CAN_CHANNEL, self._can)

    async def fault(self, fault: BusFault) -> None:
        """Put the bus into this state; raises RigError."""
        await super().fault(fault)
        self._is_plugged_in = fault is not BusFault.GONE

    async def restore(self) -> None:
        """Mend it, and forget who listens; raises RigError."""
        await self.fault(BusFault.NONE)
        self._listeners.clear()

    async def powered_on(self) -> None:
        """Connect again after a boot; raises RigError."""
        await self.connect()
        await self._can.powered_on(self._is_plugged_in)


class VirtualPower:
    """A `Power`: cut by ending QEMU, the disk then holding what its write log says a cut would have left.

    `base` is the disk as it was at the last power-on and `log` what was written since; both stay until the next.
    """

    def __init__(self, machine: Machine, work: Path, seed: int, powered_on: Callable[[], Awaitable[None]]) -> None:
        self.disk, self.base, self.log = work / "data.img", work / "base.img", work / "writes.log"
        machine.parts = replace(machine.parts, disks=(DataDisk(self.disk, self.log),))
        self._machine = machine
        self._work = work
        self._rng = random.Random(seed)
        self._powered_on = powered_on

    @property
    def position(self) -> int:
        """How long the write log is now, in bytes: a place to cut at (powercut.cut)."""
        return self.log.stat().st_size

    async def cut(self) -> None:
        """Take the power away; of what was not flushed, each page is there or lost."""
        await self._machine.kill()
        with WriteLog.read(self.log, self.disk.stat().st_size) as log:
            left = await asyncio.to_thread(cut_image, self.base, log, log.end, self._rng, Tear.PAGES, self._work)
        left.replace(self.disk)

    async def on(self) -> None:
        """Give it back, and wait until the guest answers and its bus and network are as they were."""
        if self._machine.is_on:
            return
        if not self.disk.exists():
            await asyncio.to_thread(make_disk, self.disk, DISK_MB)
        await asyncio.to_thread(sparse.copy, self.disk, self.base)
        self.log.write_bytes(b"")
        await self._machine.start()
        await self._powered_on()


class VirtualRig:
    """A `Rig`: one virtual gateway. `machine` is there for what goes beyond the protocols.

    Args:
        arch: of the guest.
        cache: where images are kept; None: as image.cache_directory says.
        seed: decides what a power cut loses.
    """

    device: VirtualDevice
    power: VirtualPower
    bus: VirtualBus
    radio: VirtualRadio
    network: VirtualNetwork
    clock: VirtualClock
    disk: VirtualDisk
    machine: Machine

    def __init__(self, arch: Arch = Arch.AMD64, cache: Path | None = None, seed: int = 1) -> None:
        self._arch = arch
        self._cache = cache or image.cache_directory()
        self._seed = seed
        self._tap: Tap | None = None

    @property
    def has(self) -> frozenset[Need]:
        """Everything; a TPM only with swtpm here, and not on arm64, where Debian has no driver of the one emulated."""
        has_tpm = self._arch is Arch.AMD64 and find("swtpm") is not None
        return frozenset(Need) - (frozenset() if has_tpm else {Need.TPM})

    @property
    def title(self) -> str:
        """What it is."""
        tcp = "" if self._tap is not None or not hasattr(self, "machine") else ", with QEMU's own TCP"
        return f"virtual gateway (Debian {SUITE}, {self._arch}, emulated{tcp})"

    async def open(self, work: Path) -> None:
        """Build the image where it is not cached, and boot; raises RigError."""
        built = await asyncio.to_thread(image.ensure, self._cache, self._arch)
        await asyncio.to_thread(work.mkdir, parents=True, exist_ok=True)
        with contextlib.suppress(RigError):  # not everybody may: there is QEMU's user network
            self._tap = await asyncio.to_thread(Tap, f"{HOST}/24")
        tap_fd = None if self._tap is None else self._tap.fd
        parts = Parts(mount_options=MOUNT_OPTIONS, uarts=(CAN, BLUETOOTH), tpm=Need.TPM in self.has, tap_fd=tap_fd)
        self.machine = machine = Machine(built, work, parts)
        self.device = VirtualDevice(machine)
        self.bus = VirtualBus(machine)
        self.radio = VirtualRadio(machine, BLUETOOTH)
        self.network = VirtualNetwork(machine, self._tap)
        self.clock, self.disk = VirtualClock(machine), VirtualDisk(machine)
        self.power = VirtualPower(machine, work, self._seed, self._powered_on)
        await asyncio.to_thread(self.power.disk.unlink, missing_ok=True)  # of an earlier rig in this directory
        await self.power.on()
        await self.device.clean()

    async def _powered_on(self) -> None:
        await self.bus.powered_on()
        await self.radio.powered_on()
        await self.network.apply()

    async def reset(self) -> None:
        """Undo what a scenario left: faults, processes, files; the clock is right, and nobody disciplines it."""
        await self.power.on()
        await self.device.end_all()
        await self.disk.thaw()
        await self.device.clean()
        await self.network.restore()
        await self.bus.restore()
        await self.radio.restore()
        await self.clock.set(time.time())

    async def close(self) -> None:
        """Switch the guest off and leave nothing running; its console stays in the work directory."""
        if hasattr(self, "machine"):
            await self.bus.close()
            await self.radio.close()
            await self.network.close()
            await self.machine.close()
        if self._tap is not None:
            self._tap.close()

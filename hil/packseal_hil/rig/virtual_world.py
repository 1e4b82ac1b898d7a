"""What the virtual gateway's guest is made to suffer from inside: its CAN interface, network, clock and disk."""

import asyncio
import time

from packseal_hil.gateway.contents import BOARDS
from packseal_hil.gateway.machine import Machine
from packseal_hil.gateway.tap import Tap
from packseal_hil.rig.forwarder import Forwarder
from packseal_hil.rig.protocols import RigError
from packseal_hil.rig.shape import CLEAR, LOST, Shape

DIRECTORY = "/var/lib/packseal"
CAN_CHANNEL = "can0"
BIT_RATE = 500_000
MOUNT_OPTIONS = "noatime,nodelalloc"
"""With delayed allocation ext4 takes writes to files that were open when it became read-only, and fsync says they are
stored (fs/ext4/inode.c: ext4_da_write_begin begins no transaction; fs/ext4/fsync.c: nothing to do when read-only).
Without it they are refused, as after an error of the card, from which however no remount leads back."""
HOST = "10.0.2.2"
"""This machine, to the guest: QEMU's user network puts its loopback there; with a wire of its own, `reach` does."""
SETTLED_S = 60.0
POLL_S = 0.1
BALLAST = f"{DIRECTORY}/.ballast"


async def until(machine: Machine, command: str, what: str) -> None:
    """Repeat a shell command until it succeeds; raises RigError with `what` when it does not in time."""
    end_s = time.monotonic() + SETTLED_S
    while (await machine.run(command)).code:
        if time.monotonic() > end_s:
            raise RigError(f"{what} after {SETTLED_S:.0f} s")
        await asyncio.sleep(POLL_S)


class SerialCan:
    """The guest's interface over the serial adapter: what faces.slcan calls an Interface."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._port = f"/dev/{BOARDS[machine.image.arch].uarts[0]}"
        self._slcand: int | None = None

    async def attach(self) -> None:
        """Start slcand and set the interface up; raises RigError."""
        await self._machine.check("modprobe -a can_raw slcan")
        # The driver itself opens and closes the adapter with the interface once it knows the bit rate (slcan-core.c).
        self._slcand = await self._machine.start_command(f"slcand -F {self._port} {CAN_CHANNEL}", "/run/slcand.log")
        await until(self._machine, f"test -d /sys/class/net/{CAN_CHANNEL}", "slcand has made no CAN interface")
        set_rate = f"ip link set {CAN_CHANNEL} type can bitrate {BIT_RATE}"
        await self._machine.check(f"{set_rate} && ip link set {CAN_CHANNEL} up")

    async def restart(self) -> None:
        """Set the interface down and up: the driver refuses restart-ms."""
        await self._machine.check(f"ip link set {CAN_CHANNEL} down && ip link set {CAN_CHANNEL} up")

    async def remove(self) -> None:
        """End slcand, and with it the interface."""
        if self._slcand is not None:
            await self._machine.run(f"kill -9 {self._slcand}")
        self._slcand = None
        await until(self._machine, f"test ! -e /sys/class/net/{CAN_CHANNEL}", "the CAN interface is still there")

    async def powered_on(self, is_plugged_in: bool) -> None:  # noqa: FBT001 - the one thing to know
        """Begin again after a boot, which has forgotten slcand."""
        self._slcand = None
        if is_plugged_in:
            await self.attach()


class VirtualNetwork:
    """A `Network`: netem in the guest, on what it sends and, by way of an ifb device, on what it gets.

    https://man7.org/linux/man-pages/man8/tc-netem.8.html
    """

    def __init__(self, machine: Machine, tap: Tap | None) -> None:
        self._machine = machine
        self._tap = tap
        self._forwarders: list[Forwarder] = []
        self._is_up = True
        self._shape = CLEAR

    @property
    def host(self) -> str:
        """The address under which the guest reaches this machine's loopback."""
        return HOST

    async def reach(self, port: int) -> None:
        """Make this port of our loopback reachable; on QEMU's user network every one is."""
        if self._tap is not None:
            forwarder = Forwarder(await asyncio.to_thread(self._tap.bound, port), port)
            await forwarder.open()
            self._forwarders.append(forwarder)

    async def up(self) -> None:
        """Connect it."""
        self._is_up = True
        await self.apply()

    async def down(self) -> None:
        """Lose every packet in both directions."""
        self._is_up = False
        await self.apply()

    async def shape(self, shape: Shape) -> None:
        """Do this to the packets of each direction; CLEAR ends it."""
        self._shape = shape
        await self.apply()

    async def restore(self) -> None:
        """Connect it, and lose and delay nothing."""
        self._is_up, self._shape = True, CLEAR
        await self.close()
        await self.apply()

    async def close(self) -> None:
        """Make nothing reachable any more."""
        for forwarder in self._forwarders:
            await forwarder.close()
        self._forwarders.clear()

    async def apply(self) -> None:
        """Make the guest's queues what was asked for last, as after a boot."""
        shape = self._shape if self._is_up else LOST
        if shape == CLEAR:
            await self._machine.run("tc qdisc del dev eth0 root; tc qdisc del dev eth0 ingress; ip link del ifb0")
            return
        netem = f"netem limit 10000 {shape.netem}"
        redirect = "tc filter add dev eth0 ingress prio 1 handle 1 matchall action mirred egress redirect dev ifb0"
        steps = (
            "ip link set eth0 gso_max_segs 1",  # else up to 64 KiB would be lost or delayed as one packet
            "modprobe -a ifb sch_netem sch_ingress act_mirred cls_matchall",
            "{ ip link show ifb0 || ip link add ifb0 type ifb; }",
            "ip link set ifb0 up",
            f"tc qdisc replace dev ifb0 root {netem}",
            "{ tc qdisc show dev eth0 | grep -q ingress || tc qdisc add dev eth0 ingress; }",
            f"{{ tc filter show dev eth0 ingress | grep -q matchall || {redirect}; }}",  # replace would refuse a second
            f"tc qdisc replace dev eth0 root {netem}",
        )
        await self._machine.check(" && ".join(steps))


class VirtualClock:
    """A `Clock`: the guest's."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def set(self, wall_s: float) -> None:
        """Set it; the kernel then counts it as unsynchronised (timekeeping.c: setting it clears the discipline).

        A time before the machine's uptime, such as 1970 itself, becomes the uptime: the kernel refuses anything before
        it (likewise), and it is what a gateway without a clock chip shows.
        """
        earliest_s = await self._up_s() + 1
        await self._machine.check(f"date -u -s @{max(wall_s, earliest_s):.3f}")

    async def synchronise(self) -> None:
        """Set it right, to half the time that the guest takes for a word."""
        asked_s = time.time()
        up_s = await self._up_s()
        ahead_s = (asked_s + time.time()) / 2 - up_s
        await self._machine.check(f"python3 -I -S /hil/synchronise.py {ahead_s:.3f}")

    async def _up_s(self) -> float:
        return float((await self._machine.check("cat /proc/uptime")).split()[0])


class VirtualDisk:
    """A `Disk`: the guest's ext4 file system at /var/lib/packseal."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def fill(self) -> None:
        """Leave no byte free; raises RigError."""
        free = f"$(df --output=avail -B1 {DIRECTORY} | tail -n 1)"
        await self._machine.run(
            f"fallocate -l {free} {BALLAST}; dd if=/dev/zero of={BALLAST}2 bs=4k; sync -f {DIRECTORY}"
        )
        await self._machine.check(f"test {free} -eq 0")

    async def free(self) -> None:
        """Undo `fill`."""
        await self._machine.check(f"rm -f {BALLAST} {BALLAST}2 && sync -f {DIRECTORY}")

    async def freeze(self) -> None:
        """Make it read-only, open files included (and the guest's root disk with it); raises RigError.

        https://docs.kernel.org/admin-guide/sysrq.html: "u" remounts all mounted file systems, and does so later.
        """
        await self._machine.check("echo u > /proc/sysrq-trigger")
        await until(self._machine, f"grep -q ' {DIRECTORY} ext4 ro' /proc/mounts", "the disk is not read-only")

    async def thaw(self) -> None:
        """Undo `freeze`."""
        await self._machine.check(f"mount -o remount,rw / && mount -o remount,rw {DIRECTORY}")

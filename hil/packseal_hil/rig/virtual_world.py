"""What the virtual gateway's guest is made to suffer from inside: its CAN interface, network, clock and disk."""

import asyncio
import time

from packseal_hil.gateway.contents import BOARDS
from packseal_hil.gateway.machine import Machine
from packseal_hil.rig.protocols import RigError

DIRECTORY = "/var/lib/packseal"
CAN_CHANNEL = "can0"
BIT_RATE = 500_000
MOUNT_OPTIONS = "noatime,nodelalloc"
"""With delayed allocation ext4 takes writes to files that were open when it became read-only, and fsync says they are
stored (fs/ext4/inode.c: ext4_da_write_begin begins no transaction; fs/ext4/fsync.c: nothing to do when read-only).
Without it they are refused, as after an error of the card, from which however no remount leads back."""
HOST = "10.0.2.2"  # under which QEMU's user network puts this machine's loopback
SETTLED_S = 60.0
POLL_S = 0.1
BALLAST = f"{DIRECTORY}/.ballast"
ALL_PCT = 100.0


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

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._is_up = True
        self._loss_pct = self._delay_ms = 0.0

    @property
    def host(self) -> str:
        """The address under which the guest reaches this machine's loopback."""
        return HOST

    async def up(self) -> None:
        """Connect it."""
        self._is_up = True
        await self.apply()

    async def down(self) -> None:
        """Lose every packet in both directions."""
        self._is_up = False
        await self.apply()

    async def shape(self, loss_pct: float, delay_ms: float) -> None:
        """Lose this share of the packets of each direction and delay the others; (0, 0) ends that."""
        self._loss_pct, self._delay_ms = loss_pct, delay_ms
        await self.apply()

    async def restore(self) -> None:
        """Connect it, and lose and delay nothing."""
        self._is_up, self._loss_pct, self._delay_ms = True, 0, 0
        await self.apply()

    async def apply(self) -> None:
        """Make the guest's queues what was asked for last, as after a boot."""
        loss_pct = self._loss_pct if self._is_up else ALL_PCT
        if not loss_pct and not self._delay_ms:
            await self._machine.run("tc qdisc del dev eth0 root; tc qdisc del dev eth0 ingress; ip link del ifb0")
            return
        netem = f"netem loss {loss_pct}% delay {self._delay_ms}ms limit 10000"
        steps = (
            "modprobe -a ifb sch_netem sch_ingress act_mirred cls_matchall",
            "{ ip link show ifb0 || ip link add ifb0 type ifb; }",
            "ip link set ifb0 up",
            f"tc qdisc replace dev ifb0 root {netem}",
            "{ tc qdisc show dev eth0 | grep -q ingress || tc qdisc add dev eth0 ingress; }",
            "tc filter replace dev eth0 ingress prio 1 handle 1 matchall action mirred egress redirect dev ifb0",
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

"""The network of this machine's rig: three namespaces with a router between them, or a forwarder without root.

A router that does not forward drops what it is given without a word: no reset, no ICMP, and both ends keep their
carrier. That is what a radio link does when it is gone.
"""

import asyncio
import ctypes
import itertools
import os
import shutil
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from packseal_hil.rig import process
from packseal_hil.rig.forwarder import Forwarder, bound
from packseal_hil.rig.protocols import RigError
from packseal_hil.rig.shape import CLEAR, Shape

# Addresses for documentation (RFC 5737): nothing outside can be meant by them.
GATEWAY, GATEWAY_ROUTER = "192.0.2.2", "192.0.2.1"
OPERATOR, OPERATOR_ROUTER = "198.51.100.2", "198.51.100.1"
SECOND_LOOPBACK = "127.0.0.2"
"""All of 127.0.0.0/8 is this machine on Linux (RFC 1122 §3.2.1.3): the same port again, and nobody outside sees it."""

NAMESPACES = Path("/run/netns")  # ip-netns(8)
CLONE_NEWNET = 0x4000_0000  # linux/sched.h
COMMAND_S = 20

_numbers = itertools.count()


class LoopbackNetwork:
    """A `Network` for everybody: a forwarder on loopback that can stop. Packets themselves are never lost."""

    title = "a forwarder that can stop"
    prefix: Sequence[str] = ()
    shapes = False
    host = SECOND_LOOPBACK

    def __init__(self) -> None:
        self._forwarders: list[Forwarder] = []

    async def open(self) -> None:
        """Do nothing."""

    async def reach(self, port: int) -> None:
        """Forward this port."""
        await self._forward(bound(self.host, port), port)

    async def up(self) -> None:
        """Carry."""
        for forwarder in self._forwarders:
            forwarder.go()

    async def down(self) -> None:
        """Carry nothing."""
        for forwarder in self._forwarders:
            forwarder.stop()

    async def shape(self, shape: Shape) -> None:
        """Raise RigError: it has no packets to lose."""
        if shape != CLEAR:
            raise RigError("this machine's kernel cannot lose or delay packets (no netem): use the virtual gateway")

    async def reset(self) -> None:
        """Forward nothing any more."""
        for forwarder in self._forwarders:
            await forwarder.close()
        self._forwarders.clear()

    async def close(self) -> None:
        """End it."""
        await self.reset()

    async def _forward(self, listening: socket.socket, port: int) -> None:
        forwarder = Forwarder(listening, port)
        await forwarder.open()
        self._forwarders.append(forwarder)


class NamespaceNetwork(LoopbackNetwork):
    """A `Network` of namespaces. The gateway's end runs commands behind `prefix`; the operator's end forwards to us."""

    title = "network namespaces"
    host = OPERATOR

    def __init__(self) -> None:
        super().__init__()
        # Two of one process may be open side by side: neither may take the other's names.
        own = f"packseal-{os.getpid()}-{next(_numbers)}"
        self._gateway, self._router, self._operator = (f"{own}-{end}" for end in ("gw", "way", "op"))
        self.prefix = ("ip", "netns", "exec", self._gateway)
        self.shapes = False

    async def open(self) -> None:
        """Make the namespaces, joined and forwarding; raises RigError."""
        for name in (self._gateway, self._router, self._operator):
            await run("ip", "netns", "add", name)
            await run("ip", "-n", name, "link", "set", "lo", "up")
        await self._join(self._gateway, GATEWAY, GATEWAY_ROUTER, "near")
        await self._join(self._operator, OPERATOR, OPERATOR_ROUTER, "far")
        await self.up()
        self.shapes = await self._has_netem()

    async def reach(self, port: int) -> None:
        """Listen in the operator's namespace and forward to our loopback."""
        await self._forward(await asyncio.to_thread(_bound_in, self._operator, port), port)

    async def up(self) -> None:
        """Let the router forward."""
        await self._let("1")

    async def down(self) -> None:
        """Let the router drop everything."""
        await self._let("0")

    async def shape(self, shape: Shape) -> None:
        """Do it at both of the router's ends (tc-netem(8)); raises RigError."""
        if not self.shapes:
            await super().shape(shape)
            return
        for wire in ("near", "far"):
            queue = ("qdisc", "replace", "dev", wire, "root", "netem", *shape.netem.split())
            await run("ip", "netns", "exec", self._router, "tc", *queue)

    async def reset(self) -> None:
        """Mend it and forward nothing any more."""
        await super().reset()
        await self.up()
        await self.shape(CLEAR)

    async def close(self) -> None:
        """Delete the namespaces."""
        await super().reset()
        for name in (self._gateway, self._router, self._operator):
            if (NAMESPACES / name).exists():
                await run("ip", "netns", "del", name)

    async def _let(self, forward: str) -> None:
        setting = f"echo {forward} > /proc/sys/net/ipv4/ip_forward"
        await run("ip", "netns", "exec", self._router, "sh", "-c", setting)

    async def _join(self, end: str, address: str, router_address: str, wire: str) -> None:
        await run("ip", "-n", end, "link", "add", "wire", "type", "veth", "peer", "name", wire, "netns", self._router)
        for name, at, device in ((end, address, "wire"), (self._router, router_address, wire)):
            await run("ip", "-n", name, "address", "add", f"{at}/24", "dev", device)
            await run("ip", "-n", name, "link", "set", device, "up")
        await run("ip", "-n", end, "route", "add", "default", "via", router_address)

    async def _has_netem(self) -> bool:
        queue = ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "0%")
        return not await code_of("ip", "netns", "exec", self._router, *queue)


async def choose() -> tuple[LoopbackNetwork, str]:
    """Return an open network, the best that this machine has, and why it is not a better one."""
    if os.geteuid() != 0:
        why = "network namespaces need root"
    elif shutil.which("ip", path=process.PATH) is None:
        why = "the program ip is missing: apt install iproute2"
    else:
        made = NamespaceNetwork()
        try:
            await made.open()
        except RigError as error:
            await made.close()
            why = str(error)
        else:
            return made, ""
    return LoopbackNetwork(), why


async def run(*command: str) -> None:
    """Run a command of this machine; raises RigError with what it said."""
    code, said = await _done(command)
    if code:
        raise RigError(f"{' '.join(command)}: {said or f'ended with code {code}'}")


async def code_of(*command: str) -> int:
    """Run a command of this machine and return its exit code."""
    return (await _done(command))[0]


async def _done(command: Sequence[str]) -> tuple[int, str]:
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=process.environment()
    )
    try:
        output, _ = await asyncio.wait_for(running.communicate(), COMMAND_S)
    except TimeoutError:
        running.kill()
        await running.wait()
        return 1, f"takes longer than {COMMAND_S} s"
    return running.returncode or 0, output.decode("utf-8", "replace").strip()


def _bound_in(namespace: str, port: int) -> socket.socket:
    """Return a socket that listens in a network namespace: a socket stays where it was made (network_namespaces(7))."""
    made: list[socket.socket] = []
    failed: list[RigError] = []

    def work() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with (NAMESPACES / namespace).open("rb") as there:
                entered = libc.setns(there.fileno(), CLONE_NEWNET) == 0
            if entered:
                made.append(bound(OPERATOR, port))
            else:
                failed.append(RigError(f"setns {namespace}: {os.strerror(ctypes.get_errno())}"))
        except OSError as error:
            failed.append(RigError(f"network namespace {namespace}: {error.strerror}"))
        except RigError as error:
            failed.append(error)

    # setns(2) moves one thread: this one ends there, and no other ever notices.
    thread = threading.Thread(target=work, name="namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]

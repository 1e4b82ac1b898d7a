"""The live demo's bus: kernel vcan where there is one, else multicast that never leaves this machine, else a socket."""

import contextlib
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packseal_drivers.settings import PythonCan, SocketCan, Stream

VCAN = "vcan0"
GROUP = "239.255.70.83"
"""Of the organisation-local scope (RFC 2365 §6.2); the hop limit of 0 keeps frames on this machine in any case."""

PROBE = b"packseal"
PROBE_S = 1.0


@dataclass(frozen=True, slots=True)
class Bus:
    """What the agent's configuration says of the wire, and what the user is told."""

    link: SocketCan | PythonCan | Stream
    title: str


def choose(stream: Path) -> Bus:
    """Return the best bus that this machine has; `stream` is the socket of the last resort."""
    if _has_vcan():
        return Bus(SocketCan(VCAN), f"kernel CAN interface {VCAN}")
    port = _multicast_port()
    if port is not None:
        options: dict[str, str | int | float | bool] = {"port": port, "hop_limit": 0}
        link = PythonCan("udp_multicast", GROUP, options=options)
        return Bus(link, f"CAN frames by multicast {GROUP}:{port}, hop limit 0: they stay on this machine")
    return Bus(Stream(stream.name), "CAN frames over a Unix socket: this machine has neither vcan nor multicast")


def _has_vcan() -> bool:
    """Return whether vcan0 can be used, making it where we may."""
    if not hasattr(socket, "CAN_RAW"):
        return False
    program = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is not None and not Path(f"/sys/class/net/{VCAN}").exists():
        for words in (["add", "dev", VCAN, "type", "vcan"], ["set", "up", VCAN]):
            with contextlib.suppress(OSError):
                subprocess.run([program, "link", *words], capture_output=True, check=False)  # noqa: S603 - fixed words
    try:
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as probe:
            probe.bind((VCAN,))
    except OSError:
        return False
    return _is_up(VCAN)


def _is_up(name: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(int(Path(f"/sys/class/net/{name}/flags").read_text("ascii"), 16) & 1)  # IFF_UP, linux/if.h
    return False


def _multicast_port() -> int | None:
    """Return a port of the group over which a datagram comes back to us; None without multicast."""
    port = 20_000 + secrets.randbelow(10_000)  # drawn by lot, so that two demos do not hear each other
    group = socket.inet_aton(GROUP) + socket.inet_aton("0.0.0.0")  # noqa: S104 - whichever interface has the route
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.settimeout(PROBE_S)
        probe.bind((GROUP, port))
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        probe.sendto(PROBE, (GROUP, port))
        if probe.recv(len(PROBE)) == PROBE:
            return port
    return None

"""A gateway's network and an operator's, joined by a router whose forwarding can be cut: three network namespaces.

A router that does not forward drops what it is given without a word: no reset, no ICMP, and both ends keep their
carrier and their neighbour. That is what a radio link does when it is gone, and needs no queueing discipline.
"""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

# Addresses for documentation (RFC 5737): nothing outside can be meant by them.
GATEWAY, GATEWAY_ROUTER = "192.0.2.2", "192.0.2.1"
OPERATOR, OPERATOR_ROUTER = "198.51.100.2", "198.51.100.1"

_numbers = itertools.count()


@dataclass(frozen=True)
class Road:
    """The names of the three namespaces of one way from a gateway to an operator."""

    gateway: str
    router: str
    operator: str

    def cut(self) -> None:
        """From now on every packet vanishes."""
        self._forward("0")

    def mend(self) -> None:
        """From now on every packet arrives."""
        self._forward("1")

    def _forward(self, on: str) -> None:
        _run(*inside(self.router), "sh", "-c", f"echo {on} > /proc/sys/net/ipv4/ip_forward")


def inside(namespace: str) -> tuple[str, ...]:
    """Return what goes before a command that is to run in `namespace`."""
    return (_ip(), "netns", "exec", namespace)


def why_not() -> str:
    """Return why no namespaces can be made here and what to do about it; nothing when they can."""
    if shutil.which("ip", path=_PATH) is None:
        return "the program `ip` is missing: install iproute2 (apt install iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root: run the tests as root (sudo make test)"
    try:
        with road():
            return ""
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode().strip()
        return f"no network namespaces ({said}): needs CONFIG_NET_NS and CONFIG_VETH in the kernel, and CAP_NET_ADMIN"


@contextmanager
def road() -> Iterator[Road]:
    """Make the three namespaces, joined and forwarding; delete them when left, with all that is in them."""
    number = next(_numbers)
    made = Road(*(f"packseal-{os.getpid()}-{number}-{end}" for end in ("gateway", "router", "operator")))
    with ExitStack() as stack:
        for name in (made.gateway, made.router, made.operator):
            _run(_ip(), "netns", "add", name)
            stack.callback(_run, _ip(), "netns", "del", name)
            _run(_ip(), "-n", name, "link", "set", "lo", "up")
        _join(made.gateway, GATEWAY, made.router, GATEWAY_ROUTER, "near")
        _join(made.operator, OPERATOR, made.router, OPERATOR_ROUTER, "far")
        made.mend()
        yield made


def _join(end: str, end_address: str, router: str, router_address: str, wire: str) -> None:
    _run(_ip(), "-n", end, "link", "add", "wire", "type", "veth", "peer", "name", wire, "netns", router)
    for namespace, address, device in ((end, end_address, "wire"), (router, router_address, wire)):
        _run(_ip(), "-n", namespace, "address", "add", f"{address}/24", "dev", device)
        _run(_ip(), "-n", namespace, "link", "set", device, "up")
    _run(_ip(), "-n", end, "route", "add", "default", "via", router_address)


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _ip() -> str:
    return shutil.which("ip", path=_PATH) or "ip"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

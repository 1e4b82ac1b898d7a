"""Tap: a wire from the guest to a network namespace of this machine, so that TCP ends in a real kernel at both ends.

QEMU's user network ends each connection in a TCP of its own, after 4.4BSD's, which knows no selective acknowledgement
and repeats nothing before a second is over (libslirp, src/tcp_timer.h): with 30 % loss hardly a reply comes back.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from packseal_hil.gateway.programs import call
from packseal_hil.rig.protocols import RigError

DEVICE = Path("/dev/net/tun")
NAME = "tap0"
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
IFREQ = struct.Struct("16sH22x")  # netdevice(7)
CLONE_NEWNET = 0x4000_0000  # linux/sched.h
OWN_NAMESPACE = "/proc/thread-self/ns/net"

T = TypeVar("T")


class Tap:
    """Open while it lives; nothing of it is left when this process ends. `fd` is for QEMU's -netdev tap,fd=.

    Args:
        address: of this end, with the length of the network's prefix: 10.0.2.2/24.

    Raises:
        RigError: it needs root and the kernel's tun device.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            self.fd, self._namespace = _apart(self._make)
        except OSError as error:
            raise RigError(f"no wire to the virtual gateway: {error.strerror or error}") from error

    def bound(self, port: int) -> socket.socket:
        """Return a socket that is bound to this end; raises RigError."""

        def make() -> socket.socket:
            _call_kernel("setns", self._namespace, CLONE_NEWNET)
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((self._address.partition("/")[0], port))
            except OSError:
                made.close()
                raise
            return made

        try:
            return _apart(make)
        except OSError as error:
            raise RigError(f"port {port} cannot be opened to the virtual gateway: {error.strerror}") from error

    def close(self) -> None:
        """Take the wire away."""
        for fd in (self.fd, self._namespace):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _make(self) -> tuple[int, int]:
        _call_kernel("unshare", CLONE_NEWNET)
        fd = os.open(DEVICE, os.O_RDWR)
        try:
            fcntl.ioctl(fd, TUNSETIFF, IFREQ.pack(NAME.encode(), IFF_TAP | IFF_NO_PI))
            # A child is in the network namespace of the thread that starts it (network_namespaces(7)).
            for words in (f"address add {self._address} dev {NAME}", f"link set {NAME} up"):
                call(["ip", *words.split()], "Making a wire to the virtual gateway")
            return fd, os.open(OWN_NAMESPACE, os.O_RDONLY)
        except BaseException:
            os.close(fd)
            raise


def _call_kernel(name: str, *arguments: int) -> None:
    """Call unshare(2) or setns(2) for this thread; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _apart(work: Callable[[], T]) -> T:
    """Return what `work` returns or raises in a thread of its own, whose network namespace nobody else ever sees."""
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]

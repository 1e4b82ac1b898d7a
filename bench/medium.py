"""Medium: what carries CAN frames from the sender to a receiver in another process.

A kernel CAN interface where there is one (vcan0, or what PACKSEAL_BENCH_CAN names). Else a connected UDP socket on the
loopback that carries the kernel's `struct can_frame` and its receive timestamps: what user space does for a frame,
one system call, one timestamp, 16 bytes, is the same; what the kernel does for it is not.
"""

import os
import socket
import struct
from contextlib import suppress

CAN_FRAME = struct.Struct("=IB3x8s")  # linux/can.h
SO_TIMESTAMPNS = 35  # asm-generic/socket.h, SO_TIMESTAMPNS_OLD
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 8 << 20
UDP = "udp"
UDP_NAME = "UDP on the loopback carrying struct can_frame, for want of a kernel CAN interface (modprobe vcan)"


def find() -> str:
    """Return the CAN interface to use, or UDP."""
    name = os.environ.get("PACKSEAL_BENCH_CAN", "vcan0")
    try:
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as probe:
            probe.bind((name,))
    except (OSError, AttributeError):  # no such interface, no CAN in the kernel, or none in this Python
        return UDP
    return name


def receiving() -> socket.socket:
    """Return a UDP socket, not yet connected, that gives its timestamps as a CAN_RAW one would."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return made


def sending(medium: str, port: int) -> socket.socket:
    """Return the sender's end."""
    if medium == UDP:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.connect(("127.0.0.1", port))
        return made
    made = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    made.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, b"")  # it listens to nothing
    made.bind((medium,))
    return made


def settle(core: int) -> None:
    """Keep this process on one core, where there is another for the other side, and other work out of its way.

    A receiver that is kept waiting by other work finds several frames at each wake-up, which no quiet gateway has.
    Without the right to a real-time priority the measurement goes on without one.
    """
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

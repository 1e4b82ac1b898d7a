"""Many datagrams in one system call: recvmmsg(2) through ctypes, with the kernel's time and drop counter of each.

Python's own recvmsg costs three times as much a frame (docs/performance.md).
"""

import ctypes
import os
import socket
import struct
from errno import EAGAIN, EINTR
from typing import Any

BATCH = 64  # datagrams: what a full 1 Mbit/s bus brings in 8 ms
CONTROL_BYTES = 64  # a timestamp of 32 and a drop counter of 24
MSG_DONTWAIT = socket.MSG_DONTWAIT
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; its control message has the same number
SO_RXQ_OVFL = 40  # asm-generic/socket.h; likewise
_CMSG = struct.Struct("@Nii")  # struct cmsghdr: length, level, type (cmsg(3))
_ALIGN = ctypes.sizeof(ctypes.c_size_t)
_TIMESPEC = struct.Struct("@ll")
_UINT32 = struct.Struct("@I")
_STAMP_BYTES = _CMSG.size + _TIMESPEC.size
_STAMP = struct.Struct(f"@N4xill{CONTROL_BYTES - _STAMP_BYTES}x")
NS_PER_S = 1_000_000_000


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_HEADER_BYTES = ctypes.sizeof(_Mmsghdr)
_BETWEEN = _Mmsghdr.length.offset - _Msghdr.control_length.offset - _ALIGN
_LENGTHS = struct.Struct(
    f"@{_Msghdr.control_length.offset}xN{_BETWEEN}xI{_HEADER_BYTES - _Mmsghdr.length.offset - _UINT32.size}x"
)

Datagram = tuple[tuple[Any, ...], int, int]
"""What the layout found, how many bytes came, and the kernel's CLOCK_REALTIME in ns (0: none)."""


class Receiver:
    """Reads a non-blocking datagram socket in batches of up to 64; `dropped` counts what the kernel had no room for.

    Args:
        source: the socket.
        layout: takes each datagram apart, as far as it is filled; what is longer is cut off.
    """

    def __init__(self, source: socket.socket, layout: struct.Struct) -> None:
        self._socket = source
        self._layout = layout
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._data = bytearray(layout.size * BATCH)
        self._control = bytearray(CONTROL_BYTES * BATCH)
        self._lengths = bytearray(_HEADER_BYTES * BATCH)
        self._headers = (_Mmsghdr * BATCH).from_buffer(self._lengths)
        self._vectors = (_Iovec * BATCH)()
        data, control = (ctypes.addressof(ctypes.c_char.from_buffer(b)) for b in (self._data, self._control))
        for i in range(BATCH):
            self._vectors[i] = _Iovec(data + i * layout.size, layout.size)
            self._headers[i].header.iov = ctypes.pointer(self._vectors[i])
            self._headers[i].header.iov_length = 1
            self._headers[i].header.control = control + i * CONTROL_BYTES
            self._headers[i].header.control_length = CONTROL_BYTES
        self._fresh = bytes(self._lengths)
        self.dropped = 0

    def receive(self) -> list[Datagram]:
        """Return what waits in the socket, all of it; raises OSError when the interface is gone."""
        received: list[Datagram] = []
        descriptor = self._socket.fileno()
        while True:
            self._lengths[:] = self._fresh  # the kernel overwrites the control lengths with what it used
            count = self._recvmmsg(descriptor, self._headers, BATCH, MSG_DONTWAIT, None)
            if count > 0:
                self._unpack(count, received)
            if 0 <= count < BATCH:
                return received
            if count < 0:
                code = ctypes.get_errno()
                if code == EAGAIN:
                    return received
                if code != EINTR:
                    raise OSError(code, os.strerror(code))

    def _unpack(self, count: int, received: list[Datagram]) -> None:
        fields = self._layout.iter_unpack(memoryview(self._data)[: count * self._layout.size])
        stamps = _STAMP.iter_unpack(memoryview(self._control)[: count * CONTROL_BYTES])
        lengths = _LENGTHS.iter_unpack(memoryview(self._lengths)[: count * _HEADER_BYTES])
        for i, (found, (_, kind, seconds, nanoseconds), (control_length, length)) in enumerate(
            zip(fields, stamps, lengths, strict=True)
        ):
            if control_length == _STAMP_BYTES and kind == SO_TIMESTAMPNS:
                real_ns = seconds * NS_PER_S + nanoseconds
            else:
                real_ns = self._read_control(i * CONTROL_BYTES, control_length)
            received.append((found, length, real_ns))

    def _read_control(self, start: int, length: int) -> int:
        control, real_ns, end = self._control, 0, start + length
        while start + _CMSG.size <= end:
            size, _, kind = _CMSG.unpack_from(control, start)
            if size < _CMSG.size:
                break
            body = start + _CMSG.size
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(control, body)
                real_ns = seconds * NS_PER_S + nanoseconds
            elif kind == SO_RXQ_OVFL:
                (self.dropped,) = _UINT32.unpack_from(control, body)
            start += (size + _ALIGN - 1) // _ALIGN * _ALIGN
        return real_ns


def ask_for_times(source: socket.socket) -> None:
    """Make the kernel stamp each datagram and count those it drops; raises OSError."""
    source.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    source.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)

"""Link to a kernel CAN interface: a raw socket that only the mapped ids pass. Sends what a guard permits, or nothing.

The kernel filters (CAN_RAW_FILTER), stamps and counts drops; https://docs.kernel.org/networking/can.html
"""

import socket
import struct
from collections.abc import Collection
from errno import EAGAIN, ENETDOWN, ENOBUFS, ENODEV

from packseal.core.errors import LinkError
from packseal.core.sample import Frame, Instant
from packseal_drivers.guard import Guard, Permitted
from packseal_drivers.receiving import Receiver, ask_for_times

RECEIVE_BUFFER_BYTES = 1 << 20  # 2 s of a full 1 Mbit/s bus at 800 B per frame in the kernel's count
EFF_FLAG, RTR_FLAG, ERR_FLAG = 0x8000_0000, 0x4000_0000, 0x2000_0000  # linux/can.h
EFF_MASK, SFF_MASK = 0x1FFF_FFFF, 0x7FF  # likewise
CAN_RAW_ERR_FILTER = 2  # linux/can/raw.h; Python has no name for it everywhere
ALL_ERRORS = 0x1FFF_FFFF  # CAN_ERR_MASK, linux/can.h
MAX_FILTERS = 512  # CAN_RAW_FILTER_MAX, linux/can/raw.h
FRAME = struct.Struct("=IB3x64s")
CLASSIC = struct.Struct("=IB3x8s")
SIZES = (16, 72)  # of struct can_frame and struct canfd_frame
HEAD_BYTES = 8  # of both, before the data


class SocketCanLink:
    """One kernel interface, opened anew after every failure. `dropped` counts frames the kernel had no room for.

    Args:
        channel: the interface's name.
        addresses: all that is let in.
        guard: whose frames may be sent; None: nothing ever is.
        masks: pairs of address and mask, as CAN_RAW_FILTER has them, that let further frames in.
    """

    def __init__(
        self,
        channel: str,
        addresses: Collection[int],
        guard: Guard | None = None,
        masks: Collection[tuple[int, int]] = (),
    ) -> None:
        self._channel = channel
        self._addresses = addresses
        self._masks = masks
        self._guard = guard
        self._socket: socket.socket | None = None
        self._receiver: Receiver | None = None
        self._dropped_before = 0
        self.dropped = 0

    def open(self) -> None:
        """Bind to the interface; raises LinkError."""
        if not hasattr(socket, "AF_CAN"):
            raise LinkError("this Python was built without SocketCAN: use the system's own Python")
        try:
            made = socket.socket(socket.AF_CAN, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.CAN_RAW)
        except OSError as error:
            raise LinkError(f"this kernel has no SocketCAN ({error.strerror}): load the module can_raw") from error
        try:
            self._set_up(made)
            made.bind((self._channel,))
        except OSError as error:
            made.close()
            raise LinkError(f"CAN interface {self._channel}: {error.strerror}; is it there and up?") from error
        self.attach(made)

    def attach(self, source: socket.socket) -> None:
        """Read from `source`, a non-blocking socket of can_frame and canfd_frame datagrams, from now on."""
        try:
            ask_for_times(source)
        except OSError as error:
            raise LinkError(f"CAN interface {self._channel}: {error.strerror}") from error
        self._socket, self._receiver = source, Receiver(source, FRAME)
        self._dropped_before = self.dropped

    def _set_up(self, made: socket.socket) -> None:
        made.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        made.setsockopt(socket.SOL_CAN_RAW, CAN_RAW_ERR_FILTER, ALL_ERRORS)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if len(self._addresses) + len(self._masks) <= MAX_FILTERS:
            made.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, self._filters())

    def _filters(self) -> bytes:
        # A data frame of exactly this id and kind: the flags are part of what is compared.
        pairs = [(a, EFF_FLAG | RTR_FLAG | (EFF_MASK if a & EFF_FLAG else SFF_MASK)) for a in sorted(self._addresses)]
        pairs += self._masks
        return b"".join(struct.pack("=II", address, mask) for address, mask in pairs)

    def drain(self, now: Instant) -> list[Frame]:
        """Return what has come, in the order of its coming; raises LinkError when the interface is gone.

        The kernel's wall time becomes monotonic time by `now`, never later than it: a clock that is stepped between
        the two costs accuracy of a few milliseconds, not order.
        """
        if self._receiver is None:
            raise LinkError(f"CAN interface {self._channel} is not open")
        shift_ns, now_ns = now.mono_ns - now.wall_ns, now.mono_ns
        try:
            received = self._receiver.receive()
        except OSError as error:
            raise self._failed(error) from error
        frames: list[Frame] = []
        latest_ns = 0
        for (address, length, data), size, real_ns in received:
            if size not in SIZES or length > size - HEAD_BYTES:
                continue
            mono_ns = real_ns + shift_ns if real_ns else now_ns
            if mono_ns > latest_ns:
                latest_ns = min(mono_ns, now_ns)
            frames.append(Frame(address, data[:length], latest_ns))
        self.dropped = self._dropped_before + self._receiver.dropped
        return frames

    def send(self, permitted: Permitted) -> bool:
        """Send without waiting; False where the kernel has no room, as when nobody acknowledges what was sent before.

        Raises:
            RefusedRequest: the guard has not permitted it.
            LinkError: there is no guard, or the interface is gone.
        """
        if self._guard is None:
            raise LinkError(f"CAN interface {self._channel} is only listened to: the profile asks nothing")
        address, data = self._guard.check(permitted)
        if self._socket is None:
            raise LinkError(f"CAN interface {self._channel} is not open")
        try:
            self._socket.send(CLASSIC.pack(address, len(data), data))
        except OSError as error:
            if error.errno in (EAGAIN, ENOBUFS):
                return False
            raise self._failed(error) from error
        return True

    def _failed(self, error: OSError) -> LinkError:
        what = "is down" if error.errno == ENETDOWN else "is gone" if error.errno == ENODEV else error.strerror
        return LinkError(f"CAN interface {self._channel} {what}")

    def close(self) -> None:
        """Close the socket; may be called twice."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._receiver = None

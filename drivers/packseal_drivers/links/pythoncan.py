"""Link to any interface that python-can knows. Sends what a guard permits; without one it only listens, if it can."""

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from packseal.core.errors import ConfigError, LinkError
from packseal.core.sample import Frame, Instant
from packseal_drivers.guard import Guard, Permitted

if TYPE_CHECKING:
    import can

EFF_FLAG, ERR_FLAG = 0x8000_0000, 0x2000_0000  # linux/can.h
EFF_MASK = 0x1FFF_FFFF
MAX_FRAMES = 4096  # of one drain; more wait for the next
MULTICAST = "udp_multicast"
SEND_S = 0.02
"""So long an adapter may take for one frame; the agent stands still meanwhile."""

LISTEN_ONLY: Mapping[str, Mapping[str, Any]] = {
    "pcan": {"state": "PASSIVE"},
    "systec": {"state": "PASSIVE"},
    "slcan": {"listen_only": True},
    "vector": {"listen_only": True},
    "nixnet": {"listen_only": True},
    "kvaser": {"driver_mode": False},
    "seeedstudio": {"operation_mode": "silent"},
}
"""How python-can 4.6 asks an adapter not even to acknowledge, by interface (its modules under can/interfaces)."""


class PythonCanLink:
    """One python-can bus, opened anew after every failure.

    Args:
        interface: python-can's name of it.
        channel: as python-can wants it.
        options: passed on to python-can.
        guard: whose frames may be sent; None: nothing ever is, and the adapter is asked not even to acknowledge.

    There are no filters: they are mostly python-can's own, and would keep error frames from us, too.

    Raises:
        ConfigError: frames would leave this machine.
    """

    dropped = 0

    def __init__(
        self, interface: str, channel: str | int, options: Mapping[str, Any], guard: Guard | None = None
    ) -> None:
        quiet = LISTEN_ONLY.get(interface, {}) if guard is None else {}
        self._options = dict(quiet) | dict(options)
        self._guard = guard
        if interface == MULTICAST:
            _check_multicast(channel, self._options)
            self._options["hop_limit"] = 0  # ip(7): the frames never leave this machine
        self._interface = interface
        self._channel = channel
        self._bus: can.BusABC | None = None

    def open(self) -> None:
        """Open the bus; raises LinkError."""
        import can  # noqa: PLC0415 - 4 MB that a kernel interface does without

        try:
            self._bus = can.Bus(interface=self._interface, channel=self._channel, **self._resolved())
        except (can.CanError, OSError, ValueError, TypeError, ImportError, NotImplementedError) as error:
            raise LinkError(
                f"python-can cannot open {self._interface} {self._channel}: {_first_line(error)}"
            ) from error

    def drain(self, now: Instant) -> list[Frame]:
        """Return what has come; raises LinkError when the adapter is gone."""
        return [_frame(message, now.mono_ns) for message in self.messages() if not message.is_remote_frame]

    def messages(self) -> "list[can.Message]":
        """Return what has come as python-can has it, remote frames as well; raises LinkError as `drain` does."""
        import can  # noqa: PLC0415

        bus = self._bus
        if bus is None:
            raise LinkError(f"{self._interface} {self._channel} is not open")
        found: list[can.Message] = []
        try:
            while len(found) < MAX_FRAMES and (message := bus.recv(timeout=0)) is not None:
                found.append(message)
        except (can.CanError, OSError, ValueError) as error:
            raise LinkError(f"{self._interface} {self._channel} failed: {_first_line(error)}") from error
        return found

    def send(self, permitted: Permitted) -> bool:
        """Send; False where the adapter could not, as when nobody acknowledges what was sent before.

        Raises:
            RefusedRequest: the guard has not permitted it.
            LinkError: there is no guard, or the adapter is gone.
        """
        import can  # noqa: PLC0415

        if self._guard is None:
            raise LinkError(f"{self._interface} {self._channel} is only listened to: the profile asks nothing")
        address, data = self._guard.check(permitted)
        if self._bus is None:
            raise LinkError(f"{self._interface} {self._channel} is not open")
        message = can.Message(
            arbitration_id=address & EFF_MASK, is_extended_id=bool(address & EFF_FLAG), data=data, check=True
        )
        try:
            self._bus.send(message, timeout=SEND_S)
        except can.CanError:
            return False  # whether the adapter is gone is for the next reading to say
        except (OSError, ValueError) as error:
            raise LinkError(f"{self._interface} {self._channel} failed: {_first_line(error)}") from error
        return True

    def close(self) -> None:
        """Close the bus; may be called twice."""
        if self._bus is not None:
            self._bus.shutdown()
        self._bus = None

    def _resolved(self) -> dict[str, Any]:
        import can  # noqa: PLC0415

        state = self._options.get("state")
        return self._options | ({"state": can.BusState[state]} if isinstance(state, str) else {})


def _frame(message: "can.Message", mono_ns: int) -> Frame:
    address = message.arbitration_id | (EFF_FLAG if message.is_extended_id else 0)
    if message.is_error_frame:
        address = message.arbitration_id & EFF_MASK | ERR_FLAG
    return Frame(address, bytes(message.data), mono_ns)


def _check_multicast(channel: str | int, options: Mapping[str, Any]) -> None:
    if options.get("hop_limit", 0) != 0:
        raise ConfigError("udp_multicast: hop_limit must be 0, or frames leave this machine; leave it out")
    try:
        group = ipaddress.ip_address(str(channel))
    except ValueError:
        group = None
    if group is None or not group.is_multicast:
        raise ConfigError(f"udp_multicast: channel {channel!r} must be a multicast address, such as 239.74.163.2")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""Lines of a Bluetooth profile: [ble] says what is spoken, [[ble.message]] where in its frames the quantities are.

The docstrings are the reference of whoever writes a profile.
"""

from typing import Literal

import msgspec

from packseal_drivers.lines import RequestField


class BleField(RequestField, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[ble.message.field]]: one place in a message, or `count` of them. `at` counts its bytes from 0.

    A message may end before the last of `count` places: fewer cells or sensors are then all there are.
    """

    order: Literal["big", "little"] = "little"


class BleMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[ble.message]]: a part of what the protocol's framer takes out of a frame, such as its cells."""

    name: str
    """As the protocol names the part."""
    field: tuple[BleField, ...]

    @property
    def length(self) -> int:
        """How many bytes all the fields need."""
        return max(f.at + (f.count - 1) * f.stride + f.length for f in self.field)

    def __post_init__(self) -> None:
        if not self.field:
            raise ValueError("at least one [[ble.message.field]] is needed")


class BleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[ble]: what is spoken, and how such a battery is recognised on the air."""

    protocol: str
    """One of those of packseal_drivers/ble/protocols.py: jbd, daly, jk02_24s, jk02_32s, battery_service, aiobmsble."""
    message: tuple[BleMessage, ...]
    names: tuple[str, ...] = ()
    """Beginnings of the name that it advertises, for `packseal probe`; never to refuse a battery."""
    poll_s: float = 1.0
    """Seconds between two rounds of questions."""

    def __post_init__(self) -> None:
        from packseal_drivers.ble.protocols import PROTOCOLS  # noqa: PLC0415 - the agent of a CAN bus needs none

        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}")
        parts = PROTOCOLS[self.protocol].parts
        named = [message.name for message in self.message]
        unknown = [name for name in named if name not in parts]
        if unknown or len(set(named)) != len(named) or not named:
            raise ValueError(f"the names of [[ble.message]] must be some of {', '.join(parts)}, each once")
        if not 0.2 <= self.poll_s <= 600:  # noqa: PLR2004 - the sealer's longest window
            raise ValueError("poll_s must be from 0.2 to 600 seconds")

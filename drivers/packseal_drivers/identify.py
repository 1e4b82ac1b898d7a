"""Identify: [identify] and [[identify.content]] of a profile, which traffic on a CAN bus proves that it is this BMS.

The docstrings are the reference of whoever writes a profile.
"""

import msgspec

MAX_FRAME_BYTES = 64  # CAN FD


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[identify.content]]: bytes that a frame must hold, such as a maker's name; several at one place: any of them."""

    id: int
    """CAN id; 0x8000_0000 added for a 29-bit id."""
    at: int = 0
    """First byte, counted from 0."""
    hex: str = msgspec.field(name="bytes")
    """The bytes in hex, such as "50 59 4C 4F 4E"."""

    def __post_init__(self) -> None:
        try:
            held = bytes.fromhex(self.hex)
        except ValueError:
            held = b""
        if self.at < 0 or not held or self.at + len(held) > MAX_FRAME_BYTES:
            raise ValueError(
                f"bytes must be hex, at must not be negative, and both stay within {MAX_FRAME_BYTES} bytes"
            )

    def is_in(self, data: bytes) -> bool:
        """Whether `data` holds the bytes."""
        return data.startswith(bytes.fromhex(self.hex), self.at)


class Identify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[identify]: which traffic proves that it is this BMS. Used by `packseal probe`, never to refuse a battery."""

    ids: tuple[int, ...]
    """CAN ids that must all be seen; 0x8000_0000 added for a 29-bit id."""
    without: tuple[int, ...] = ()
    """Ids of relatives that must not be seen."""
    content: tuple[Content, ...] = ()
    """What must stand in frames as well, where relatives share the ids."""
    within_s: float = 5.0
    """How long a bus must be listened to before a missing id counts."""

    def __post_init__(self) -> None:
        if not self.ids or set(self.ids) & set(self.without):
            raise ValueError("ids must not be empty, and none of them may stand in without as well")

"""Shape: what a poor network does to packets, and the words of tc-netem(8) for it."""

from typing import Annotated

import msgspec

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0)]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the network does to packets, in each direction."""

    loss_pct: Percent = 0
    delay_ms: Milliseconds = 0
    jitter_ms: Milliseconds = 0
    """How much sooner or later than `delay_ms` a packet may come; packets overtake each other by it."""
    reorder_pct: Percent = 0
    """Of so many packets the delay is left out, so that they overtake all that wait."""
    duplicate_pct: Percent = 0

    def __post_init__(self) -> None:
        if self.jitter_ms > self.delay_ms:
            raise ValueError("jitter_ms must not be more than delay_ms")
        if self.reorder_pct and not self.delay_ms:
            raise ValueError("reorder_pct needs delay_ms: it is the delay that some packets are spared")

    @property
    def netem(self) -> str:
        """The options of tc-netem(8)."""
        words = [f"loss {self.loss_pct:g}%", f"delay {self.delay_ms:g}ms"]
        if self.jitter_ms:
            words.append(f"{self.jitter_ms:g}ms")
        if self.reorder_pct:
            words.append(f"reorder {self.reorder_pct:g}%")
        if self.duplicate_pct:
            words.append(f"duplicate {self.duplicate_pct:g}%")
        return " ".join(words)


CLEAR = Shape()
LOST = Shape(loss_pct=100)

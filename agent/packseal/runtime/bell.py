"""Bell: wakes everyone who waits for new records."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bell:
    """`listeners` return at once and never raise. More may be added while it is in use."""

    listeners: list[Callable[[], None]] = field(default_factory=list)

    def ring(self) -> None:
        """Say that new records are stored. For the event loop's thread."""
        for listener in self.listeners:
            listener()

"""Conduct: how a control unit behaves towards whoever asks it; changed while it runs."""

import enum
from dataclasses import dataclass, field


class Manner(enum.Enum):
    """Whether it answers at all."""

    ANSWERS = "answers"
    SILENT = "silent"  # hears and says nothing, as one without power or behind a gateway that lets nothing through
    ASLEEP = "asleep"  # says nothing until requests have gone on for `wake_s`, and sleeps again when they end


@dataclass(slots=True)
class Conduct:
    """One for all control units of a battery. Times in seconds; response codes are those of ISO 14229-1 annex A."""

    manner: Manner = Manner.ANSWERS
    refusal: int | None = None
    """Every request is declined with this code, such as 0x22 (conditions not correct)."""
    refusals: dict[bytes, int] = field(default_factory=dict)
    """Requests that are declined, each with its own code."""
    pending: int = 0
    """How often it asks for patience (0x78) before it answers."""
    pending_apart_s: float = 0.06
    """Between two of these, and before the answer: longer than P2 (50 ms), so without the promise it is too late."""
    latency_s: float = 0.0
    """From the request to the first frame of the answer."""
    wake_s: float = 0.5
    """How long a sleeping one must be asked before it answers."""
    sleeps_after_s: float = 5.0
    """Without a request for so long, it sleeps again."""

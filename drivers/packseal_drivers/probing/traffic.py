"""Traffic: what was seen of a bus, id by id, in bounded memory."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packseal.core.sample import NS_PER_S, Frame
from packseal_drivers.answers import Answers
from packseal_drivers.identify import Content

ERR_FLAG = 0x2000_0000  # linux/can.h
EXTENDED = 0x8000_0000

MAX_IDS = 2048 + 1024
"""All ids of 11 bits, and more of 29 than any network has devices with messages."""
KEPT_FRAMES = 16
"""Of each id, to be decoded by those profiles whose ids are there."""

# A bus repeats its ids; noise hardly does, or has all of them.
NOISE_IDS = 512
FEW_REPEATS_IDS, FEW_REPEATS = 128, 3


@dataclass(slots=True)
class Seen:
    """What was seen of one id. `changing` are the bytes, counted from 0, that were not always the same."""

    first_ns: int
    last_ns: int
    frames: int = 0
    lengths: set[int] = field(default_factory=set)
    changing: set[int] = field(default_factory=set)
    kept: list[Frame] = field(default_factory=list)
    latest: bytes = b""

    def add(self, frame: Frame) -> None:
        """Account for a frame of this id."""
        data = frame.data
        if self.frames and data != self.latest:
            self.changing.update(i for i, (old, new) in enumerate(zip(self.latest, data, strict=False)) if old != new)
        self.latest, self.last_ns = data, frame.mono_ns
        self.lengths.add(len(data))
        self.frames += 1
        if len(self.kept) < KEPT_FRAMES:
            self.kept.append(frame)

    @property
    def rate_hz(self) -> float | None:
        """Frames per second; None after a single one."""
        span_ns = self.last_ns - self.first_ns
        return (self.frames - 1) * NS_PER_S / span_ns if span_ns else None


class Traffic:
    """Takes frames in the order of their times.

    Args:
        answers: what finds the answers and parameter groups of a profile, by the profile's path.
        contents: what is looked for in frames.
    """

    def __init__(self, answers: Mapping[Path, Answers] | None = None, contents: Collection[Content] = ()) -> None:
        self.ids: dict[int, Seen] = {}
        self.frames = 0
        self.error_frames = 0
        self.left_out = 0
        """Frames of ids beyond MAX_IDS."""
        self.met: set[Content] = set()
        self.answered: dict[Path, dict[int, list[Frame]]] = {path: {} for path in answers or {}}
        """By profile and address, as its decoders know it, the first whole answers or groups."""
        self._answers = dict(answers or {})
        self._contents: dict[int, list[Content]] = {}
        for content in contents:
            self._contents.setdefault(content.id, []).append(content)
        self._first_ns: int | None = None
        self._last_ns = 0

    def feed(self, frames: Iterable[Frame]) -> None:
        """Account for frames."""
        for frame in frames:
            self._last_ns = frame.mono_ns
            if self._first_ns is None:
                self._first_ns = frame.mono_ns
            if frame.address & ERR_FLAG:
                self.error_frames += 1
                continue
            self.frames += 1
            self._count(frame)

    def _count(self, frame: Frame) -> None:
        address = frame.address
        seen = self.ids.get(address)
        if seen is None:
            if len(self.ids) >= MAX_IDS:
                self.left_out += 1
                return
            seen = self.ids[address] = Seen(frame.mono_ns, frame.mono_ns)
        seen.add(frame)
        for path, answers in self._answers.items():
            if address in answers.addresses:
                for found in answers.feed(frame):
                    kept = self.answered[path].setdefault(found.address, [])
                    if len(kept) < KEPT_FRAMES:
                        kept.append(found)
        for content in self._contents.get(address, ()):
            if content.is_in(frame.data):
                self.met.add(content)

    @property
    def span_s(self) -> float:
        """From the first frame to the last one."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / NS_PER_S

    @property
    def is_noise(self) -> bool:
        """Whether its ids are more, or come again less often, than those of any bus."""
        count = len(self.ids)
        return count >= NOISE_IDS or (count >= FEW_REPEATS_IDS and self.frames < FEW_REPEATS * count)

"""Pacing: how long a frame holds the bus, and whose frame is next."""

from collections import deque
from collections.abc import Iterable

from packseal_hil.rig.protocols import CanFrame

EFF_FLAG, EFF_MASK = 0x8000_0000, 0x1FFF_FFFF  # linux/can.h
STUFFED_STANDARD, STUFFED_EXTENDED, UNSTUFFED = 34, 54, 13
"""Bits besides the data that are subject to stuffing, and those that are not, interframe space included."""
EFF_ORDER = 1 << 18
"""A standard id is compared with the first 11 of 29 bits."""


def bits(frame: CanFrame) -> int:
    """Return the most bits that a classic frame can take (Davis, Burns, Bril, Lukkien 2007, equation 1)."""
    stuffed = (STUFFED_EXTENDED if frame.address & EFF_FLAG else STUFFED_STANDARD) + 8 * len(frame.data)
    return stuffed + UNSTUFFED + (stuffed - 1) // 4


def rank(frame: CanFrame) -> int:
    """Return its rank in arbitration: the least wins, and of equal first bits the one with 11 bits."""
    if frame.address & EFF_FLAG:
        return (frame.address & EFF_MASK) * 2 + 1
    return frame.address * EFF_ORDER * 2


class Arbitration:
    """Nodes with a queue each; the first frames compete by their ids, as on a bus."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[CanFrame]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, node: str, frames: Iterable[CanFrame]) -> None:
        """Queue frames behind those that the node has yet to send."""
        self._queues.setdefault(node, deque()).extend(frames)

    def pop(self) -> CanFrame | None:
        """Return the frame that wins, and take it out."""
        waiting = [queue for queue in self._queues.values() if queue]
        return min(waiting, key=lambda queue: rank(queue[0])).popleft() if waiting else None

    def clear(self) -> None:
        """Forget all frames."""
        self._queues.clear()

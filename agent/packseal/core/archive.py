"""A file of records: their bytes one after the other (a CBOR sequence, RFC 8742), found again after damage.

Only the lengths are looked at here; whether a piece is a record says `record.verify`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from packseal.core.record import MAX_RECORD_BYTES

START = b"\xd2\x84"  # tag 18, array of four: RFC 9052 §4.2
EMPTY_MAP = b"\xa0"
_BYTE_STRING = 2  # major type, RFC 8949 §3.1
_LENGTH_BYTES = {24: 1, 25: 2, 26: 4}  # RFC 8949 §3


class Content(Protocol):
    """Bytes, or a file mapped into memory."""

    def __len__(self) -> int:
        """Return the number of bytes."""

    def __getitem__(self, part: slice) -> bytes:
        """Return some of the bytes."""

    def find(self, sub: bytes, start: int) -> int:
        """Return where `sub` next begins, -1 for nowhere."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes from `start` on: those of one record, or damaged ones up to where the next record can begin."""

    start: int
    raw: bytes
    damaged: bool


def pieces(content: Content) -> Iterator[Piece]:
    """Yield the records of `content` and the damaged stretches between them, which are cut at a record's limit."""
    at = 0
    while at < len(content):
        end = _end(content, at)
        if end is not None:
            yield Piece(at, content[at:end], damaged=False)
        else:
            end = _next(content, at + 1)
            yield Piece(at, content[at : min(end, at + MAX_RECORD_BYTES)], damaged=True)
        at = end


def _next(content: Content, at: int) -> int:
    while (at := content.find(START, at)) >= 0:
        if _end(content, at) is not None:
            return at
        at += 1
    return len(content)


def _end(content: Content, start: int) -> int | None:
    """Return where the record that begins at `start` ends; None when its lengths do not fit together."""
    if content[start : start + len(START)] != START:
        return None
    at = _end_of_bytes(content, start + len(START))
    if at is None or content[at : at + 1] != EMPTY_MAP:
        return None
    at += 1
    for _ in ("payload", "signature"):
        at = _end_of_bytes(content, at)
        if at is None:
            return None
    return at


def _end_of_bytes(content: Content, at: int) -> int | None:
    length = length_at(content, at)
    return None if length is None or at + length > len(content) else at + length


def length_at(content: Content, at: int) -> int | None:
    """Return how long the byte string that begins at `at` is with its head; None when none begins there."""
    start, head = at, content[at : at + 1]
    if not head or head[0] >> 5 != _BYTE_STRING:
        return None
    at, length = at + 1, head[0] & 0x1F
    if length in _LENGTH_BYTES:
        size = _LENGTH_BYTES[length]
        at, length = at + size, int.from_bytes(content[at : at + size], "big")
    elif length > 23:  # noqa: PLR2004 - RFC 8949 §3, up to here the number itself
        return None
    return at + length - start

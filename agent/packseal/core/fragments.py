"""Records in what is left of a SQLite file: found by their first bytes and put together over overflow pages.

A row of the journal lies in one cell of a leaf page; what does not fit goes on in overflow pages, each of which begins
with the number of the next (https://sqlite.org/fileformat2.html §1.6). How much of a row lies in its leaf follows from
its own length, so that neither the cell's head nor the page's needs to be sound. What comes out is a candidate:
only its signature says that it is a record.
"""

from collections.abc import Callable, Iterator

from packseal.core.archive import EMPTY_MAP, START, Content, length_at
from packseal.core.record import MAX_RECORD_BYTES

NEXT_BYTES = 4
_KIND_BYTES = (1, 0)  # the code 1 has a serial type of its own and takes none (§2.1)
_WALL_BYTES = (6, 4, 3, 2, 1, 0, 8)  # of now 6: integers of 5 bytes do not exist
_HASH_BYTES = 32
_HEADS = 5  # the header's own length, and the serial types of id, kind, wall_ms and hash, a byte each
_SIGNATURE = b"\x58\x40"  # a byte string of 64

PageOf = Callable[[int], bytes]
"""Gives a page by its number, from 1; empty when there is none."""


def search(page: bytes, page_of: PageOf, offer: Callable[[bytes], bool]) -> None:
    """Offer whatever may be a record that begins in `page`.

    Args:
        page: one page of the file.
        page_of: the others.
        offer: called with each candidate; returns whether it was a record, so that no other reading of it is tried.
    """
    at = 0
    while (at := page.find(START, at)) >= 0:
        any(offer(candidate) for candidate in _readings(page, at, page_of))
        at += 1


def search_whole(content: Content, page_size: int, offer: Callable[[bytes], bool]) -> None:
    """Offer whatever may be a record in one piece over the edge of a page: where bytes before it went missing."""
    at = 0
    while (at := content.find(START, at)) >= 0:
        length = _length(content, at)
        if length is not None and at // page_size != (at + length - 1) // page_size:
            offer(content[at : at + length])
        at += 1


def _readings(page: bytes, at: int, page_of: PageOf) -> Iterator[bytes]:
    length = _length(page, at)
    if length is None:
        return
    if at + length <= len(page):
        yield page[at : at + length]
    seen = set()
    for kind in _KIND_BYTES:
        for wall in _WALL_BYTES:
            before = _HEADS + _varint_bytes(2 * length + 12) + kind + wall + _HASH_BYTES
            local = _local(before + length, len(page)) - before
            if local in seen or not 0 < local < length or at + local + NEXT_BYTES > len(page):
                continue
            seen.add(local)
            yield from _followed(page, at, local, length, page_of)


def _followed(page: bytes, at: int, local: int, length: int, page_of: PageOf) -> Iterator[bytes]:
    """Yield the record whose first `local` bytes lie at `at`, over the chain of pages and over pages side by side."""
    first = int.from_bytes(page[at + local : at + local + NEXT_BYTES], "big")
    for in_order in (False, True):
        parts, rest, number = [page[at : at + local]], length - local, first
        while rest > 0 and (more := page_of(number)):
            parts.append(more[NEXT_BYTES : NEXT_BYTES + rest])
            rest -= len(parts[-1])
            number = number + 1 if in_order else int.from_bytes(more[:NEXT_BYTES], "big")
        if rest == 0:
            yield b"".join(parts)


def _length(page: Content, at: int) -> int | None:
    """Return how long the record that begins here is by its own heads, as far as these lie in this page."""
    header = length_at(page, at + len(START))
    if header is None:
        return None
    body = at + len(START) + header + len(EMPTY_MAP)
    payload = length_at(page, body) if page[body - 1 : body] == EMPTY_MAP else None
    if payload is None:
        return None
    length = body + payload + len(_SIGNATURE) + 64 - at
    return length if length <= MAX_RECORD_BYTES else None


def _local(payload: int, usable: int) -> int:
    """Return how many bytes of a payload lie in its leaf page: §1.6, "Table B-Tree Leaf Cell"."""
    if payload <= usable - 35:
        return payload
    least = (usable - 12) * 32 // 255 - 23
    most = least + (payload - least) % (usable - 4)
    return most if most <= usable - 35 else least


def _varint_bytes(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))

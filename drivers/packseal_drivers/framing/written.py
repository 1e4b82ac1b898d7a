"""Answers as people write them down: payloads, ISO-TP frames, or what an ELM327 adapter printed. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from packseal.core.errors import InputError
from packseal_drivers.framing.isotp import Broken, IsoTpFramer, Message

LINE_END = re.compile(r"[\r\n,;>]+")
NUMBERED = re.compile(r"([0-9A-F]):((?:[0-9A-F]{2})+)")
"""A line of an answer in parts as an ELM327 prints it with its own formatting: number, colon, bytes."""

HEX = re.compile(r"[0-9A-F]+")
ID_DIGITS, LONG_ID_DIGITS, BYTE_DIGITS = 3, 8, 2
CLASSIC_BYTES = 8
FIRST_SERVICE = 0x40
"""Answers begin with a service plus 0x40 (ISO 14229-1) or 7F; the first byte of an ISO-TP frame is below."""

SAID_BY_ADAPTERS = ("NO DATA", "CAN ERROR", "BUS INIT", "UNABLE TO CONNECT", "BUFFER FULL", "STOPPED", "BUS BUSY", "?")
SEARCHING = re.compile(r"SEARCHING\.*|\bOK\b|0X")
MAX_CHARACTERS = 1 << 17
"""Ten times what the longest ISO-TP message takes with an id before every frame."""


class _Part(NamedTuple):
    """Bytes that stood together, and the id before them."""

    can_id: int | None
    data: bytes


def payloads(text: str, long_ids: Iterable[int] = ()) -> list[bytes]:
    """Return the answers in `text`, each from its service byte on.

    Payloads, classic CAN frames with or without an id before them (as one word, as bytes with spaces, or as candump
    has it), or an ELM327's numbered lines; separated by line ends, commas or spaces. `long_ids` are the 29-bit ids that
    may stand before frames.

    Raises:
        InputError: there is no answer in it, or one breaks off.
    """
    words = SEARCHING.sub(" ", text[:MAX_CHARACTERS].upper())
    for said in SAID_BY_ADAPTERS:
        if said in words:
            raise InputError(f"{said} is what an adapter says when nothing answered: ask again with the ignition on")
    lines = [line.strip() for line in LINE_END.split(words) if line.strip()]
    numbered = [match for line in lines if (match := NUMBERED.fullmatch(re.sub(r"\s", "", line)))]
    if numbered:
        return [_put_in_order(lines, numbered)]
    parts = [part for line in lines for part in _parts(line, frozenset(long_ids))]
    found = list(_whole(parts))
    if not found:
        raise InputError("there is no answer in it: give the bytes of one in hexadecimal")
    return found


def _put_in_order(lines: Sequence[str], numbered: Sequence[re.Match[str]]) -> bytes:
    data = b""
    for number, match in enumerate(numbered):
        if int(match[1], 16) != number % 16:
            raise InputError(f"line {number % 16:X}: of the answer is missing or out of order")
        data += bytes.fromhex(match[2])
    lengths = [int(line, 16) for line in lines if len(line) == ID_DIGITS and HEX.fullmatch(line)]
    if lengths and len(data) < lengths[0]:
        raise InputError(f"the answer breaks off: {len(data)} of {lengths[0]} bytes are there")
    return data[: lengths[0]] if lengths else data


def _parts(line: str, long_ids: frozenset[int]) -> Iterator[_Part]:
    """Yield what stands together in a line: bytes apart belong together, and an id or a longer word begins anew."""
    can_id: int | None = None
    data = b""
    for word in line.replace("#", " ").replace(":", " ").split():
        if not HEX.fullmatch(word):
            raise InputError(f"{word[:20]!r} is not hexadecimal")
        begins_with_id = len(word) % 2 == 1 or (len(word) >= LONG_ID_DIGITS and int(word[:8], 16) in long_ids)
        if begins_with_id or (len(word) > BYTE_DIGITS and data):
            yield from _split(can_id, data, long_ids)
            can_id, data = None, b""
        if begins_with_id:
            digits = ID_DIGITS if len(word) % 2 else LONG_ID_DIGITS
            if len(word) < digits:
                raise InputError(f"{word} is half a byte: two digits make one")
            can_id, word = int(word[:digits], 16), word[digits:]  # noqa: PLW2901 - the rest of it
        data += bytes.fromhex(word)
    yield from _split(can_id, data, long_ids)


def _split(can_id: int | None, data: bytes, long_ids: frozenset[int]) -> Iterator[_Part]:
    """Yield the frames in bytes that were written one behind the other."""
    if can_id is None and int.from_bytes(data[:4], "big") in long_ids:
        can_id, data = int.from_bytes(data[:4], "big"), data[4:]
    if not data:
        return
    size = CLASSIC_BYTES if data[0] < FIRST_SERVICE else len(data)
    for start in range(0, len(data), size):
        yield _Part(can_id, data[start : start + size])


def _whole(parts: Iterable[_Part]) -> Iterator[bytes]:
    framers: dict[int | None, IsoTpFramer] = {}
    for can_id, data in parts:
        if data[0] >= FIRST_SERVICE:
            yield data
            continue
        framer = framers.setdefault(can_id, IsoTpFramer())
        for event in framer.feed(data, 0):
            if isinstance(event, Broken):
                where = "" if can_id is None else f"{can_id:X} "
                raise InputError(f"frame {where}{data.hex(' ').upper()} does not fit ({event.fault.value})")
            if isinstance(event, Message):
                yield event.payload
    if any(framer.busy for framer in framers.values()):
        raise InputError("the answer breaks off: not all frames of it are there")

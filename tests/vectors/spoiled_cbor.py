"""CBOR as a careless or hostile writer would make it: any order, any form, any type."""

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Raw:
    """Bytes that stand as they are."""

    content: bytes


@dataclass(frozen=True)
class Pairs:
    """A map in this order, with whatever stands twice."""

    items: tuple[tuple[object, object], ...]


def loose(value: object) -> bytes:
    """`value` in the shortest form but in its own order; also floats are as short as they can be."""
    match value:
        case Raw(content):
            form = content
        case bytes():
            form = head(0x40, len(value)) + value
        case str():
            form = head(0x60, len(value.encode())) + value.encode()
        case list():
            form = head(0x80, len(value)) + b"".join(map(loose, value))
        case dict():
            form = loose(Pairs(tuple(value.items())))
        case Pairs(items):
            form = head(0xA0, len(items)) + b"".join(loose(part) for pair in items for part in pair)
        case _:
            form = _number(value)
    return form


def _number(value: object) -> bytes:
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0x00, value) if value >= 0 else head(0x20, -1 - value)
    if isinstance(value, float):
        return b"\xf9" + struct.pack(">e", value)
    raise TypeError(type(value))


def head(major: int, number: int) -> bytes:
    """The first bytes of an item, in their shortest form."""
    if number < 24:
        return bytes([major | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major | info]) + number.to_bytes(size, "big")
    raise ValueError(number)

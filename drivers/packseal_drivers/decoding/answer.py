"""Answers, parameter groups, Bluetooth messages: where in their bytes a profile's channels lie."""

from packseal_drivers.decoding.codes import ANSWERS, GROUPS, MESSAGES
from packseal_drivers.decoding.encodings import WHOLE
from packseal_drivers.decoding.layout import Bits, Field, Group, MessageLayout
from packseal_drivers.lines import PgnField
from packseal_drivers.profile import Asked, ProfileFile

VALID, UNKNOWN = 0xFA, 0xFE
"""SAE J1939-71 §5.1.4: the highest byte of the greatest value, and of the least pattern that says error."""
BYTE = 8


def read(file: ProfileFile) -> tuple[MessageLayout, ...]:
    """Return one layout per request, group and message, at ANSWERS, GROUPS, MESSAGES plus its number.

    Raises:
        ConfigError: an encoding or a sentinel does not fit its field.
    """
    profile = file.profile
    asked = list(enumerate(profile.asked(), len(profile.mapped())))
    grouped = list(enumerate(profile.grouped(), len(profile.mapped()) + len(asked)))
    layouts = []
    for number, request in enumerate(profile.request):
        places = [(slot, place) for slot, place in asked if place.table == number]
        length = max((place.at + place.line.length for _, place in places), default=len(request.expected))
        layouts.append(_layout(file, request.name, ANSWERS + number, places, length))
    for number, pgn in enumerate(profile.pgn):
        places = [(slot, place) for slot, place in grouped if place.table == number]
        layouts.append(_layout(file, pgn.name, GROUPS + number, places, pgn.length))
    notified = list(enumerate(profile.notified(), len(profile.mapped()) + len(asked) + len(grouped)))
    for number, message in enumerate(() if profile.ble is None else profile.ble.message):
        places = [(slot, place) for slot, place in notified if place.table == number]
        layouts.append(_layout(file, message.name, MESSAGES + number, places, message.length))
    return tuple(layouts)


def indicators(bits: int) -> tuple[int, int] | None:
    """Return the greatest value and the least pattern that says error or not available; None for a single bit."""
    if bits >= BYTE:
        return (VALID + 1 << bits - BYTE) - 1, UNKNOWN << bits - BYTE
    last = (1 << bits) - 1
    return (last - 2, last - 1) if bits > 1 else None


def _layout(file: ProfileFile, name: str, address: int, places: list[tuple[int, Asked]], length: int) -> MessageLayout:
    fields = tuple(_field(file, slot, place, length) for slot, place in places)
    return MessageLayout(name, address, length, Group(fields, ()))


def _field(file: ProfileFile, slot: int, place: Asked, length: int) -> Field:
    line = place.line
    if line.encoding is not None and (line.floating or line.width % WHOLE.get(line.encoding, 1)):
        raise file.wrong_field(place, "encoding", f"a field of {line.width} bits cannot be {line.encoding}")
    big_endian = line.order == "big"
    shift = 8 * (length - place.at - line.length if big_endian else place.at) + line.shift
    signed = line.signed and line.encoding is None
    bits = Bits(shift, line.width, big_endian, signed, line.floating, 1, 0)
    for pattern in line.not_available:
        if not -(1 << (bits.length - 1)) <= pattern <= bits.mask:
            raise file.wrong_field(place, "not_available", f"{pattern} does not fit into {bits.length} bits")
    said = indicators(bits.length) if isinstance(line, PgnField) and line.indicators else None
    greatest, unknown_from = said or (None, None)
    return Field(slot, bits, line, tuple(bits.raw(p) for p in line.not_available), greatest, unknown_from)

"""Answers: where in the bytes of an answer a profile's channels lie."""

from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.decoding.encodings import WHOLE
from packseal_drivers.decoding.layout import Bits, Field, Group, MessageLayout
from packseal_drivers.profile import Asked, ProfileFile


def read(file: ProfileFile) -> tuple[MessageLayout, ...]:
    """Return one layout per request, at ANSWERS plus the request's number; raises ConfigError."""
    first_slot = len(file.profile.mapped())
    asked = list(enumerate(file.profile.asked(), first_slot))
    layouts = []
    for number, request in enumerate(file.profile.request):
        own = [(slot, place) for slot, place in asked if place.request == number]
        length = max((place.at + place.line.length for _, place in own), default=len(request.expected))
        fields = tuple(_field(file, slot, place, length) for slot, place in own)
        layouts.append(MessageLayout(request.name, ANSWERS + number, length, Group(fields, ())))
    return tuple(layouts)


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
    return Field(slot, bits, line, tuple(bits.raw(p) for p in line.not_available))

"""Registers: where a profile's channels lie in a device, and the decoder of one poll's answers. Pure.

All that was read in one poll becomes one frame, which the same sampler and watches take as they take a CAN bus's. Its
data are the places of the map in their order: a byte that says whether the place was read, and its registers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packseal.core.sample import Flaw, Frame
from packseal_drivers import placeholders
from packseal_drivers.decoding import Decoders, Flag
from packseal_drivers.decoding.codes import REGISTERS, SHORT
from packseal_drivers.modbus.lines import Value
from packseal_drivers.modbus.plan import Place, Read
from packseal_drivers.modbus.values import exponent_of, value_of
from packseal_drivers.profile import Profile

FUNCTIONS = {"holding": 3, "input": 4}
NOT_EVEN = ("medfloat16", "enumeration")


@dataclass(frozen=True, slots=True)
class Field:
    """One channel: the slot it fills, the line that says what it is, and where it and its scale factor are.

    Without a place for it the scale factor is `exponent`; None where it ought to be somewhere and is not.
    """

    slot: int
    line: Value
    place: Place
    scale: Place | None = None
    exponent: int | None = 0
    sentinels: tuple[int, ...] = ()


class Image:
    """The registers that were read in one poll."""

    def __init__(self) -> None:
        self._words: dict[tuple[int, int], int] = {}

    def take(self, read: Read, words: Sequence[int]) -> None:
        """Note what a read has brought."""
        for offset, word in enumerate(words[: read.count]):
            self._words[read.function, read.address + offset] = word

    def words(self, place: Place) -> list[int] | None:
        """Return a place's registers; None unless all of them were read."""
        found = [self._words.get((place.function, address)) for address in range(place.address, place.end)]
        whole = [word for word in found if word is not None]
        return whole if len(whole) == place.words else None

    def __len__(self) -> int:
        return len(self._words)


class RegisterMap:
    """Where everything is. Packs what was read into a frame, and decodes such frames."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        wanted = {field.place for field in self.fields} | {field.scale for field in self.fields if field.scale}
        self.places: tuple[Place, ...] = tuple(sorted(wanted))
        self._starts: dict[Place, int] = {}
        start = 0
        for place in self.places:
            self._starts[place] = start
            start += 1 + 2 * place.words
        self._length = start

    def frame(self, image: Image, mono_ns: int) -> Frame | None:
        """Return what was read as one frame; None where nothing of the map was."""
        parts: list[bytes] = []
        any_known = False
        for place in self.places:
            words = image.words(place)
            any_known |= words is not None
            parts.append(bytes(1 + 2 * place.words) if words is None else b"\x01" + _bytes(words))
        return Frame(REGISTERS, b"".join(parts), mono_ns) if any_known else None

    def decode(self, data: bytes, slots: list[Any], flag: Flag) -> int | None:
        """Fill the slots; a `Decode`. A channel that was not read is left alone."""
        if len(data) != self._length:
            return SHORT
        for field in self.fields:
            words = self._words(data, field.place)
            if words is None:
                continue
            value: object = value_of(words, field.line, self._exponent(data, field), field.sentinels)
            if isinstance(value, Flaw):
                value = flag(field.slot, value)
            if isinstance(slots[field.slot], list):
                slots[field.slot].append(value)
            else:
                slots[field.slot] = value
        return None

    def _exponent(self, data: bytes, field: Field) -> int | None:
        if field.scale is None:
            return field.exponent
        words = self._words(data, field.scale)
        return None if words is None else exponent_of(words[0])

    def _words(self, data: bytes, place: Place) -> list[int] | None:
        start = self._starts[place]
        if not data[start]:
            return None
        return [int.from_bytes(data[i : i + 2], "big") for i in range(start + 1, start + 1 + 2 * place.words, 2)]


class Decoding:
    """The decoder of a device whose map is known, or is still to be found out."""

    def __init__(self, found: RegisterMap | None = None) -> None:
        self.map = found or RegisterMap(())

    def decode(self, data: bytes, slots: list[Any], flag: Flag) -> int | None:
        """Decode by the present map."""
        return self.map.decode(data, slots, flag)


def fixed_map(profile: Profile) -> RegisterMap:
    """Return where the [[register]] tables of a profile say that everything is."""
    fields: list[Field] = []
    for line in profile.register:
        function = FUNCTIONS[line.table]
        scale = None if line.scale_address is None else Place(function, line.scale_address, 1)
        for number in range(line.count):
            place = Place(function, line.address + number * line.stride, line.words)
            fields.append(Field(len(fields), line, place, scale))
    return RegisterMap(fields)


def decoders(profile: Profile, decoding: Decoding, firmware: str | None) -> Decoders:
    """Return what the sampler needs: one decoder for all of a poll's registers."""
    constants = placeholders.bands(profile, _steps(profile), firmware)
    return Decoders({REGISTERS: decoding.decode}, profile.channels, profile.averaged, constants=constants)


def _steps(profile: Profile) -> Mapping[int, float]:
    """Return, per slot, the difference between two neighbouring values; 0 where it depends on a scale factor."""
    lines: list[Value] = [line for line in profile.register for _ in range(line.count)]
    lines += [line for line in profile.point for _ in range(line.count)]
    return {slot: _step(line) for slot, line in enumerate(lines)}


def _step(line: Value) -> float:
    scaled = getattr(line, "scale_address", None) is not None or getattr(line, "scale_at", None) is not None
    return 0.0 if line.floating or scaled or line.encoding in NOT_EVEN else abs(line.factor)


def _bytes(words: Sequence[int]) -> bytes:
    return b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words)

"""Source: the Python text of a profile's decoders, one function per CAN id. Pure; the layout in, the text out.

A decoder is `f(d, v, w)`: the frame's data, the slots to fill, and what to call with (slot, flaw) for an unusable
value, which returns what belongs into the slot. It returns None, SHORT or UNKNOWN_MULTIPLEXER and never raises.
A frame has its length by definition, so a short one says nothing. Of a short answer, what it holds whole is taken:
one BMS model answers with more or fewer bytes from firmware to firmware.
The range of a profile is compared in raw integers, so that a good value costs one comparison and one multiplication.
"""

from packseal.core.sample import Flaw
from packseal_drivers.decoding.codes import SHORT, UNKNOWN_MULTIPLEXER
from packseal_drivers.decoding.layout import Bits, Field, Group, MessageLayout, Switch
from packseal_drivers.decoding.physical import good_raws, is_integral, limits

_FLOAT_CODE = {16: "e", 32: "f", 64: "d"}
_PREFACE = (
    "import struct",
    "from packseal_drivers.decoding.encodings import ENCODINGS as E",
    "fb = int.from_bytes",
    "NAN = float('nan')",
    *(f"F{n} = struct.Struct('<{code}').unpack" for n, code in _FLOAT_CODE.items()),
)
_INTEGER_CODE = {8: "B", 16: "H", 32: "I", 64: "Q"}
_WHOLE = {False: " l = fb(d, 'little')", True: " b = fb(d, 'big')"}


def generate(layouts: tuple[MessageLayout, ...]) -> str:
    """Return a module that defines TABLE: address to decoder."""
    lines = list(_PREFACE)
    for layout in layouts:
        lines += _Message(layout).lines()
    lines.append("TABLE = {" + ", ".join(f"{m.address}: f{m.address:X}" for m in layouts) + "}")
    return "\n".join(lines) + "\n"


class _Message:
    """The text of one message's functions; those of multiplexed groups come before the one that calls them."""

    def __init__(self, layout: MessageLayout) -> None:
        self._length = layout.length
        self._root = layout.group
        self._stem = f"f{layout.address:X}"
        self._before: list[str] = []
        self._number = 0

    def lines(self) -> list[str]:
        body = self._group(self._root)
        can_be_short = any(_end(f.bits, 8 * self._length) < self._length for f in self._root.fields)
        when_short = f"{self._stem}_short(d, v, w)" if can_be_short else str(SHORT)
        return [
            *self._before,
            *(self._short() if can_be_short else ()),
            f"def {self._stem}(d, v, w):",
            f" if len(d) != {self._length}:",
            f"  if len(d) < {self._length}: return {when_short}",
            f"  d = d[:{self._length}]",
            *body,
        ]

    def _short(self) -> list[str]:
        """Return the function for a message that ends early: fields by their last byte, as far as it goes.

        What a multiplexer says is left out: which field it would be is known, yet not that the sender meant the same.
        """
        total = 8 * self._length
        ends = {f.slot: _end(f.bits, total) for f in self._root.fields}
        lines = [f"def {self._stem}_short(d, v, w):", " n = len(d)", f" d = d.ljust({self._length}, b'\\0')"]
        lines += [_WHOLE[False], _WHOLE[True]]
        for field in sorted(self._root.fields, key=lambda f: ends[f.slot]):
            lines.append(f" if n < {ends[field.slot]}: return {SHORT}")
            lines += [f" r{field.slot} = {_raw(field.bits, total)}", *_field(field)]
        return [*lines, f" return {SHORT}"]

    def _group(self, group: Group) -> list[str]:
        fields = sorted(group.fields, key=lambda f: f.bits.shift)
        lines: list[str] = []
        unpacked: list[Field] = []
        for big_endian in (False, True):
            aligned = _aligned([f for f in fields if f.bits.big_endian is big_endian], 8 * self._length)
            if len(aligned) > 1:
                lines.append(self._unpack(aligned, big_endian=big_endian))
                unpacked += aligned
        others = [f for f in fields if f not in unpacked]
        orders = {b.big_endian for b in [f.bits for f in others] + [s.bits for s in group.switches]}
        lines += [_WHOLE[order] for order in sorted(orders)]
        for field in others:
            lines += [f" r{field.slot} = {_raw(field.bits, 8 * self._length)}", *_field(field)]
        for field in unpacked:
            lines += _field(field)
        for switch in group.switches:
            lines += self._switch(switch)
        return lines or [" pass"]

    def _unpack(self, fields: list[Field], *, big_endian: bool) -> str:
        """Return the line that reads several aligned fields at once: a third of the time of shifts and masks."""
        name, total = self._name(), 8 * self._length
        at, text, names = 0, ">" if big_endian else "<", []
        for field in reversed(fields) if big_endian else fields:
            start = total - field.bits.shift - field.bits.length if big_endian else field.bits.shift
            code = _INTEGER_CODE[field.bits.length]
            text += f"{(start - at) // 8}x" * (start > at) + (code.lower() if field.bits.signed else code)
            at = start + field.bits.length
            names.append(f"r{field.slot}")
        text += f"{(total - at) // 8}x" * (total > at)
        self._before.append(f"{name} = struct.Struct({text!r}).unpack")
        return f" {', '.join(names)} = {name}(d)"

    def _switch(self, switch: Switch) -> list[str]:
        names: dict[str, str] = {}
        entries: list[str] = []
        for number, group in switch.groups.items():
            body = "\n".join(self._group(group))
            if body not in names:
                names[body] = self._name()
                self._before += [f"def {names[body]}(d, v, w):", body]
            entries.append(f"{number}: {names[body]}")
        table = self._name()
        self._before.append(f"{table} = {{{', '.join(entries)}}}.get")
        selector = _scaled(_raw(switch.bits, 8 * self._length), switch.bits)
        whole = selector if is_integral(switch.bits) else f"int({selector})"
        inner = f" if g(d, v, w): return {UNKNOWN_MULTIPLEXER}"
        return [f" g = {table}({whole})", f" if g is None: return {UNKNOWN_MULTIPLEXER}", inner]

    def _name(self) -> str:
        self._number += 1
        return f"{self._stem}_{self._number}"


def _end(bits: Bits, total: int) -> int:
    """Return how many bytes there must be for the field to be whole."""
    return (total - bits.shift + 7) // 8 if bits.big_endian else (bits.shift + bits.length + 7) // 8


def _aligned(fields: list[Field], total: int) -> list[Field]:
    """Return those, in order of their place, that `struct` can read: whole bytes, and none over another."""
    found: list[Field] = []
    end = 0
    for field in fields:
        bits = field.bits
        whole = bits.length in _INTEGER_CODE and bits.shift % 8 == 0 and total % 8 == 0
        if whole and not bits.is_float and bits.shift >= end:
            found.append(field)
            end = bits.shift + bits.length
    return found


def _field(field: Field) -> list[str]:
    if field.line.encoding is not None or field.bits.is_float:
        return _checked_field(field)
    return _integer_field(field)


def _integer_field(field: Field) -> list[str]:
    raw = f"r{field.slot}"
    least, greatest = field.bits.raw_limits
    low, high = good_raws(field.bits, field.line)
    high = high if field.greatest is None else min(high, field.greatest)
    tests = [] if (low, high) == (least, greatest) else [_between(raw, low, high, field)]
    inside = tuple(s for s in field.sentinels if low <= s <= high)
    tests += [f"{raw} not in {inside}"] if inside else []
    good = _store(field, _value(raw, field))
    if not tests:
        return [f" {good}"]
    bad = _store(field, _flawed(field, str(int(Flaw.OUT_OF_RANGE))))
    return [f" if {' and '.join(tests)}: {good}", f" else: {bad}"]


def _checked_field(field: Field) -> list[str]:
    """Return the lines of a field whose numbers do not rise with its bits: the value itself is compared."""
    low, high = limits(field.line)
    tests = [f"{low!r} <= x <= {high!r}"] + ([f"r{field.slot} not in {field.sentinels}"] if field.sentinels else [])
    why = f"({int(Flaw.OUT_OF_RANGE)} if x == x else {int(Flaw.NOT_A_NUMBER)})"
    return [
        f" x = {_value(_number(field), field)}",
        f" if {' and '.join(tests)}: {_store(field, 'x')}",
        f" else: {_store(field, _flawed(field, why))}",
    ]


def _number(field: Field) -> str:
    raw, length, line = f"r{field.slot}", field.bits.length, field.line
    if line.encoding == "enumeration":
        codes = {int(code): value for code, value in line.codes.items()}
        return f"{codes!r}.get({raw}, NAN)"
    if line.encoding is not None:
        return f"E[{line.encoding!r}]({raw}, {length})"
    return f"F{length}({raw}.to_bytes({length // 8}, 'little'))[0]"


def _between(raw: str, low: int, high: int, field: Field) -> str:
    least, greatest = field.bits.raw_limits
    if low == least:
        return f"{raw} <= {high}"
    return f"{low} <= {raw}" if high == greatest else f"{low} <= {raw} <= {high}"


def _store(field: Field, value: str) -> str:
    slot = f"v[{field.slot}]"
    return f"{slot} = {value}" if field.line.reduce == "last" else f"{slot}.append({value})"


def _flawed(field: Field, otherwise: str) -> str:
    raw = f"r{field.slot}"
    unknown = [f"{raw} in {field.sentinels}"] if field.sentinels else []
    unknown += [f"{raw} >= {field.unknown_from}"] if field.unknown_from is not None else []
    if not unknown:
        return f"w({field.slot}, {otherwise})"
    return f"w({field.slot}, {int(Flaw.NOT_AVAILABLE)} if {' or '.join(unknown)} else {otherwise})"


def _value(raw: str, field: Field) -> str:
    """Return the expression of a float in the quantity's unit, in the very operations that `physical` does."""
    line = field.line
    text = _scaled(raw, field.bits)
    if line.factor != 1 or is_integral(field.bits):
        text = f"({text})*{line.factor!r}" if field.bits.offset else f"{text}*{line.factor!r}"
    return f"{text}+{line.offset!r}" if line.offset else text


def _scaled(raw: str, bits: Bits) -> str:
    text = raw if bits.scale == 1 else f"{raw}*{bits.scale!r}"
    return f"{text}+{bits.offset!r}" if bits.offset else text


def _raw(bits: Bits, total: int) -> str:
    whole = "b" if bits.big_endian else "l"
    shifted = f"{whole} >> {bits.shift}" if bits.shift else whole
    text = f"({shifted})" if bits.shift + bits.length == total else f"({shifted} & {bits.mask})"
    half = 1 << (bits.length - 1)
    return f"(({text} ^ {half}) - {half})" if bits.signed and not bits.is_float else text

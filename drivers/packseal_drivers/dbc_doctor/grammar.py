"""Grammar: single statements of a DBC, read with more patience than the format asks for, and written as it asks.

What says where a signal lies and how it is scaled must be there and readable; range, unit and receivers need not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from packseal_drivers.dbc_doctor.finding import Refused
from packseal_drivers.dbc_doctor.statements import Statement

Find = Callable[[int, str], None]
"""Takes line and what was repaired in it."""

EXTENDED = 0x8000_0000
MAX_STANDARD, MAX_EXTENDED = 0x7FF, 0x1FFF_FFFF
CONTAINER = "VECTOR__INDEPENDENT_SIG_MSG"  # the editors' place for signals that are in no message
MAX_MESSAGE_BYTES = 1785  # SAE J1939-21: the longest message of its transport protocol
MAX_SELECTORS = 1 << 16
"""cantools counts every value of a multiplexer's range in a list."""

_NUMBER = r"[-+]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][-+]?\d{1,4})?"
_MESSAGE = re.compile(
    r"\s*BO_\s+(0[xX][0-9A-Fa-f]{1,8}|\d{1,10})\s+(\w+)\s*:?\s*(\d{1,5})(?:\s+(\w+))?[\s;]*", re.ASCII
)
_SIGNAL = re.compile(
    r"\s*SG_\s+(\w+)(?:\s+(M|m\d{1,10}M?))?\s*:\s*(\d{1,6})\s*\|\s*(\d{1,6})\s*@\s*([01])\s*([+-])"
    rf"\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)(.*)",
    re.ASCII | re.DOTALL,
)
_STRICT = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
_REST = re.compile(
    rf'\s*\[\s*{_STRICT}\s*\|\s*{_STRICT}\s*\]\s*"(?:\\"|[^"])*"\s*\w+(?:\s*,\s*\w+)*[\s;]*', re.ASCII | re.DOTALL
)
_ANOTHER = re.compile(r":\s*\d+\s*\|\s*\d+\s*@")
_VALUES = re.compile(r"\s*VAL_\s+(\d{1,10})\s+(\w+)", re.ASCII)
_TYPE = re.compile(r"\s*SIG_VALTYPE_\s+(\d{1,10})\s+(\w+)\s*:?\s*([0-3])\s*;?\s*", re.ASCII)
_SELECTORS = re.compile(
    r"\s*SG_MUL_VAL_\s+(\d{1,10})\s+(\w+)\s+(\w+)\s+(\d{1,10}\s*-\s*\d{1,10}(?:\s*,\s*\d{1,10}\s*-\s*\d{1,10})*)"
    r"\s*;?\s*",
    re.ASCII,
)
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


@dataclass(frozen=True, slots=True)
class MessageHead:
    """A BO_ line. `id` has EXTENDED set for 29 bits; `written_id` is what the file has."""

    written_id: int
    id: int
    name: str
    length: int

    @property
    def is_container(self) -> bool:
        """Whether it is the editors' place for signals of no message."""
        return self.name == CONTAINER

    @property
    def is_on_a_bus(self) -> bool:
        """Whether a frame can have this id."""
        bits = MAX_EXTENDED if self.id & EXTENDED else MAX_STANDARD
        return not self.is_container and self.id & ~EXTENDED <= bits

    def __str__(self) -> str:
        return f"BO_ {self.id} {self.name}: {self.length} Vector__XXX"


@dataclass(frozen=True, slots=True)
class SignalLine:
    """A SG_ line as it will be loaded."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A statement about a signal or message: its text, with {id} in the id's place; empty where nobody reads it."""

    id: int
    signal: str
    text: str


def message(statement: Statement, find: Find) -> MessageHead:
    """Read a BO_ statement; raises Refused."""
    match = _MESSAGE.fullmatch(statement.text)
    if match is None:
        raise Refused(statement.line, f'not "BO_ id name: length sender": {_shown(statement)}')
    written, name, length, sender = match.groups()
    number = int(written, 0) if written[:2] in ("0x", "0X") else int(written)
    if not written.isdecimal():
        find(statement.line, f"the id of message {name} is written {written}; read as {number}")
    if sender is None:
        find(statement.line, f"message {name} has no sender; none is needed")
    if int(length) > MAX_MESSAGE_BYTES:
        raise Refused(statement.line, f"message {name} cannot have {length} bytes")
    address = number
    if MAX_STANDARD < number <= MAX_EXTENDED:
        address = number | EXTENDED
        find(statement.line, f"the id {number} of message {name} lacks the mark of 29-bit ids; read as one")
    return MessageHead(number, address, name, int(length))


def signal(statement: Statement, find: Find) -> SignalLine | None:
    """Read a SG_ statement; None for one that has no bits. Raises Refused."""
    match = _SIGNAL.fullmatch(statement.text)
    if match is None:
        shown = _shown(statement)
        raise Refused(statement.line, f'not "SG_ name : start|length@order sign (factor,offset)": {shown}')
    name, selector, start, length, order, sign, factor, offset, rest = match.groups()
    if not int(length):
        find(statement.line, f"signal {name} has no bits; left out")
        return None
    if _ANOTHER.search(rest):
        raise Refused(statement.line, f"signal {name} holds another one: each needs a line that begins with SG_")
    if not _REST.fullmatch(rest):
        find(statement.line, f"range, unit or receivers of signal {name} cannot be read; not needed")
    place = f"{int(start)}|{int(length)}@{order}{sign} ({_plain(factor)},{_plain(offset)})"
    return SignalLine(name, f'SG_ {name} {selector or ""}: {place} [0|0] "" Vector__XXX')


def reference(statement: Statement) -> Reference | None:
    """Read a VAL_, SIG_VALTYPE_ or SG_MUL_VAL_; None for one that is about no signal. Raises Refused."""
    text = statement.text
    if statement.keyword == "VAL_":
        match = _VALUES.match(text)
        return Reference(int(match[1]), match[2], "") if match else None
    if statement.keyword == "SIG_VALTYPE_":
        match = _TYPE.fullmatch(text)
        if match is None:
            raise Refused(statement.line, f"says in no readable way which signal is a float: {_shown(statement)}")
        return Reference(int(match[1]), match[2], f"SIG_VALTYPE_ {{id}} {match[2]} : {match[3]};")
    match = _SELECTORS.fullmatch(text)
    if match is None:
        raise Refused(statement.line, f"says in no readable way when a signal is there: {_shown(statement)}")
    pairs = [(int(low), int(high)) for low, high in _RANGE.findall(match[4])]
    if sum(high - low + 1 for low, high in pairs) > MAX_SELECTORS:
        raise Refused(statement.line, f"a multiplexer of more than {MAX_SELECTORS} values is not supported")
    ranges = ", ".join(f"{low}-{high}" for low, high in pairs)
    return Reference(int(match[1]), match[2], f"SG_MUL_VAL_ {{id}} {match[2]} {match[3]} {ranges};")


def long_name(statement: Statement, kind: str, attribute: str) -> Reference | None:
    """Read the BA_ of a name that was too long for its own line; None for any other. Raises Refused."""
    if f'"{attribute}"' not in statement.text:
        return None
    about = r"(\d{1,10})\s+(\w+)" if kind == "SG_" else r"(\d{1,10})()"
    match = re.fullmatch(rf'\s*BA_\s*"{attribute}"\s*{kind}\s+{about}\s*"(\w+)"\s*;?\s*', statement.text, re.ASCII)
    if match is None:
        raise Refused(statement.line, f"gives a long name in no readable way: {_shown(statement)}")
    return Reference(int(match[1]), match[2], f'BA_ "{attribute}" {kind} {{id}} {match[2]} "{match[3]}";')


def _plain(number: str) -> str:
    """Return the number as cantools reads it: with a digit before the point."""
    sign, digits = (number[0], number[1:]) if number[0] in "+-" else ("", number)
    return f"{sign}0{digits}" if digits.startswith(".") else number


def _shown(statement: Statement) -> str:
    return ascii(" ".join(statement.text.split())[:60])

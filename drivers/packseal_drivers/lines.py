"""Lines of a profile that name a quantity: [[signal]] of a DBC, [[request.field]] of answers, [[pgn.field]] of groups.

The docstrings are the reference of whoever writes a profile.
"""

import math
from typing import Literal

import msgspec

from packseal.core.quantities import BY_KEY
from packseal_drivers.allowlist import (
    EFF_FLAG,
    MAX_PGN,
    READ_DATA,
    REQUEST_FORMAT,
    SDO_BASE,
    SDO_NODES,
    UPLOAD,
    refusal,
    request_refusal,
)
from packseal_drivers.framing.j1939 import GLOBAL, MAX_BYTES, NULL, PDU2

MAX_CHANNELS = 1000
"""Of one line: more than any pack has cells in series."""

MAX_ANSWER_BYTES = 4095  # ISO 15765-2, classic first frame: 12 bits of length
MAX_ID = 0x1FFF_FFFF  # 29 bits
MIN_PERIOD_S = 0.1  # two such requests fill the rate of a bus, poller.PER_SECOND
SDO_ANSWER_BASE = 0x580  # CiA 301 §7.3.3: node n answers at 0x580 + n
NOWHERE = -1
MIN_ASK_S = 1.0
"""Between two questions for one parameter group: what is sent more often is broadcast anyway."""

Encoding = Literal["sign_magnitude", "inverted", "swapped_words", "bcd", "medfloat16", "enumeration"]


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What [[signal]] and [[request.field]] share: from raw bits to `count` channels of one quantity."""

    quantity: str
    """A quantity's key, such as pack_current_a."""
    count: int = 1
    index: int = 0
    """The first channel's index: which cell or sensor of the pack it is, from 0."""
    encoding: Encoding | None = None
    """How the bits make a number, where that is not plain binary; see decoding/encodings.py."""
    codes: dict[str, float] = {}
    """For the encoding `enumeration`: what each raw integer means. Others are out of range."""
    factor: float = 1.0
    """Multiplies the value: unit conversion, and -1 where the BMS counts discharging as positive."""
    offset: float = 0.0
    """Added after the factor."""
    minimum: float | None = None
    """In the quantity's own unit; a value below is flagged out of range."""
    maximum: float | None = None
    not_available: tuple[int, ...] = ()
    """Raw field contents by which the BMS says that it does not know: the integer, or the bit pattern of a float."""
    reduce: Literal["last", "mean"] = "last"
    """What one sample keeps of several values within its period."""

    def __post_init__(self) -> None:
        if self.quantity not in BY_KEY:
            raise ValueError(f"quantity must be one of {', '.join(sorted(BY_KEY))}")
        if self.count < 1 or self.index < 0 or self.count + self.index > MAX_CHANNELS:
            raise ValueError(f"count must be at least 1, index at least 0, and both together at most {MAX_CHANNELS}")
        bounds = [b for b in (self.minimum, self.maximum) if b is not None]
        if self.factor == 0 or not all(map(math.isfinite, (self.factor, self.offset, *bounds))):
            raise ValueError("factor must not be 0, and factor, offset, minimum and maximum must be finite")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")
        if bool(self.codes) is not (self.encoding == "enumeration"):
            raise ValueError('codes belong to encoding = "enumeration", and it needs them')
        if not all(code.isdecimal() for code in self.codes):
            raise ValueError("the keys of codes must be unsigned integers")


class Signal(Conversion, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[signal]]: one DBC signal, or `count` of them, and the quantity it is. `encoding` replaces the DBC's sign."""

    message: str
    """DBC message name. `{i}` stands for the channel's number where `count` is given."""
    signal: str
    """DBC signal name, with `{i}` likewise."""
    first: int = 1
    """What `{i}` is for the first channel."""
    per_message: int = 0
    """How many of them one message holds; `{m}` then counts messages from `first`. 0: `{m}` is not used."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first < 0 or self.per_message < 0:
            raise ValueError("first and per_message must not be negative")


class RequestField(Conversion, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[request.field]]: one place in the answer, or `count` of them one behind the other, and the quantity it is."""

    at: int
    """First byte, counted from 0 at the answer's service byte (so the data of a UDS answer starts at 3)."""
    length: int = 1
    """Bytes."""
    order: Literal["big", "little"] = "big"
    signed: bool = False
    floating: bool = False
    """Whether it is an IEEE 754 number of 2, 4 or 8 bytes."""
    shift: int = 0
    """Bits to leave out at the low end of the field."""
    bits: int | None = None
    """How many bits to keep above them; None keeps the rest."""
    step: int | None = None
    """Bytes from one channel to the next; None: `length`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        last = self.at + (self.count - 1) * self.stride + self.length
        if self.at < 0 or not 1 <= self.length <= 8 or self.stride < 1 or last > MAX_ANSWER_BYTES:  # noqa: PLR2004
            raise ValueError(f"at, length (1 to 8), step and count must stay within {MAX_ANSWER_BYTES} bytes")
        if self.shift < 0 or self.width < 1 or self.shift + self.width > 8 * self.length:
            raise ValueError("shift and bits must stay within the field")
        if self.floating and (self.width not in (16, 32, 64) or self.shift or self.signed):
            raise ValueError("a floating field has 2, 4 or 8 bytes and neither shift, bits nor sign")

    @property
    def stride(self) -> int:
        """Bytes from one channel to the next."""
        return self.length if self.step is None else self.step

    @property
    def width(self) -> int:
        """How many bits are kept."""
        return 8 * self.length - self.shift if self.bits is None else self.bits


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[request]]: what is asked for, and where in the answer the quantities are. Only reads are possible."""

    name: str
    protocol: Literal["uds", "obd", "sdo"]
    """Which services are allowed: UDS (ISO 14229-1) 22 and 19, OBD (SAE J1979) 01 and 09, SDO upload (CiA 301)."""
    to: int = NOWHERE
    """CAN id of the request; 29 bits where it is above 0x7FF. Of uds and obd."""
    answer: int = NOWHERE
    """CAN id of the answer. Of uds and obd."""
    ask: str = ""
    """The request in hex, such as "22 01 01". Of uds and obd."""
    node: int | None = None
    """The CANopen node, 1 to 127. Of sdo, as `index` and `subindex`; the object's data starts at byte 4."""
    index: int | None = None
    """The object in the node's dictionary."""
    subindex: int = 0
    period_s: float = 10.0
    field: tuple[RequestField, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol == "sdo":
            self._address()
        elif self.node is not None or self.index is not None or self.subindex:
            raise ValueError('node, index and subindex belong to protocol = "sdo"')
        else:
            self._check_service()
        if not MIN_PERIOD_S <= self.period_s < math.inf:
            raise ValueError(f"period_s must be at least {MIN_PERIOD_S} and finite")

    def _check_service(self) -> None:
        try:
            payload = bytes.fromhex(self.ask)
        except ValueError:
            payload = b""
        if not 1 <= len(payload) <= 7:  # noqa: PLR2004 - ISO 15765-2: what one classic frame holds
            raise ValueError("ask must be 1 to 7 bytes in hex")
        if not 0 <= self.to <= MAX_ID or not 0 <= self.answer <= MAX_ID:
            raise ValueError("to and answer must be CAN ids")
        refused = request_refusal(self.protocol, self.to, payload)
        if refused:
            raise ValueError(f"packseal only reads, and ask and to are refused: {refused}")

    def _address(self) -> None:
        """Fill in `to`, `answer` and `ask`, so that whoever looks for ids and answers need not know CANopen."""
        if self.to != NOWHERE or self.answer != NOWHERE or self.ask:
            raise ValueError('protocol = "sdo" has node and index in place of to, answer and ask')
        if self.node is None or not 1 <= self.node <= SDO_NODES:
            raise ValueError(f"node must be from 1 to {SDO_NODES}")
        if self.index is None or not 0 <= self.index <= 0xFFFF or not 0 <= self.subindex <= 0xFF:  # noqa: PLR2004 - bits
            raise ValueError("index must be an object of 16 bits, subindex of 8")
        ask = bytes((UPLOAD, self.index & 0xFF, self.index >> 8, self.subindex))
        for key, value in (
            ("to", SDO_BASE + self.node),
            ("answer", SDO_ANSWER_BASE + self.node),
            ("ask", ask.hex(" ")),
        ):
            msgspec.structs.force_setattr(self, key, value)

    @property
    def payload(self) -> bytes:
        """What is sent."""
        return bytes.fromhex(self.ask)

    @property
    def expected(self) -> bytes:
        """How a positive answer starts: the service plus 0x40, then what names the data (ISO 14229-1 §8.4, J1979).

        Of an SDO upload: the request itself, which names the object; its data follow.
        """
        payload = self.payload
        if self.protocol == "sdo":
            return payload
        return bytes((payload[0] + 0x40 & 0xFF,)) + payload[1 : 3 if payload[0] == READ_DATA else 2]


class PgnField(RequestField, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[pgn.field]]: one place in a group's data, or `count` of them. `at` counts its bytes from 0."""

    order: Literal["big", "little"] = "little"
    indicators: bool = True
    """Whether the highest patterns say "error" and "not available" (SAE J1939-71 §5.1.4), as in every public group."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.indicators and (self.signed or self.floating or self.encoding is not None):
            raise ValueError("a field that is signed, floating or encoded needs indicators = false")


class Pgn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[pgn]]: a J1939 parameter group, of one frame or a transfer of several, and where in it the quantities are."""

    name: str
    pgn: int
    source: int | None = None
    """The address of the node that sends it; None: the first that is heard to."""
    ask_s: float | None = None
    """Ask for it so often in seconds (PGN 59904), where it is sent on request only; None: only listen."""
    field: tuple[PgnField, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.pgn <= MAX_PGN or (self.pgn >> 8 & 0xFF < PDU2 and self.pgn & 0xFF):
            raise ValueError(f"pgn must be from 0 to {MAX_PGN}, and end in a zero byte below 0xF000")
        if self.source is not None and not 0 <= self.source < NULL:
            raise ValueError(f"source must be an address from 0 to {NULL - 1}")
        if not self.field or self.length > MAX_BYTES:
            raise ValueError(f"at least one [[pgn.field]] is needed, and all within {MAX_BYTES} bytes")
        if self.ask_s is not None:
            self._check_ask(self.ask_s)

    def _check_ask(self, ask_s: float) -> None:
        if not MIN_ASK_S <= ask_s < math.inf:
            raise ValueError(f"ask_s must be at least {MIN_ASK_S:g}")
        address = EFF_FLAG | REQUEST_FORMAT << 16 | GLOBAL << 8
        refused = refusal("j1939", address, self.pgn.to_bytes(3, "little"))
        if refused:
            raise ValueError(f"packseal only reads, and ask_s and pgn are refused: {refused}")

    @property
    def length(self) -> int:
        """How many bytes all the fields need."""
        return max(f.at + (f.count - 1) * f.stride + f.length for f in self.field)

"""Vector's .asc: a text log with a header that says how numbers and times are to be read.

The layout is that of Vector's own description of the format as vector_asc (github.com/Technica-Engineering/vector_asc)
and python-can read it. Statistics, J1939TP lines and other events are no frames and are passed over.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from packseal.core.sample import NS_PER_S
from packseal_drivers.recordings.lines import lines
from packseal_drivers.recordings.row import ERR_FLAG, MAX_DATA, Row, Troubles, address_of, nanoseconds

_HEADER = re.compile(
    r"(//|date\b|base\b|(no )?internal events logged|begin\s*triggerblock|end\s*triggerblock|previous log file)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:date|begin\s*triggerblock)\s+(\S.*)", re.IGNORECASE)
_BASE = re.compile(r"base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?", re.IGNORECASE)
_TIME = re.compile(r"\d+\.\d+")
_ID = re.compile(r"([0-9A-Fa-f]+)(x?)")
_DATES = (
    "%a %b %d %H:%M:%S.%f %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %I:%M:%S.%f %p %Y",
    "%a %b %d %I:%M:%S %p %Y",
)
_GMT = "%a, %d %b %Y %H:%M:%S GMT"
_DIRECTIONS = ("rx", "tx")
_REQUEST = "txrq"  # a wish to send; the frame itself comes as tx
BASES = {"hex": 16, "dec": 10}
DLC_BYTES = (*range(9), 12, 16, 20, 24, 32, 48, 64)  # ISO 11898-1, data length codes
DATED_NS = NS_PER_S * 86_400 * 365
"""python-can writes 1970 where it knows no date."""


def rows(path: Path, troubles: Troubles) -> Iterator[Row]:
    """Yield the frames of a log."""
    reader = _Lines()
    for number, text in lines(path, troubles):
        try:
            row = reader.read(text)
        except ValueError as error:
            troubles.note(number, str(error))
            continue
        if row is not None:
            troubles.good = True
            yield row


class _Lines:
    """What the header and the lines before say about a line."""

    def __init__(self) -> None:
        self._base = BASES["hex"]
        self._relative = False
        self._begun_ns = 0
        self._time_ns = 0

    def read(self, text: str) -> Row | None:
        """Return the frame of a line, or None for a line that has none; raises ValueError for one that is broken."""
        words = text.split()
        if not _TIME.fullmatch(words[0]):
            if not _HEADER.match(text):
                raise ValueError("it is no line of an .asc: it begins with no time")
            self._take_header(text)
            return None
        time_ns = nanoseconds(words[0])
        self._time_ns = self._time_ns + time_ns if self._relative else time_ns
        if len(words) == 1:
            raise ValueError("nothing stands behind the time")
        if words[1].upper() == "CANFD":
            return self._fd(words[2:])
        return self._classic(words[1], words[2:]) if words[1].isdigit() else None

    def _take_header(self, text: str) -> None:
        if match := _BASE.match(text):
            self._base = BASES[match[1].lower()]
            self._relative = (match[2] or "").lower() == "relative"
        elif match := _DATE.match(text):
            begun_ns = _date_ns(match[1])
            self._begun_ns = begun_ns if begun_ns > DATED_NS else self._begun_ns

    def _row(self, bus: str, address: int, data: bytes) -> Row:
        return Row(self._begun_ns + self._time_ns, bus, address, data)

    def _classic(self, bus: str, words: Sequence[str]) -> Row | None:
        """Read `id direction d dlc bytes…`, or `ErrorFrame`."""
        if words and words[0].lower() == "errorframe":
            return self._row(bus, ERR_FLAG, b"")
        direction = words[1].lower() if len(words) > 1 else ""
        if words and not _ID.fullmatch(words[0]) and direction not in _DIRECTIONS:
            return None  # Statistic:, J1939TP …
        if direction == _REQUEST:
            return None
        if direction not in _DIRECTIONS or len(words) < 3:  # noqa: PLR2004 - id, direction, kind
            raise ValueError("the line breaks off, or names its message instead of giving the id")
        if words[2].lower() == "r":
            return None
        if len(words) < 4 or words[2].lower() != "d":  # noqa: PLR2004
            raise ValueError("neither d nor r, or no length, stands behind the direction")
        code = int(words[3], self._base)
        if not 0 <= code < len(DLC_BYTES):
            raise ValueError(f"the length code {code} is unknown")
        return self._row(bus, self._address(words[0]), self._data(words[4:], min(code, 8)))

    def _fd(self, words: Sequence[str]) -> Row | None:
        """Read `bus direction id [name] brs esi dlc length bytes…`, or `bus direction ErrorFrame`."""
        if len(words) > 2 and words[2].lower() == "errorframe":  # noqa: PLR2004
            return self._row(words[0], ERR_FLAG, b"")
        start = 3 if len(words) > 3 and words[3] in ("0", "1") else 4  # noqa: PLR2004 - a name may stand before brs
        if len(words) < start + 4:
            raise ValueError("the line of a CAN FD frame breaks off")
        if words[1].lower() not in _DIRECTIONS:
            return None
        length = int(words[start + 3])
        if not 0 <= length <= MAX_DATA:
            raise ValueError(f"the length {length} is beyond CAN FD")
        if not length and int(words[start + 2], self._base):
            return None  # a remote frame
        return self._row(words[0], self._address(words[2]), self._data(words[start + 4 :], length))

    def _address(self, text: str) -> int:
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:30]!a} is no id; record with ids, not with names")
        return address_of(int(match[1], self._base), extended=bool(match[2]))

    def _data(self, words: Sequence[str], length: int) -> bytes:
        if len(words) < length:
            raise ValueError(f"{length} bytes are announced, and {len(words)} follow")
        return bytes(int(word, self._base) for word in words[:length])


def _date_ns(text: str) -> int:
    """Return the date in ns since 1970, in the zone of this machine where none is said; 0 where none can be read."""
    try:
        return round(datetime.strptime(text, _GMT).replace(tzinfo=UTC).timestamp()) * NS_PER_S
    except ValueError:
        pass
    for layout in _DATES:
        try:
            return round(datetime.strptime(text, layout).astimezone().timestamp() * 1000) * (NS_PER_S // 1000)
        except (ValueError, OverflowError, OSError):
            continue
    return 0

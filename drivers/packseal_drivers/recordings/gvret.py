"""SavvyCAN's GVRET .csv: microseconds, hex id, extended, bus, length, hex bytes; newer ones have a direction, too.

Columns are found by their titles (github.com/collin80/SavvyCAN, framefileio.cpp).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packseal.core.errors import InputError
from packseal_drivers.recordings.lines import lines
from packseal_drivers.recordings.row import EFF_FLAG, ERR_FLAG, MAX_DATA, MAX_TIME_NS, Row, Troubles, address_of

NS_PER_US = 1000
NEEDED = ("time stamp", "id", "extended", "bus", "len", "d1")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def rows(path: Path, troubles: Troubles) -> Iterator[Row]:
    """Yield the frames of a .csv; raises InputError for one that has other columns."""
    places: Mapping[str, int] | None = None
    for number, text in lines(path, troubles):
        cells = [cell.strip() for cell in text.split(",")]
        if places is None:
            places = _places(path, cells)
            continue
        try:
            row = _row(cells, places)
        except (ValueError, IndexError) as error:
            troubles.note(number, str(error) if isinstance(error, ValueError) else "it has too few columns")
            continue
        troubles.good = True
        yield row


def _places(path: Path, cells: Sequence[str]) -> Mapping[str, int]:
    places = {title.lower(): i for i, title in enumerate(cells)}
    missing = [title for title in NEEDED if title not in places]
    if missing:
        shown = ascii(",".join(cells))[:60]
        raise InputError(
            f"{path}, line 1: {shown} has no column {missing[0]!r}; a SavvyCAN (GVRET) .csv begins with "
            "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8"
        )
    return places


def _row(cells: Sequence[str], places: Mapping[str, int]) -> Row:
    time_ns = int(cells[places["time stamp"]]) * NS_PER_US
    number, length = int(cells[places["id"]], 16), int(cells[places["len"]])
    extended = _TRUTHS.get(cells[places["extended"]].lower())
    if extended is None:
        raise ValueError("Extended is neither true nor false")
    if not 0 <= time_ns < MAX_TIME_NS or not 0 <= length <= MAX_DATA:
        raise ValueError(f"its time or its length, {length}, is beyond what a frame can have")
    start = places["d1"]
    content = cells[start : start + length]
    if len(content) < length or "" in content:
        raise ValueError(f"{length} bytes are announced, and fewer follow")
    data = bytes(int(byte, 16) for byte in content)
    error = number & ERR_FLAG and number < EFF_FLAG
    address = number if error else address_of(number & ~EFF_FLAG, extended=extended)
    return Row(time_ns, cells[places["bus"]], address, data)

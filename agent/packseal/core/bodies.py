"""The bodies of the record kinds and their CBOR (docs/formats/record.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from packseal.core import cbor, columns, summary
from packseal.core.errors import FormatError, InputError
from packseal.core.passport import Snapshot
from packseal.core.readings_cbor import decode_snapshot, encode_snapshot
from packseal.core.sample import EventCode
from packseal.core.summary import Summary

Attributes = Mapping[str, int | str | bytes]
"""Small facts by name. Names are lower-case words with their unit, such as `duration_ms`."""

MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_NAME_BYTES = 64
MAX_ATTRIBUTE_BYTES = 1024
BOOT_ID_BYTES = 8
MAX_TELEMETRY_SAMPLES = 100_000
"""Five times what an open window may hold (sealer.MAX_WINDOW_SAMPLES): bounds the work of unfolding a record."""


class Kind(IntEnum):
    """What a record is."""

    SNAPSHOT = 1  # all readings at one instant
    TELEMETRY = 2  # one window of samples
    EVENT = 3  # something happened to the battery or its wire
    GAP = 4  # what the log does not hold, and why
    LIFECYCLE = 5  # something happened to the agent, its clock or this log
    SUMMARY = 7  # aggregates of telemetry that was thinned; 6 is the code of a receipt


class GapCause(IntEnum):
    """Why a stretch of time is not in the log."""

    NO_SAMPLES = 1  # the battery said nothing for longer than the gap limit
    STOPPED = 2  # the agent was stopped in good order
    UNCLEAN_STOP = 3  # the agent was killed or lost power; its open window is not recorded
    NOT_STORED = 4  # the journal could not be written for so long that memory ran out
    DAMAGED = 5  # the journal was damaged; the records from `first` to `last` of `log` could not be saved
    THINNED = 6  # removed to save space, coarser records stand for them: `records` of those from `first` to `last`
    DROPPED = 7  # removed for want of space and lost: `records` of those from `first` to `last`


HOLE_CAUSES = (GapCause.THINNED, GapCause.DROPPED)
"""What a log says of records that it has itself removed."""


class LifecycleCode(IntEnum):
    """What happened to the agent or its log."""

    LOG_BEGUN = 1  # the first record of a log
    AGENT_STARTED = 2  # the log goes on after a stop
    AGENT_STOPPED = 3  # stopped in good order; nothing of what was read is missing
    CLOCK_STEPPED = 4  # the wall clock moved by `step_ms` against the monotonic one, or its quality changed
    CONFIGURATION = 5  # the configuration changed
    METER_RESET = 6  # the counters begin again from zero
    SOURCE_ENDED = 7  # the recording that is replayed has ended
    DECLARED_CHANGED = 8  # declared data were entered or corrected
    STATUS_CHANGED = 9  # the battery's status: original, repurposed, re-used, remanufactured, waste
    MODULE_REPLACED = 10  # a module was replaced: the battery's capacity begins anew
    BMS_REPLACED = 11  # the BMS was replaced: its own counters begin anew, ours go on
    ACCIDENT = 12  # an accident was put on record
    METER_RECOVERED = 13  # the saved counters were no good; they go on from the log's last snapshot


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One window of samples. `blob` is what `columns.pack` made of them, kept as it was signed."""

    first_mono_ms: int
    first_wall_ms: int
    count: int
    span_ms: int
    blob: bytes

    def rows(self) -> list[columns.Row]:
        """Unfold the window; raises FormatError, also when the columns are not those of this window."""
        rows = columns.unpack(self.blob, self.first_mono_ms, self.count)
        if not rows or rows[-1][0] - rows[0][0] != self.span_ms:
            raise FormatError("telemetry columns do not fit the window's span")
        return rows

    def check(self) -> None:
        """Raise FormatError where `rows` would."""
        if not columns.is_sound(self.blob, self.first_mono_ms, self.count, self.span_ms):
            self.rows()


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to the battery or its wire."""

    code: EventCode
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch that the log does not hold: from the last sample before it to the first after it, UTC milliseconds."""

    cause: GapCause
    from_wall_ms: int
    to_wall_ms: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Something happened to the agent, its clock or this log."""

    code: LifecycleCode
    attributes: Attributes = field(default_factory=dict)


Body = Snapshot | Telemetry | Event | Gap | Lifecycle | Summary

KIND_OF: dict[type, Kind] = {
    Snapshot: Kind.SNAPSHOT,
    Telemetry: Kind.TELEMETRY,
    Event: Kind.EVENT,
    Gap: Kind.GAP,
    Lifecycle: Kind.LIFECYCLE,
    Summary: Kind.SUMMARY,
}


def encode_body(body: Body, wall_ms: int) -> Mapping[int, object]:
    """Return the CBOR map of `body` for a record of wall time `wall_ms`.

    Raises:
        InputError: an attribute is too long; a profile's name, for one, comes from the user.
        ValueError: too many samples.
    """
    match body:
        case Snapshot():
            return encode_snapshot(body, wall_ms)
        case Telemetry():
            if body.count > MAX_TELEMETRY_SAMPLES:
                raise ValueError(f"a window of {body.count} samples; the limit is {MAX_TELEMETRY_SAMPLES}")
            return {1: body.first_mono_ms, 2: body.first_wall_ms, 3: body.count, 4: body.span_ms, 5: body.blob}
        case Summary():
            return summary.encode(body)
        case Gap():
            return {1: int(body.cause), 2: body.from_wall_ms, 3: body.to_wall_ms, **_attributes(4, body.attributes)}
        case Event() | Lifecycle():
            return {1: int(body.code), **_attributes(2, body.attributes)}


def decode_body(kind: Kind, value: object, wall_ms: int) -> Body:
    """Return the body of a record of this kind; raises FormatError."""
    match kind:
        case Kind.SNAPSHOT:
            return decode_snapshot(value, wall_ms)
        case Kind.TELEMETRY:
            return _decode_telemetry(value)
        case Kind.EVENT:
            parts = cbor.as_map(value, "event", (1,), (2,))
            return Event(_member(EventCode, parts[1]), _read_attributes(parts.get(2)))
        case Kind.GAP:
            parts = cbor.as_map(value, "gap", (1, 2, 3), (4,))
            start, end = (cbor.as_uint(parts[k], "gap time") for k in (2, 3))
            return _checked(Gap(_member(GapCause, parts[1]), start, end, _read_attributes(parts.get(4))))
        case Kind.LIFECYCLE:
            parts = cbor.as_map(value, "lifecycle", (1,), (2,))
            return Lifecycle(_member(LifecycleCode, parts[1]), _read_attributes(parts.get(2)))
        case Kind.SUMMARY:
            return summary.decode(value, BOOT_ID_BYTES)


def _checked(gap: Gap) -> Gap:
    """Refuse a gap that says that records were removed, but not which."""
    if gap.cause in HOLE_CAUSES:
        first, last, records = (cbor.as_uint(gap.attributes.get(k), k) for k in ("first", "last", "records"))
        if not 0 < records <= last - first + 1:
            raise FormatError(f"a gap cannot say that {records} of the records from {first} to {last} were removed")
    return gap


def _decode_telemetry(value: object) -> Telemetry:
    parts = cbor.as_map(value, "telemetry", (1, 2, 3, 4, 5))
    mono, wall, span = (cbor.as_uint(parts[k], "telemetry window") for k in (1, 2, 4))
    count = cbor.as_uint(parts[3], "telemetry samples", MAX_TELEMETRY_SAMPLES + 1)
    return Telemetry(mono, wall, count, span, cbor.as_bytes(parts[5], "telemetry columns"))


def _attributes(key: int, attributes: Attributes) -> dict[int, object]:
    if too_long := _too_long(attributes):
        raise InputError(too_long)
    # A truth value is written as 0 or 1: the format knows integers, text and bytes.
    return {key: {k: int(v) if isinstance(v, int) else v for k, v in attributes.items()}} if attributes else {}


def _read_attributes(value: object) -> Attributes:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not 0 < len(value) <= MAX_ATTRIBUTES:
        raise FormatError(f"attributes must be a map of 1 to {MAX_ATTRIBUTES} entries")
    for name, fact in value.items():
        if not isinstance(name, str) or type(fact) not in (int, str, bytes):
            raise FormatError("attributes map text to an integer, a text or a byte string")
        if isinstance(fact, int):
            cbor.as_int(fact, name)
    if too_long := _too_long(value):
        raise FormatError(too_long)
    return dict(value)


def _too_long(attributes: Attributes) -> str:
    """Return which attribute is beyond its bound, in bytes of UTF-8; nothing when all are within."""
    for name, fact in attributes.items():
        if len(name.encode()) > MAX_ATTRIBUTE_NAME_BYTES:
            return f"attribute name {name[:20]}… is longer than {MAX_ATTRIBUTE_NAME_BYTES} bytes"
        if not isinstance(fact, int) and len(fact.encode() if isinstance(fact, str) else fact) > MAX_ATTRIBUTE_BYTES:
            return f"attribute {name} is longer than {MAX_ATTRIBUTE_BYTES} bytes"
    return ""


def _member(codes: Any, value: object) -> Any:
    try:
        return codes(cbor.as_uint(value, codes.__name__))
    except ValueError as error:
        raise FormatError(f"{value} is no {codes.__name__} that version 1 knows") from error

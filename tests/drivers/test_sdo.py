"""The SDO framer: any bytes in any order, and every way an upload can go wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal_drivers.framing.sdo import (
    MAX_BYTES,
    NO_SUCH_LENGTH,
    SEGMENT_NS,
    TIMED_OUT,
    TOGGLE_WRONG,
    TRANSFER_NS,
    Aborted,
    Broken,
    Fault,
    SdoEvent,
    SdoFramer,
    SegmentDue,
    Value,
)

INDEX = 0x6030
BEGIN = bytes.fromhex("41 30 60 02 09 00 00 00")
FIRST, LAST = b"\x00BATTERY", b"\x1b-1\0\0\0\0\0"
WHOLE = Value(INDEX, 2, b"BATTERY-1", 0)
ASKED = [SegmentDue(toggle=False), SegmentDue(toggle=True)]


def fed(*frames: bytes, step_ns: int = 0) -> list[SdoEvent]:
    framer = SdoFramer()
    return [event for i, frame in enumerate(frames) for event in framer.feed(frame, i * step_ns)]


def upload(data: bytes, *, sized: bool = True) -> list[bytes]:
    size = len(data) if sized else 0
    frames = [bytes((0x41 if sized else 0x40, 0x30, 0x60, 2)) + size.to_bytes(4, "little")]
    parts = [data[i : i + 7] for i in range(0, len(data), 7)] or [b""]
    for i, part in enumerate(parts):
        head = (i % 2) << 4 | (7 - len(part)) << 1 | (i == len(parts) - 1)
        frames.append(bytes((head,)) + part.ljust(7, b"\0"))
    return frames


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        ("4F 30 60 02 51 00 00 00", b"\x51"),
        ("4B 30 60 02 B4 00 00 00", b"\xb4\x00"),
        ("43 30 60 02 80 CC 00 00", b"\x80\xcc\x00\x00"),
        ("42 30 60 02 01 02 03 04", b"\x01\x02\x03\x04"),
    ],
)
def test_an_expedited_object_is_whole_at_once(frame: str, data: bytes) -> None:
    assert fed(bytes.fromhex(frame)) == [Value(INDEX, 2, data, 0)]


def test_segments_are_put_together() -> None:
    assert fed(BEGIN, FIRST, LAST) == [*ASKED, WHOLE]
    assert WHOLE.payload == bytes.fromhex("40 30 60 02") + b"BATTERY-1"


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([b""], [Broken(Fault.LENGTH)]),
        ([BEGIN, FIRST[:7], LAST], [ASKED[0], Broken(Fault.LENGTH, NO_SUCH_LENGTH)]),
        ([FIRST], [Broken(Fault.UNEXPECTED)]),
        ([BEGIN, FIRST, FIRST, LAST], [*ASKED, Broken(Fault.TOGGLE, TOGGLE_WRONG)]),
        ([BEGIN, LAST], [ASKED[0], Broken(Fault.TOGGLE, TOGGLE_WRONG)]),
        ([BEGIN, FIRST, BEGIN, FIRST, LAST], [*ASKED, Broken(Fault.INTERRUPTED), *ASKED, WHOLE]),
        ([BEGIN, FIRST, b"\x10-1\0\0\0\0\0"], [*ASKED, Broken(Fault.TOO_LONG, NO_SUCH_LENGTH)]),
        ([BEGIN, b"\x01BATTERY"], [ASKED[0], Broken(Fault.LENGTH)]),
        ([bytes.fromhex("41 30 60 02 00 10 00 00"), FIRST], [Broken(Fault.TOO_LONG, NO_SUCH_LENGTH)]),
        ([bytes.fromhex("80 30 60 02 00 00 02 06")], [Aborted(INDEX, 2, 0x0602_0000)]),
        ([BEGIN, bytes.fromhex("80 30 60 02 00 00 04 05"), FIRST], [ASKED[0], Aborted(INDEX, 2, 0x0504_0000)]),
        ([b"\x60" + bytes(7), b"\x20" + bytes(7), b"\xc6" + bytes(7)], []),
        ([b"\xe0" + bytes(7)], [Broken(Fault.COMMAND)]),
    ],
)
def test_deviations_are_events(frames: list[bytes], events: list[SdoEvent]) -> None:
    assert fed(*frames) == events


def test_what_is_late_or_never_ends_is_cut_off() -> None:
    assert fed(BEGIN, FIRST, LAST, step_ns=SEGMENT_NS)[-1] == Value(INDEX, 2, b"BATTERY-1", 2 * SEGMENT_NS)
    assert fed(BEGIN, FIRST, step_ns=SEGMENT_NS + 1) == [ASKED[0], Broken(Fault.TIMEOUT, TIMED_OUT)]
    endless = [b"\x10" + bytes(7) if i % 2 else bytes(8) for i in range(1000)]
    events = fed(bytes.fromhex("40 30 60 02 00 00 00 00"), *endless)
    assert [e for e in events if not isinstance(e, SegmentDue)] == [Broken(Fault.TOO_LONG, NO_SUCH_LENGTH)]
    slow = fed(bytes.fromhex("40 30 60 02 00 00 00 00"), *endless, step_ns=SEGMENT_NS)
    assert next(e for e in slow if not isinstance(e, SegmentDue)) == Broken(Fault.TIMEOUT, TIMED_OUT)


@given(st.binary(max_size=MAX_BYTES), st.booleans())
def test_any_object_arrives_as_it_was(data: bytes, sized: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    assert fed(*upload(data, sized=sized))[-1] == Value(INDEX, 2, data, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=64), st.integers(0, 2 * SEGMENT_NS)), max_size=60))
def test_any_bytes_are_survived(frames: list[tuple[bytes, int]]) -> None:
    framer, now_ns = SdoFramer(), 0
    for data, step_ns in frames:
        now_ns += step_ns
        for event in framer.feed(data, now_ns):
            assert not isinstance(event, Value) or len(event.data) <= MAX_BYTES
    framer.expire(now_ns + TRANSFER_NS + 1)
    assert not framer.busy

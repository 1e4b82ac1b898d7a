"""The ISO-TP framer: any bytes in any order, and can-isotp as the sender."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import isotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.sample import Frame
from packseal_drivers import recordings
from packseal_drivers.framing.isotp import (
    CONSECUTIVE_NS,
    MAX_BYTES,
    TRANSFER_NS,
    Broken,
    Fault,
    FlowControlDue,
    IsoTpEvent,
    IsoTpFramer,
    Message,
    flow_control,
    single_frame,
)

RECORDED = Path(__file__).parents[2] / "../shared/data/kona_can/221210-1-2021-dcan-car-scanner-elm327.csv.gz"
FIRST = bytes.fromhex("10 0A 62 01 01 AA BB CC")
LAST = bytes.fromhex("21 DD EE FF 11 00 00 00")
WHOLE = Message(bytes.fromhex("62 01 01 AA BB CC DD EE FF 11"), 0)


def fed(*frames: bytes, framer: IsoTpFramer | None = None, step_ns: int = 0) -> list[IsoTpEvent]:
    framer = framer or IsoTpFramer()
    return [event for i, frame in enumerate(frames) for event in framer.feed(frame, i * step_ns)]


def test_single_frame_and_its_padding() -> None:
    assert fed(bytes.fromhex("03 62 01 01 55 55 55 55")) == [Message(bytes.fromhex("620101"), 0)]
    assert fed(bytes.fromhex("01 7E")) == [Message(b"\x7e", 0)]


def test_single_frame_of_can_fd() -> None:
    payload = bytes(range(1, 41))
    assert fed((bytes((0, 40)) + payload).ljust(48, b"\xcc")) == [Message(payload, 0)]
    assert fed((bytes((7, 40)) + payload).ljust(48, b"\xcc")) == [Broken(Fault.LENGTH)]


def test_two_frames_make_a_message_and_flow_control_is_due_once() -> None:
    assert fed(FIRST, LAST) == [FlowControlDue(), WHOLE]


def test_blocks_ask_for_flow_control_again() -> None:
    frames = [bytes.fromhex("10 20") + bytes(6), *(bytes((0x21 + i,)) + bytes(7) for i in range(4))]
    assert fed(*frames, framer=IsoTpFramer(2)) == [FlowControlDue(), FlowControlDue(), Message(bytes(32), 0)]


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([b""], [Broken(Fault.LENGTH)]),
        ([bytes(8)], [Broken(Fault.LENGTH)]),
        ([b"\x05\x01"], [Broken(Fault.LENGTH)]),
        ([b"\x10\x0a\x62"], [Broken(Fault.LENGTH)]),
        ([bytes.fromhex("10 07 00 00 00 00 00 00")], [Broken(Fault.LENGTH)]),
        ([bytes.fromhex("10 00 FF FF FF FF 00 00"), LAST], [Broken(Fault.TOO_LONG)]),
        ([b"\x40\x00"], [Broken(Fault.RESERVED)]),
        ([b"\x30\x00\x00"], []),
        ([LAST, LAST], [Broken(Fault.UNEXPECTED)] * 2),
        ([FIRST, LAST, LAST], [FlowControlDue(), WHOLE, Broken(Fault.UNEXPECTED)]),
        ([FIRST, b"\x22" + LAST[1:], LAST], [FlowControlDue(), Broken(Fault.SEQUENCE)]),
        ([FIRST, LAST[:3], LAST], [FlowControlDue(), Broken(Fault.LENGTH)]),
        ([b"\x10\x20" + bytes(10), b"\x21" + bytes(7)], [FlowControlDue(), Broken(Fault.LENGTH)]),
        ([FIRST, FIRST, LAST], [FlowControlDue(), Broken(Fault.INTERRUPTED), FlowControlDue(), WHOLE]),
        ([FIRST, b"\x01\x7e", LAST], [FlowControlDue(), Broken(Fault.INTERRUPTED), Message(b"\x7e", 0)]),
    ],
)
def test_deviations_are_events(frames: list[bytes], events: list[IsoTpEvent]) -> None:
    found = fed(*frames)
    assert found[: len(events)] == events
    assert not [e for e in found[len(events) :] if e != Broken(Fault.UNEXPECTED)]


def test_doubled_and_swapped_consecutive_frames_are_cut_off_and_counted_once() -> None:
    frames = [bytes.fromhex("10 20") + bytes(6), *(bytes((0x21 + i,)) + bytes(7) for i in range(4))]
    for order in ([0, 1, 1, 2, 3, 4], [0, 2, 1, 3, 4], [0, 1, 3, 4]):
        assert fed(*(frames[i] for i in order)) == [FlowControlDue(), Broken(Fault.SEQUENCE)]


def test_a_pause_and_a_dripping_sender_are_cut_off() -> None:
    assert fed(FIRST, LAST, step_ns=CONSECUTIVE_NS + 1) == [FlowControlDue(), Broken(Fault.TIMEOUT)]
    drip = [bytes.fromhex("1F FF") + bytes(6), *(bytes((0x20 | i & 15,)) + bytes(7) for i in range(1, 100))]
    assert fed(*drip, step_ns=CONSECUTIVE_NS) == [FlowControlDue(), Broken(Fault.TIMEOUT)]
    framer = IsoTpFramer()
    assert framer.feed(FIRST, 0) == [FlowControlDue()]
    assert framer.expire(CONSECUTIVE_NS) == []
    assert framer.expire(TRANSFER_NS) == [Broken(Fault.TIMEOUT)]
    assert not framer.busy


pieces = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda i, rest: bytes((0x20 | i,)) + rest, st.integers(0, 15), st.binary(min_size=7, max_size=7)),
    st.sampled_from([FIRST, LAST, b"\x1f\xff" + bytes(6), b"\x10\x20" + bytes(62)]),
)


@given(st.lists(st.tuples(pieces, st.integers(0, 2 * CONSECUTIVE_NS))), st.integers(0, 15))
def test_any_frames_give_events_and_bounded_memory(frames: list[tuple[bytes, int]], block_size: int) -> None:
    framer, at_ns = IsoTpFramer(block_size), 0
    for data, step_ns in frames:
        at_ns += step_ns
        events = framer.feed(data, at_ns)
        assert len(events) <= 3
        assert all(0 < len(e.payload) <= MAX_BYTES for e in events if isinstance(e, Message))
        assert len(framer._parts) <= MAX_BYTES


class Peer:
    """can-isotp's own state machine, with lists in place of a bus and a clock that never waits."""

    def __init__(self, tx_data_length: int = 8, padding: int | None = None) -> None:
        self.incoming: list[bytes] = []
        self.outgoing: list[bytes] = []
        params: dict[str, Any] = {
            "tx_data_length": tx_data_length, "tx_padding": padding, "can_fd": tx_data_length > 8, "stmin": 0,
        }  # fmt: skip
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=0x7EC, rxid=0x7E4)
        self.stack = isotp.TransportLayerLogic(
            rxfn=self._receive, txfn=lambda m: self.outgoing.append(bytes(m.data)), address=address, params=params
        )

    def _receive(self, _timeout: float) -> isotp.CanMessage | None:
        return isotp.CanMessage(arbitration_id=0x7E4, data=self.incoming.pop(0)) if self.incoming else None

    def frames(self) -> Iterator[bytes]:
        self.stack.process()
        while self.outgoing:
            yield self.outgoing.pop(0)
            if not self.outgoing:
                self.stack.process()


@settings(deadline=None, max_examples=60)
@given(
    st.binary(min_size=1, max_size=MAX_BYTES),
    st.sampled_from([8, 12, 16, 20, 24, 32, 48, 64]),
    st.sampled_from([None, 0x00, 0xCC]),
    st.integers(0, 15),
)
def test_what_can_isotp_sends_arrives_whole(payload: bytes, dlc: int, padding: int | None, block_size: int) -> None:
    peer, framer = Peer(dlc, padding), IsoTpFramer(block_size)
    peer.stack.send(payload)
    events: list[IsoTpEvent] = []
    for frame in peer.frames():
        for event in framer.feed(frame, 0):
            events.append(event)
            if isinstance(event, FlowControlDue):
                peer.incoming.append(flow_control(block_size, 0))
    assert [e for e in events if not isinstance(e, FlowControlDue)] == [Message(payload, 0)]


@pytest.fixture(scope="module")
def recorded() -> list[Frame]:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is not there: it is hyundai-kona-ev-can-logs of projectgus, CC0")
    return list(recordings.read(RECORDED))


def test_a_recorded_scan_of_all_control_units_is_put_together(recorded: list[Frame]) -> None:
    framers: defaultdict[int, IsoTpFramer] = defaultdict(IsoTpFramer)
    events = [event for frame in recorded for event in framers[frame.address].feed(frame.data, frame.mono_ns)]
    assert len([e for e in events if isinstance(e, Message)]) == 1814
    # Of ten first frames, two are followed by nothing: the tester never let the sender go on.
    assert events.count(FlowControlDue()) == 10
    assert [e for e in events if isinstance(e, Broken)] == [Broken(Fault.TIMEOUT)] * 2


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32))
def test_a_recording_with_any_frames_lost_doubled_swapped_and_cut_short(recorded: list[Frame], seed: int) -> None:
    chance, framer = Random(seed), IsoTpFramer()
    frames = chance.choices(recorded, k=300)
    for frame in frames:
        data = bytearray(frame.data)
        if data and chance.random() < 0.5:
            data[chance.randrange(min(3, len(data)))] = chance.randrange(256)
        for event in framer.feed(bytes(data[: chance.choice((8, 8, 8, 3, 0))]), frame.mono_ns):
            assert not isinstance(event, Message) or 0 < len(event.payload) <= MAX_BYTES
    assert len(framer._parts) <= MAX_BYTES


@given(st.binary(min_size=1, max_size=7))
def test_can_isotp_understands_our_single_frames(payload: bytes) -> None:
    peer = Peer()
    peer.incoming.append(single_frame(payload))
    peer.stack.process()
    received = peer.stack.recv()
    assert received is not None
    assert bytes(received) == payload
    assert fed(single_frame(payload)) == [Message(payload, 0)]


@pytest.mark.parametrize("payload", [b"", bytes(8)])
def test_a_single_frame_holds_no_more_and_no_less(payload: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 7 bytes"):
        single_frame(payload)

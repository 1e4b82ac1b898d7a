"""The J1939 framer and the groups of a profile: any frames in any order, and every way a transfer can go wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.sample import NS_PER_S, Flaw, Frame
from packseal_drivers import profile
from packseal_drivers.decoding import SHORT, compile_decoders
from packseal_drivers.decoding.answer import indicators
from packseal_drivers.decoding.codes import ANSWERS, GROUPS
from packseal_drivers.framing.j1939 import (
    BROADCAST_NS,
    MAX_BYTES,
    MAX_SESSIONS,
    TRANSFER_NS,
    Broken,
    ClearToSendDue,
    EndOfMessageDue,
    Fault,
    Group,
    Identifier,
    J1939Event,
    J1939Framer,
    Repeated,
    split,
)
from packseal_drivers.groups import Groups
from packseal_drivers.lines import Pgn, PgnField

EFF = 0x8000_0000
PGN, OTHER = 0xFC5E, 0xFC5D
OWN, SOURCE = 0xFA, 0xF3
PAYLOAD = bytes(range(20))
HV = compile_decoders(profile.load("j1939/hv_battery"))
ALL, US, THEM = 0xFF, OWN, 0x17


def manage(control: int, source: int, to: int, rest: bytes, pgn: int = PGN) -> tuple[int, bytes]:
    return EFF | 0x1CEC_0000 | to << 8 | source, bytes((control,)) + rest + pgn.to_bytes(3, "little")


def transfer(payload: bytes = PAYLOAD, to: int = ALL, source: int = SOURCE, pgn: int = PGN) -> list[tuple[int, bytes]]:
    packets = -(-len(payload) // 7)
    size = len(payload).to_bytes(2, "little") + bytes((packets, 0xFF))
    padded = payload.ljust(7 * packets, b"\xff")
    parts = [bytes((n + 1,)) + padded[7 * n : 7 * n + 7] for n in range(packets)]
    begin = manage(32 if to == ALL else 16, source, to, size, pgn)
    return [begin, *((EFF | 0x1CEB_0000 | to << 8 | source, part) for part in parts)]


def fed(frames: list[tuple[int, bytes]], framer: J1939Framer | None = None, step_ns: int = 0) -> list[J1939Event]:
    framer = framer or J1939Framer({PGN}, OWN)
    return [event for i, (address, data) in enumerate(frames) for event in framer.feed(address, data, i * step_ns)]


def test_an_identifier_is_split_by_its_format() -> None:
    assert split(EFF | 0x0CF0_90F3) == Identifier(3, 61584, ALL, SOURCE)
    assert split(EFF | 0x18EA_F3FA) == Identifier(6, 59904, SOURCE, OWN)
    assert split(EFF | 0x19F0_0102) == Identifier(6, 0x1F001, ALL, 2)


def test_a_group_of_one_frame_is_whole_and_an_unwanted_one_nothing() -> None:
    assert fed([(EFF | 0x18FC_5EF3, b"\x01\x02")]) == [Group(PGN, SOURCE, ALL, b"\x01\x02", 0)]
    assert fed([(EFF | 0x18FC_5DF3, b"\x01\x02"), (0x123, b"\x01"), (0x2000_0000 | EFF, bytes(8))]) == []


def test_a_broadcast_is_put_together() -> None:
    assert fed(transfer()) == [Group(PGN, SOURCE, ALL, PAYLOAD, 0)]
    longest = bytes(i % 251 for i in range(MAX_BYTES))
    assert fed(transfer(longest)) == [Group(PGN, SOURCE, ALL, longest, 0)]


def test_a_transfer_to_us_is_let_through_and_acknowledged() -> None:
    whole = Group(PGN, SOURCE, OWN, PAYLOAD, 0)
    assert fed(transfer(to=US)) == [ClearToSendDue(SOURCE, PGN, 3, 1), whole, EndOfMessageDue(SOURCE, PGN, 20, 3)]
    frames = transfer(to=US)
    frames[0] = manage(16, SOURCE, US, bytes((20, 0, 3, 2)))  # at most two packets for one CTS
    due = [ClearToSendDue(SOURCE, PGN, 2, 1), ClearToSendDue(SOURCE, PGN, 1, 3)]
    assert fed(frames) == [*due, whole, EndOfMessageDue(SOURCE, PGN, 20, 3)]


def test_a_transfer_to_others_is_overheard_though_a_part_is_asked_for_again() -> None:
    begin, one, two, three = transfer(to=THEM)
    again = manage(17, THEM, SOURCE, bytes((2, 2, 0xFF, 0xFF)))
    wait = manage(17, THEM, SOURCE, bytes((0, 0xFF, 0xFF, 0xFF)))
    whole = Group(PGN, SOURCE, THEM, PAYLOAD, 0)
    assert fed([begin, one, two, again, two, wait, three]) == [whole]


BEGIN, ONE, TWO, THREE = transfer()
STRAY = Broken(Fault.UNEXPECTED, SOURCE)


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([BEGIN, ONE, ONE, TWO, THREE], [Repeated(), Group(PGN, SOURCE, ALL, PAYLOAD, 0)]),
        ([BEGIN, ONE, THREE, TWO], [Broken(Fault.SEQUENCE, SOURCE)]),
        ([BEGIN, TWO, ONE, THREE], [Broken(Fault.SEQUENCE, SOURCE)]),
        ([ONE, TWO], [STRAY]),
        ([BEGIN, (ONE[0], ONE[1][:5]), TWO], [Broken(Fault.LENGTH, SOURCE)]),
        ([BEGIN, ONE, *transfer()], [Broken(Fault.INTERRUPTED, SOURCE), Group(PGN, SOURCE, ALL, PAYLOAD, 0)]),
        ([BEGIN, ONE, *transfer(pgn=OTHER)], [Broken(Fault.INTERRUPTED, SOURCE)]),
        ([(BEGIN[0], BEGIN[1][:7])], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(32, SOURCE, ALL, bytes((20, 0, 4, 0xFF))), ONE], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(32, SOURCE, ALL, bytes((8, 0, 2, 0xFF)))], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(32, SOURCE, ALL, b"\xff\xff\xff\xff")], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(32, SOURCE, THEM, bytes((20, 0, 3, 0xFF)))], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(16, SOURCE, ALL, bytes((20, 0, 3, 0xFF)))], [Broken(Fault.LENGTH, SOURCE)]),
        ([manage(7, SOURCE, ALL, bytes(4))], [Broken(Fault.CONTROL, SOURCE)]),
        ([*transfer(to=THEM)[:2], manage(255, THEM, SOURCE, bytes(4))], [Broken(Fault.ABORTED, SOURCE)]),
        ([*transfer(to=THEM)[:2], manage(255, SOURCE, THEM, bytes(4))], [Broken(Fault.ABORTED, SOURCE)]),
        ([*transfer(to=THEM)[:2], manage(19, THEM, SOURCE, bytes(4))], [Broken(Fault.SEQUENCE, SOURCE)]),
        ([*transfer(to=THEM)[:2], manage(17, THEM, SOURCE, bytes((1, 3, 255, 255)))], [Broken(Fault.SEQUENCE, SOURCE)]),
    ],
)
def test_deviations_are_events(frames: list[tuple[int, bytes]], events: list[J1939Event]) -> None:
    assert fed(frames) == events


def test_what_is_late_or_never_ends_is_cut_off() -> None:
    assert fed(transfer(), step_ns=BROADCAST_NS) == [Group(PGN, SOURCE, ALL, PAYLOAD, 3 * BROADCAST_NS)]
    assert fed(transfer(), step_ns=BROADCAST_NS + 1)[0] == Broken(Fault.TIMEOUT, SOURCE)
    framer = J1939Framer({PGN})
    framer.feed(*transfer(to=THEM)[0], 0)
    hold = manage(17, THEM, SOURCE, bytes((0, 0xFF, 0xFF, 0xFF)))
    events = [e for t in range(0, 2 * TRANSFER_NS, NS_PER_S) for e in framer.feed(*hold, t)]
    assert events == [Broken(Fault.TIMEOUT, SOURCE)]
    assert not framer.busy


def test_more_transfers_than_a_bus_has_end_the_oldest() -> None:
    framer = J1939Framer({PGN})
    for source in range(MAX_SESSIONS):
        assert framer.feed(*transfer(source=source)[0], source) == []
    assert framer.feed(*transfer(source=200)[0], 100) == [Broken(Fault.TOO_MANY, 0)]
    assert framer.busy == MAX_SESSIONS


TRANSPORT = st.tuples(
    st.sampled_from([0x1CEC_FF00, 0x1CEC_FA00, 0x1CEC_1700, 0x1CEB_FF00, 0x1CEB_FA00, 0x18FC_5E00, 0x18EC_0000]),
    st.integers(0, 255),
    st.one_of(
        st.binary(max_size=64),
        st.builds(
            lambda control, rest: bytes((control,)) + rest + PGN.to_bytes(3, "little"),
            st.sampled_from([16, 17, 19, 32, 255]),
            st.binary(min_size=4, max_size=4),
        ),
    ),
    st.integers(0, 2 * NS_PER_S),
)


@settings(deadline=None)
@given(st.lists(TRANSPORT, max_size=80))
def test_any_frames_are_survived_in_bounded_memory(frames: list[tuple[int, int, bytes, int]]) -> None:
    framer, now_ns = J1939Framer({PGN}, OWN), 0
    for base, source, data, step_ns in frames:
        now_ns += step_ns
        for event in framer.feed(EFF | base | source, data, now_ns):
            assert not isinstance(event, Group) or len(event.payload) <= MAX_BYTES
        assert framer.busy <= MAX_SESSIONS
    framer.expire(now_ns + TRANSFER_NS + 1)
    assert not framer.busy


@given(st.binary(min_size=9, max_size=MAX_BYTES), st.sampled_from([ALL, US, THEM]))
def test_any_payload_arrives_as_it_was(payload: bytes, to: int) -> None:
    assert Group(PGN, SOURCE, to, payload, 0) in fed(transfer(payload, to))


@settings(deadline=None)
@given(st.data())
def test_a_transfer_that_is_spoilt_gives_what_was_sent_or_nothing(data: st.DataObject) -> None:
    frames = transfer()
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(frames) - 1))
        j = data.draw(st.integers(0, len(frames) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "swap"]))
        if change == "double":
            frames.insert(i, frames[i])
        elif change == "swap":
            frames[i], frames[j] = frames[j], frames[i]
        elif len(frames) > 1:
            del frames[i]
    assert {e.payload for e in fed(frames) if isinstance(e, Group)} <= {PAYLOAD}


def table(source: int | None = None) -> Pgn:
    return Pgn(name=f"of {source}", pgn=PGN, source=source, field=(PgnField(quantity="state_of_health_pct", at=0),))


def single(source: int, mono_ns: int = 0) -> Frame:
    return Frame(EFF | 0x18FC_5E00 | source, bytes(8), mono_ns)


def test_a_group_without_a_source_is_its_first_senders_until_that_falls_silent() -> None:
    groups = Groups([table()])
    assert groups.feed(single(1)) == [Frame(GROUPS, bytes(8), 0)]
    assert groups.feed(single(2)) == []
    assert groups.needless == 1
    assert groups.feed(single(2, 11 * NS_PER_S)) == [Frame(GROUPS, bytes(8), 11 * NS_PER_S)]
    assert groups.feed(single(1, 12 * NS_PER_S)) == []


def test_two_batteries_are_told_apart_by_their_sources() -> None:
    groups = Groups([table(1), table(2)])
    assert [groups.feed(single(s))[0].address for s in (2, 1)] == [GROUPS + 1, GROUPS]
    assert groups.feed(single(3)) == []


def test_only_what_can_be_part_of_a_group_is_let_in() -> None:
    groups = Groups([table()])
    inside = [EFF | 0x18FC_5E42, EFF | 0x1CEC_FF42, EFF | 0x1CEB_1742]
    outside = [0x123, EFF | 0x18FC_5D42, EFF | 0x18EA_FF42, EFF | 0x19FC_5E42, EFF | 0x2000_0000 | 0x18FC_5E42]
    assert [a in groups for a in inside + outside] == [True] * 3 + [False] * 5
    assert [any(a & m == v & m for v, m in groups.masks) for a in inside + outside[:4]] == [True] * 3 + [False] * 4
    assert EFF | 0x1CEC_FF42 not in Groups([])


@pytest.mark.parametrize(
    ("bits", "limits"),
    [
        (1, None),
        (2, (1, 2)),
        (4, (13, 14)),
        (8, (0xFA, 0xFE)),
        (10, (1003, 1016)),
        (12, (0xFAF, 0xFE0)),
        (16, (0xFAFF, 0xFE00)),
        (24, (0xFA_FFFF, 0xFE_0000)),
        (32, (0xFAFF_FFFF, 0xFE00_0000)),
    ],
)
def test_what_says_error_and_not_available_is_as_the_standard_has_it(bits: int, limits: tuple[int, int] | None) -> None:
    assert indicators(bits) == limits


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_data_of_a_group_mean_what_the_standard_says(data: bytes) -> None:
    decode = HV.answers[GROUPS - ANSWERS]
    slots: list[float | None] = [None] * len(HV.channels)
    flaws: dict[int, int] = {}
    trouble = decode(data, slots, lambda slot, flaw: flaws.update({slot: flaw}))
    assert (trouble == SHORT) is (len(data) < 8)
    for slot, at, offset in ((0, 4, 0), (1, 6, -1600)):
        raw = int.from_bytes(data[at : at + 2], "little")
        if len(data) < at + 2:
            assert slots[slot] is None
            assert slot not in flaws
        elif raw > 0xFAFF:
            assert flaws[slot] == (Flaw.NOT_AVAILABLE if raw >= 0xFE00 else Flaw.OUT_OF_RANGE)
        else:
            assert slots[slot] == pytest.approx(raw * 0.05 + offset)

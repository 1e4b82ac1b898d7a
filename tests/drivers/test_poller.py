"""The poller by the clock: what is asked when, and what is made of any answer. No bus, and no waiting."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drivers.clocks import instant
from tests.drivers.ecus import ANSWER, CELLS, CHARGE, CURRENT, OTHER_ANSWER, TEMPERATURE, TO, write

from packseal.core.sample import NS_PER_S, EventCode, Frame, LinkCounts, Notice
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.isotp import single_frame
from packseal_drivers.guard import Guard, Permitted
from packseal_drivers.lines import Request
from packseal_drivers.poller import SLOT_NS, Poller, lanes

TICK_NS = 10_000_000
EFF = 0x8000_0000
ASK_CURRENT, ASK_CELLS = single_frame(b"\x22\x01\x01"), single_frame(b"\x22\x01\x02")
TEN = bytes.fromhex("62 01 01 00 0A")
FIRST = bytes.fromhex("10 43 62 01 02 01 02 03")
GO_ON = bytes.fromhex("30 00 00 00 00 00 00 00")


class Bench:
    """A poller, its clock, and everything that it has sent and told."""

    def __init__(self, requests: Sequence[Request], block_size: int = 0, separation: int = 0) -> None:
        self.counts = LinkCounts()
        guard = Guard(lanes(requests), self.counts)
        self.poller = Poller(requests, guard, self.counts, block_size=block_size, separation=separation)
        self.now_ns = 10 * NS_PER_S
        self.sent: list[tuple[int, int, bytes]] = []
        self.told: list[Notice] = []
        self.poller.opened(instant(self.now_ns))

    def tick(self, ns: int = TICK_NS) -> list[Permitted]:
        self.now_ns += ns
        sent = self.poller.due(instant(self.now_ns))
        self.sent += [(self.now_ns, p.address, p.data) for p in sent]
        self.told += self.poller.notices(instant(self.now_ns))
        return sent

    def wait(self, seconds: float, ns: int = TICK_NS) -> None:
        for _ in range(round(seconds * NS_PER_S) // ns):
            self.tick(ns)

    def until_asked(self, data: bytes, address: int = TO, seconds: float = 70) -> None:
        for _ in range(round(seconds * NS_PER_S) // TICK_NS):
            if any(p.data == data and p.address == address for p in self.tick()):
                return
        raise AssertionError(f"{data.hex()} is not asked")

    def hear(self, data: bytes, address: int = ANSWER) -> list[Frame]:
        return self.poller.take([Frame(address, data, self.now_ns)])

    def asked(self) -> list[tuple[int, bytes]]:
        return [(at, data) for at, _, data in self.sent if data[0] >> 4 == 0]

    def codes(self) -> list[EventCode]:
        return [notice.code for notice in self.told]


def bench(directory: Path, *tables: str) -> Bench:
    return Bench(write(directory, *tables).profile.request)


def test_an_answer_is_passed_on_as_that_of_its_request(tmp_path: Path) -> None:
    b = bench(tmp_path, CELLS, CURRENT)
    b.until_asked(ASK_CURRENT if b.tick()[0].data == ASK_CELLS and b.hear(single_frame(b"\x7f\x22\x31")) == [] else b"")
    assert b.hear(single_frame(TEN)) == [Frame(ANSWERS + 1, TEN, b.now_ns)]
    assert (b.counts.answers, b.counts.negative, b.counts.declined) == (1, 1, {0x31: 1})


def test_one_request_waits_at_each_control_unit_and_the_bus_has_one_rate(tmp_path: Path) -> None:
    b = bench(tmp_path, CELLS, CURRENT, TEMPERATURE)
    b.wait(0.2)
    assert [(address, data) for _, address, data in b.sent] == [
        (TO, ASK_CELLS),
        (EFF | 0x18DA_DBF1, single_frame(b"\x22\x91\xc8")),
    ]
    assert b.sent[1][0] - b.sent[0][0] >= SLOT_NS


def test_flow_control_is_sent_for_our_answer_only(tmp_path: Path) -> None:
    b = bench(tmp_path, CELLS)
    b.hear(FIRST)  # someone else's
    assert [p.data for p in b.tick()] == []
    b.wait(8)
    b.sent.clear()
    b.until_asked(ASK_CELLS)
    b.hear(FIRST)
    assert [p.data for p in b.tick()] == [GO_ON]
    b.hear(FIRST)
    assert b.tick() == []


def test_someone_elses_long_answer_is_not_let_go_on_while_ours_is_awaited(tmp_path: Path) -> None:
    b = bench(tmp_path, CELLS)
    b.until_asked(ASK_CELLS)
    b.hear(bytes.fromhex("10 43 62 F1 90 01 02 03"))
    assert b.tick() == []
    assert b.counts.requests == 1


def test_flow_control_in_blocks(tmp_path: Path) -> None:
    b = Bench(write(tmp_path, CELLS).profile.request, block_size=4, separation=0xF5)
    b.until_asked(ASK_CELLS)
    b.hear(FIRST)
    answers = []
    for i in range(1, 10):
        answers += b.hear(bytes((0x20 | i,)) + bytes(7))
    assert [p.data for p in b.tick()] == [bytes.fromhex("30 04 F5 00 00 00 00 00")] * 3
    assert [len(a.data) for a in answers] == [67]


def test_functional_requests_have_flow_control_sent_to_who_answers(tmp_path: Path) -> None:
    b = bench(tmp_path, CHARGE)
    b.until_asked(single_frame(b"\x01\x5b"), 0x7DF)
    b.hear(bytes.fromhex("10 0A 41 5B 00 00 00 00"))
    assert [(p.address, p.data) for p in b.tick()] == [(TO, GO_ON)]
    wide = CHARGE.replace("0x7DF", "0x18DB33F1").replace("0x7EC", "0x18DAF1DB")
    b = bench(tmp_path, wide)
    b.until_asked(single_frame(b"\x01\x5b"), EFF | 0x18DB_33F1)
    b.hear(bytes.fromhex("10 0A 41 5B 00 00 00 00"), EFF | OTHER_ANSWER)
    assert [(p.address, p.data) for p in b.tick()] == [(EFF | 0x18DA_DBF1, GO_ON)]


def test_a_sleeping_vehicle_is_asked_ever_more_seldom_and_at_least_once_a_minute(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT, CELLS)
    b.wait(600)
    times = [at for at, _ in b.asked()]
    gaps = [(later - earlier) / NS_PER_S for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 60 <= gaps[-1] <= 61
    assert len(times) < 20
    assert b.codes() == [EventCode.ECU_SILENT]
    assert b.counts.unanswered == b.counts.requests


def test_traffic_after_silence_wakes_and_traffic_all_the_time_does_not(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    b.wait(300)
    b.sent.clear()
    b.hear(bytes(8), 0x123)
    assert [p.data for p in b.tick()] == [ASK_CURRENT]
    for _ in range(30_000):
        b.hear(bytes(8), 0x123)
        b.tick()
    assert len(b.asked()) < 15
    assert b.codes() == [EventCode.ECU_SILENT]


def test_one_that_answers_again_is_asked_at_full_pace_at_once(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT, CELLS)
    b.wait(200)
    data = None
    while data is None:
        data = next((p.data for p in b.tick()), None)
    b.hear(single_frame(TEN) if data == ASK_CURRENT else single_frame(b"\x7f\x22\x31"))
    b.until_asked(ASK_CELLS if data == ASK_CURRENT else ASK_CURRENT, seconds=0.2)
    assert b.codes() == [EventCode.ECU_SILENT, EventCode.ECU_ANSWERS]


def test_a_late_answer_is_an_answer(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    b.until_asked(ASK_CURRENT)
    b.wait(0.4)
    assert b.counts.unanswered == 1
    assert b.hear(single_frame(TEN)) == [Frame(ANSWERS, TEN, b.now_ns)]
    assert b.counts.unexpected == 0


def test_one_that_asks_for_patience_for_ever_is_given_up(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    b.until_asked(ASK_CURRENT)
    began_ns = b.now_ns
    while not b.counts.unanswered:
        b.hear(single_frame(b"\x7f\x22\x78"))
        b.tick(NS_PER_S)
    assert 30 <= (b.now_ns - began_ns) / NS_PER_S <= 32
    assert b.counts.negative == 0


def test_a_promise_is_good_for_five_seconds(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    b.until_asked(ASK_CURRENT)
    b.hear(single_frame(b"\x7f\x22\x78"))
    b.wait(5.1)
    assert b.counts.unanswered == 0
    b.wait(0.2)
    assert b.counts.unanswered == 1


@pytest.mark.parametrize("code", [0x11, 0x12, 0x31, 0x33, 0x7E, 0x7F])
def test_what_is_declined_is_asked_once_a_minute_in_the_end_and_no_session_is_opened(code: int, tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    for _ in range(15):
        b.until_asked(ASK_CURRENT, seconds=61)
        b.hear(single_frame(bytes((0x7F, 0x22, code))))
    times = [at for at, _ in b.asked()]
    assert 60 <= (times[-1] - times[-2]) / NS_PER_S <= 61
    assert {data for _, data in b.asked()} == {ASK_CURRENT}
    assert b.counts.declined == {code: 15}


def test_a_busy_one_is_asked_again_at_its_pace(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    for _ in range(5):
        b.until_asked(ASK_CURRENT, seconds=0.2)
        b.hear(single_frame(b"\x7f\x22\x21"))
    assert b.counts.declined == {0x21: 5}


def test_another_tester_goes_first(tmp_path: Path) -> None:
    b = bench(tmp_path, CURRENT)
    b.until_asked(ASK_CURRENT)
    b.hear(single_frame(TEN))
    b.hear(single_frame(b"\x50\x03"))
    b.sent.clear()
    b.wait(4.9)
    assert (b.sent, b.counts.unexpected) == ([], 1)
    b.until_asked(ASK_CURRENT, seconds=0.3)


def test_two_transfers_that_run_into_each_other_are_no_answer(tmp_path: Path) -> None:
    b = bench(tmp_path, CELLS)
    b.until_asked(ASK_CELLS)
    b.hear(FIRST)
    b.hear(FIRST[:5] + b"\xff\xff\xff")
    for i in range(1, 10):
        assert b.hear(bytes((0x20 | i,)) + b"\xff" * 7) == []
    b.wait(1.5)
    assert b.counts.answers == 0
    assert b.codes() == [EventCode.ADDRESS_CLASH]


def test_tester_present_waits_for_no_answer_and_wakes_nobody(tmp_path: Path) -> None:
    present = CURRENT.replace("22 01 01", "3E 80").split("[[request.field]]")[0].replace('"current"', '"present"')
    b = bench(tmp_path, CURRENT, present)
    b.until_asked(ASK_CURRENT)
    b.hear(single_frame(TEN))
    b.until_asked(single_frame(b"\x3e\x80"))
    b.wait(300)
    b.sent.clear()
    b.wait(100)
    assert {data for _, data in b.asked()} == {ASK_CURRENT}


payloads = st.one_of(
    st.binary(max_size=16),
    st.sampled_from([FIRST, single_frame(TEN), single_frame(b"\x7f\x22\x78"), single_frame(b"\x7f\x22\x31"), b""]),
    st.builds(lambda i: bytes((0x20 | i,)) + bytes(7), st.integers(0, 15)),
)
steps = st.tuples(
    st.sampled_from([1, TICK_NS, SLOT_NS, NS_PER_S, 30 * NS_PER_S]),
    st.lists(st.tuples(st.sampled_from([ANSWER, EFF | OTHER_ANSWER, 0x123]), payloads), max_size=4),
)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Request]:
    return write(tmp_path_factory.mktemp("asked"), CELLS, CURRENT, TEMPERATURE).profile.request


@settings(deadline=None, max_examples=300)
@given(st.lists(steps, max_size=60))
def test_whatever_comes_it_goes_on_reading_at_its_rate(
    requests: Sequence[Request], script: list[tuple[int, list[tuple[int, bytes]]]]
) -> None:
    b = Bench(requests)
    for ns, frames in script:
        for address, data in frames:
            for frame in b.hear(data, address):
                assert frame.address == address == 0x123 or frame.address - ANSWERS in range(3)
        b.tick(ns)
    times = [at for at, _ in b.asked()]
    assert all(later - earlier >= SLOT_NS for earlier, later in pairwise(times))
    assert {data for _, _, data in b.sent} <= {ASK_CURRENT, ASK_CELLS, single_frame(b"\x22\x91\xc8"), GO_ON}
    assert len(b.sent) - len(times) <= len(times) * 2
    assert b.counts.refused == 0
    assert b.counts.requests - b.counts.answers - b.counts.negative >= 0
    b.wait(200, NS_PER_S // 10)  # and afterwards it still asks each of them
    asked = {data for at, data in b.asked() if at > b.now_ns - 190 * NS_PER_S}
    assert asked == {ASK_CURRENT, ASK_CELLS, single_frame(b"\x22\x91\xc8")}

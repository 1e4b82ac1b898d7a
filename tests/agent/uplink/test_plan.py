"""The planner with any sequence of replies: nothing is left out, nothing held is sent again, little is under way."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.sink import TrialSink
from tests.agent.uplink.written import AT, MemoryOutbox, dropped, write

from packseal.core import exchange, record
from packseal.core.bodies import Kind
from packseal.core.chain import Head, Pen
from packseal.core.exchange import LogEnd
from packseal.keys.file import FileSigner
from packseal.uplink.landing import Flight, Landing
from packseal.uplink.lane import Lane
from packseal.uplink.parcel import pack
from packseal.uplink.plan import Part, next_wish
from packseal.uplink.settings import SyncSettings
from packseal.uplink.status import SyncStatus
from packseal.uplink.terms import Order, Take, Terms

SIGNER, SINK_SIGNER = FileSigner(Ed25519PrivateKey.generate()), FileSigner(Ed25519PrivateKey.generate())
LOGS = (b"\x01" * 16, b"\x02" * 16)
T = TypeVar("T")
IN_FLIGHT = 3
LIMIT_RECORDS = 4
SETTINGS = SyncSettings(halted_s=0, busy_max_s=0, pause_min_s=0)


def outbox(logs: dict[bytes, str], holes: dict[bytes, tuple[int, int]]) -> MemoryOutbox:
    """Return logs of these kinds; of each hole the telemetry is removed, and the log's last record names it."""
    made = MemoryOutbox({})
    for log_id, kinds in logs.items():
        pen = Pen(SIGNER, GATEWAY, f"urn:example:battery:{log_id[0]}", log_id, bytes(8), Head())
        made.records[log_id] = write(pen, kinds)
        if log_id in holes:
            first, last = holes[log_id]
            made.records[log_id].append(pen.write(dropped(first, last), AT))
            made.named[log_id] = [(first, last)]
            made.gone[log_id] = {n for n in range(first, last + 1) if kinds[n] == "t"}
    return made


def world(made: MemoryOutbox, terms: Terms) -> "World":
    return World(made, TrialSink(SINK_SIGNER, SIGNER.public), terms)


@dataclass
class Sent:
    """One request under way, and the reply once the sink has acted on it."""

    flight: Flight
    request: bytes
    reply: bytes | None = None


@dataclass
class World:
    """A gateway's lanes and a sink, and between them a network that may do anything."""

    outbox: MemoryOutbox
    sink: TrialSink
    terms: Terms
    lanes: dict[bytes, Lane] = field(default_factory=dict)
    under_way: list[Sent] = field(default_factory=list)
    told: dict[bytes, set[int]] = field(default_factory=lambda: defaultdict(set))
    now: float = 0.0

    def __post_init__(self) -> None:
        self.landing = Landing(self.outbox, self.sink.key, _at_once, SETTINGS, SyncStatus(), _forked)
        for log_id in self.outbox.records:
            self.lanes[log_id] = Lane(log_id, self.outbox.head(log_id), 0)
            self.lanes[log_id].surveyed(self.outbox.head(log_id), self.outbox.holes(log_id))

    def launch(self) -> bool:
        """Send one more request, as the session does; return whether there was one to send."""
        if len(self.under_way) >= IN_FLIGHT:
            return False
        asking = [lane for lane in self.lanes.values() if lane.asks(self.now)]
        if asking:
            ends = [LogEnd(lane.log_id, lane.end.next_sequence, lane.end.previous) for lane in asking]
            return self._send(Flight(asking, None, 0.0), exchange.encode_position(ends))
        while (wish := next_wish(self.lanes.values(), self.terms, self.now)) is not None:
            parcel = pack(self.outbox, wish, LIMIT_RECORDS, 1 << 20)
            assert parcel.lost is None
            parcel.launched(self.now, 5.0)
            if parcel.is_empty:
                wish.lane.look_again()
                continue
            again = self.told[wish.lane.log_id] & set(parcel.numbers)
            assert not again or wish.part is Part.NAMES, f"{again} sent although the sink said that it holds them"
            flying = [s.flight.parcel for s in self.under_way if s.flight.parcel and s.flight.lanes == [wish.lane]]
            assert not set(parcel.numbers) & {n for other in flying for n in other.numbers}
            return self._send(Flight([wish.lane], parcel, 0.0), parcel.encode())
        return False

    def _send(self, flight: Flight, request: bytes) -> bool:
        for lane in flight.lanes:
            lane.in_flight += 1
            assert self.terms.ordered or lane.in_flight == 1
        self.under_way.append(Sent(flight, request))
        return True

    def act(self, sent: Sent) -> None:
        """Let the sink act on a request."""
        sent.reply = self.sink.handle(sent.request)

    async def land(self, sent: Sent) -> None:
        """Let a reply arrive."""
        if sent.reply is None:
            self.act(sent)
        assert sent.reply is not None
        self.under_way.remove(sent)
        reply = exchange.decode_reply(sent.reply)
        if sent.flight.asks:
            for lane in sent.flight.lanes:
                self.told[lane.log_id] = set()
        for log_id, ranges in reply.held.items():
            self.told[log_id] |= {n for first, end in ranges for n in range(first, end)}
        await self.landing.land(sent.flight, sent.reply, self.lanes, strict=True)

    def lose_connection(self) -> None:
        """Lose every request that the sink has not acted on, and every reply."""
        self.under_way.clear()
        for lane in self.lanes.values():
            lane.forget()

    def is_done(self) -> bool:
        return all(lane.confirmed == lane.end.next_sequence for lane in self.lanes.values())


async def _at_once(work: Callable[[], T], /) -> T:
    return work()


def _forked(_log_id: bytes, _receipt: exchange.Receipt) -> None:
    raise AssertionError("there is no fork")


KINDS = st.text("est", min_size=1, max_size=40)
TERMS = st.builds(
    Terms,
    take=st.just(Take.EVERYTHING),
    order=st.sampled_from(Order),
    ordered=st.booleans(),
    batch_records=st.integers(1, 6),
)
STEPS = st.lists(
    st.sampled_from(["launch", "act", "land", "land last", "lose", "restore", "busy", "time", "take", "again"])
)


@st.composite
def holes(draw: st.DrawFn, logs: dict[bytes, str]) -> dict[bytes, tuple[int, int]]:
    """Draw a hole for some logs."""
    found = {}
    for log_id, kinds in logs.items():
        if draw(st.booleans()):
            first = draw(st.integers(0, len(kinds) - 1))
            found[log_id] = (first, draw(st.integers(first, len(kinds) - 1)))
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.fixed_dictionaries(dict.fromkeys(LOGS, KINDS)), TERMS, STEPS)
def test_every_record_is_sent_until_receipted_and_nothing_held_again(
    data: st.DataObject, logs: dict[bytes, str], terms: Terms, steps: list[str]
) -> None:
    made = outbox(logs, data.draw(holes(logs)))
    play = world(made, terms)
    play.sink.early_limit = data.draw(st.sampled_from([0, 3, 1000]))

    async def scenario() -> None:
        for step in steps:
            await _step(play, step, data)
        play.sink.busy, play.sink.early_limit = 0, 1000
        await _settle(play, Take.SNAPSHOTS)
        for log_id in LOGS:
            urgent = outbox_urgent(made, log_id)
            assert urgent <= play.sink.early[log_id].keys() | set(range(len(play.sink.stored[log_id])))
        await _settle(play, Take.EVERYTHING)

    asyncio.run(scenario())
    assert play.is_done()
    assert {log_id: play.sink.present(log_id) for log_id in LOGS} == {log_id: made.raws(log_id) for log_id in LOGS}


def outbox_urgent(made: MemoryOutbox, log_id: bytes) -> set[int]:
    return {n for n, _ in made.entries(log_id, 0, 1 << 40, 1000, 1 << 30, urgent=True)}


async def _settle(play: World, take: Take) -> None:
    """Let a good network work until nothing more is to be sent."""
    play.terms = replace(play.terms, take=take)
    for _ in range(200):
        play.now += 5000.0
        while play.launch():
            pass
        while play.under_way:
            await play.land(play.under_way[0])


async def _step(play: World, step: str, data: st.DataObject) -> None:  # noqa: C901 - one case per step
    match step:
        case "launch":
            play.launch()
        case "act" | "land" | "land last" | "again" if play.under_way:
            # In order where the network keeps the order: every request before it reaches the sink first.
            last = len(play.under_way) - 1
            at = 0 if step == "land" else last if step == "land last" else data.draw(st.integers(0, last))
            for sent in play.under_way[: at + 1]:
                if sent.reply is None or step == "again":
                    play.act(sent)
            if step.startswith("land"):
                await play.land(play.under_way[at])
        case "lose":
            play.lose_connection()
        case "restore":  # the sink's database, from a copy without what came early
            play.sink.early.clear()
            play.lose_connection()
        case "busy":
            play.sink.busy = 2
        case "time":
            play.now += data.draw(st.sampled_from([1.0, 70.0, 5000.0]))
        case "take":
            play.terms = replace(play.terms, take=data.draw(st.sampled_from(Take)))


def test_the_newest_snapshots_go_first_then_events_then_the_rest_in_order() -> None:
    log = "tstste" * 10
    play = world(outbox(dict.fromkeys(LOGS, log), {}), Terms(batch_records=4))
    parts, kinds = asyncio.run(_sent(play))
    assert parts[:2] == [Part.PRESENT, Part.PRESENT]
    first_turn = parts.index(Part.TURN)
    assert set(parts[2:first_turn]) == {Part.EVENTS}
    assert Part.TURN not in parts[:first_turn]
    assert kinds[:2] == [[Kind.SNAPSHOT], [Kind.SNAPSHOT]]
    assert {kind for some in kinds[2:first_turn] for kind in some} == {Kind.EVENT}
    assert play.sink.repeated == 0


def test_the_backlog_goes_newest_first_where_that_is_wished() -> None:
    made = outbox({LOGS[0]: "t" * 30}, {})
    play = world(made, Terms(batch_records=4, order=Order.NEWEST_FIRST))
    asyncio.run(_sent(play))
    firsts = [sequence for _, _, sequence in play.sink.arrivals][::LIMIT_RECORDS]
    assert firsts[:6] == [26, 22, 18, 14, 10, 6]
    assert play.sink.present(LOGS[0]) == made.raws(LOGS[0])


def test_where_nothing_goes_out_of_turn_the_gap_record_of_a_hole_goes_in_a_batch_before_what_follows_it() -> None:
    made = outbox({LOGS[0]: "tttttttt"}, {LOGS[0]: (3, 5)})
    play = world(made, Terms())
    play.sink.early_limit = 0
    parts, kinds = asyncio.run(_sent(play))
    assert parts[:2] == [Part.EVENTS, Part.NAMES], "first refused, then taken"
    assert kinds[1] == [Kind.GAP]
    assert play.sink.present(LOGS[0]) == made.raws(LOGS[0])


def test_a_gap_record_whose_number_the_sink_holds_of_another_history_goes_all_the_same() -> None:
    made = outbox({LOGS[0]: "tttttttt"}, {LOGS[0]: (3, 5)})
    fork = outbox({LOGS[0]: "t" * 9}, {})
    play = world(made, Terms())
    play.sink.handle(exchange.encode_early([fork.raws(LOGS[0])[8]]))
    parts, kinds = asyncio.run(_sent(play))
    assert Part.NAMES in parts, kinds
    assert play.lanes[LOGS[0]].confirmed >= 8


def test_what_was_under_way_out_of_turn_when_the_link_was_lost_goes_again() -> None:
    play = world(outbox({LOGS[0]: "sese"}, {}), Terms(take=Take.EVENTS, batch_records=9))

    async def scenario() -> None:
        play.launch()
        await play.land(play.under_way[0])
        assert play.launch()
        play.lose_connection()
        await _sent(play)

    asyncio.run(scenario())
    assert sorted(play.sink.early[LOGS[0]]) == [1, 3]


def test_what_a_restored_sink_no_longer_holds_out_of_turn_goes_again() -> None:
    play = world(outbox({LOGS[0]: "tsts"}, {}), Terms(take=Take.SNAPSHOTS, batch_records=9))
    asyncio.run(_sent(play))
    assert sorted(play.sink.early[LOGS[0]]) == [1, 3]
    play.sink.early[LOGS[0]].clear()
    play.lose_connection()
    asyncio.run(_sent(play))
    assert sorted(play.sink.early[LOGS[0]]) == [1, 3]


def test_a_short_backlog_goes_in_plain_order() -> None:
    play = world(outbox({LOGS[0]: "tse" * 2}, {}), Terms(batch_records=6))
    parts, _ = asyncio.run(_sent(play))
    assert set(parts) == {Part.TURN}


def test_over_a_link_for_snapshots_no_telemetry_goes() -> None:
    play = world(outbox({LOGS[0]: "tste" * 5}, {}), Terms(take=Take.SNAPSHOTS, batch_records=4))
    _, kinds = asyncio.run(_sent(play))
    assert {kind for some in kinds for kind in some} == {Kind.SNAPSHOT, Kind.EVENT}
    assert sorted(play.sink.early[LOGS[0]]) == [n for n in range(20) if n % 4 in (1, 3)]


def test_of_an_exhausted_budget_only_events_take_the_reserve() -> None:
    play = world(outbox({LOGS[0]: "tste" * 5}, {}), Terms(take=Take.EVENTS, batch_records=4))
    _, kinds = asyncio.run(_sent(play))
    assert {kind for some in kinds for kind in some} == {Kind.EVENT}


def test_an_older_sink_gets_everything_in_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    made = outbox(dict.fromkeys(LOGS, "ts" * 20), {})
    play = world(made, Terms(batch_records=4))
    play.sink.older = True
    asyncio.run(_sent(play))
    assert play.sink.present(LOGS[1]) == made.raws(LOGS[1])
    assert [r.message for r in caplog.records] == [
        "the sink takes records only in their turn: the newest snapshot comes after the backlog"
    ]


async def _sent(play: World) -> tuple[list[Part], list[list[Kind]]]:
    """Send one request after the other until nothing more may go; return what they held."""
    parts, kinds = [], []
    while play.launch():
        sent = play.under_way[0]
        if (parcel := sent.flight.parcel) is not None:
            parts.append(parcel.wish.part)
            kinds.append([record.parse(raw).kind for _, raw in parcel.entries])
        await play.land(sent)
        play.terms = replace(play.terms, early=play.landing.takes_early(asyncio.get_running_loop().time()))
    return parts, kinds

"""The engine's own decisions, over the memory uplink and a real journal."""

import asyncio
import logging
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.agent.uplink.gateway import FAST, Gateway
from tests.agent.uplink.sink import TrialSink

from packseal.core import exchange
from packseal.core.errors import StorageError
from packseal.core.exchange import Batch, Refusal, Refused, Reply
from packseal.keys.file import FileSigner
from packseal.uplink.memory import Faults, MemoryUplink
from packseal.uplink.sync import Sync, SyncSettings

pytestmark = pytest.mark.timeout(60)

Scenario = Callable[[Gateway], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path, gateway_key: FileSigner) -> Callable[[Scenario], None]:
    """Run a scenario with a gateway of two logs."""

    def _play(scenario: Scenario) -> None:
        async def run() -> None:
            async with asyncio.timeout(20), Gateway(tmp_path / "journal.db", gateway_key, logs=2) as gateway:
                await scenario(gateway)

        asyncio.run(run())

    return _play


def test_a_busy_sink_is_asked_again_until_it_takes_everything(
    play: Callable[[Scenario], None], sink: TrialSink
) -> None:
    async def scenario(gateway: Gateway) -> None:
        sink.busy = 3
        await gateway.write(20)
        sync = gateway.start(MemoryUplink(sink.handle), sink.key)
        await gateway.delivered()
        assert sink.busy == 0
        assert sync.status.halted == {}

    play(scenario)


def test_silence_is_noticed_and_the_link_taken_up_again(play: Callable[[Scenario], None], sink: TrialSink) -> None:
    async def scenario(gateway: Gateway) -> None:
        uplink = MemoryUplink(sink.handle, Faults(silent=True))
        await gateway.write(20)
        gateway.start(uplink, sink.key, SyncSettings(silence_s=0.1, pause_min_s=0.01))
        await gateway.until(lambda s: "silent" in s.status.last_error)
        uplink.faults.silent = False
        await gateway.delivered()
        assert uplink.connections > 1

    play(scenario)


def test_a_slow_sink_that_still_answers_is_not_taken_for_silent(
    play: Callable[[Scenario], None], sink: TrialSink
) -> None:
    async def scenario(gateway: Gateway) -> None:
        uplink = MemoryUplink(sink.handle, Faults(delay_s=0.1))
        await gateway.write(100)
        gateway.start(uplink, sink.key, SyncSettings(batch_records=10, in_flight=2, silence_s=0.3))
        await gateway.delivered()
        assert uplink.connections == 1

    play(scenario)


def test_batches_shrink_until_they_fit_a_link_that_drops_large_ones_and_grow_again(
    play: Callable[[Scenario], None], sink: TrialSink
) -> None:
    sizes: list[int] = []

    async def scenario(gateway: Gateway) -> None:
        def narrow(request: bytes) -> bytes:
            sizes.append(len(request))
            uplink.faults.lose_replies = int(len(request) > 20_000)
            return sink.handle(request) if len(request) <= 20_000 else b""

        uplink = MemoryUplink(narrow, reply_timeout_s=0.01)
        settings = SyncSettings(pause_min_s=0.01, pause_max_s=0.01, in_flight=1)
        await gateway.write(1000)
        gateway.start(uplink, sink.key, settings)
        await gateway.delivered()
        assert sink.stored[gateway.ids[0]] == await gateway.raws()

    play(scenario)
    assert max(sizes) > 20_000
    largest_that_fit = max(size for size in sizes if size <= 20_000)
    assert largest_that_fit > 5_000


def test_a_refused_log_is_tried_again_later(play: Callable[[Scenario], None], sink: TrialSink) -> None:
    known = False

    def handler(request: bytes) -> bytes:
        if known:
            return sink.handle(request)
        refusal = Refused(b"\x01" * 16, Refusal.UNKNOWN_GATEWAY, 0, "enrol it first")
        return exchange.encode_reply(Reply((), [refusal]))

    async def scenario(gateway: Gateway) -> None:
        nonlocal known
        await gateway.write(5)
        sync = gateway.start(MemoryUplink(handler), sink.key, SyncSettings(halted_s=0.1))
        await gateway.until(lambda s: s.status.halted)
        assert sync.status.halted == {"01" * 16: "the sink refuses record 0 (UNKNOWN_GATEWAY): enrol it first"}
        known = True
        await gateway.delivered()
        await gateway.until(lambda s: s.status.halted == {})

    play(scenario)


def test_a_pause_that_ends_while_the_engine_is_busy_is_not_slept_over(
    play: Callable[[Scenario], None], sink: TrialSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is slow just between the look at what may be sent and the look at how long to wait."""
    count, answers = Sync._count, iter([b"nonsense"])

    def slow_count(sync: Sync) -> int:
        if sync.status.halted:
            time.sleep(0.1)
        return count(sync)

    async def scenario(gateway: Gateway) -> None:
        await gateway.write(5)
        uplink = MemoryUplink(lambda request: next(answers, None) or sink.handle(request))
        gateway.start(uplink, sink.key, SyncSettings(halted_s=0.075))
        await gateway.delivered()

    monkeypatch.setattr(Sync, "_count", slow_count)
    play(scenario)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"nonsense", "reply is not well-formed CBOR"),
        (exchange.encode_reply(Reply()), "takes nothing from record 0 on"),
    ],
)
def test_an_answer_without_sense_or_progress_halts_instead_of_spinning(
    play: Callable[[Scenario], None], sink: TrialSink, answer: bytes, why: str
) -> None:
    calls = 0

    def handler(_: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return answer

    async def scenario(gateway: Gateway) -> None:
        await gateway.write(5)
        gateway.start(MemoryUplink(handler), sink.key)
        await gateway.until(lambda s: why in s.status.halted.get("01" * 16, ""))
        assert calls < 20

    play(scenario)


def test_a_record_that_was_lost_on_the_way_sends_the_log_back_to_the_sinks_position(
    play: Callable[[Scenario], None], sink: TrialSink
) -> None:
    batches = 0

    def forgetful(request: bytes) -> bytes:
        nonlocal batches
        if isinstance(exchange.decode_request(request), Batch):
            batches += 1
            if batches == 2:
                return exchange.encode_reply(Reply())
        return sink.handle(request)

    async def scenario(gateway: Gateway) -> None:
        await gateway.write(400)
        sync = gateway.start(MemoryUplink(forgetful), sink.key)
        await gateway.delivered()
        assert sync.status.records_sent > 400
        assert sink.stored[gateway.ids[0]] == await gateway.raws()

    play(scenario)


def test_a_log_that_begins_while_connected_is_delivered(play: Callable[[Scenario], None], sink: TrialSink) -> None:
    async def scenario(gateway: Gateway) -> None:
        uplink = MemoryUplink(sink.handle)
        gateway.start(uplink, sink.key)
        await gateway.until(lambda s: s.status.connected)
        gateway.ids.append(b"\x09" * 16)
        gateway.pens.append(await gateway.run(lambda: gateway._begin(gateway.ids[-1])))
        await gateway.write(3, log=2)
        await gateway.delivered()
        assert len(sink.stored[gateway.ids[2]]) == 3
        assert uplink.connections == 1

    play(scenario)


@contextmanager
def _nothing_can_be_written() -> Iterator[None]:
    """Let every write of this process to a file fail, also after it was opened anew."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_journal_that_cannot_keep_a_receipt_does_not_stop_delivery(
    play: Callable[[Scenario], None], sink: TrialSink
) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.write(30)
        with _nothing_can_be_written():
            sync = gateway.start(MemoryUplink(sink.handle), sink.key)
            await gateway.until(lambda s: s.status.records_outstanding == 0 and s.status.connected)
            assert len(sink.stored[gateway.ids[0]]) == 30
            assert "fails" in sync.status.last_error
            with pytest.raises(StorageError):
                await gateway.write(1)

    play(scenario)


def test_an_outage_is_logged_once_and_its_end_once(
    play: Callable[[Scenario], None], sink: TrialSink, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(gateway: Gateway) -> None:
        uplink = MemoryUplink(sink.handle, Faults(refuse=True))
        sync = gateway.start(uplink, sink.key, FAST)
        await gateway.until(lambda _: sync._failures > 3)
        uplink.faults.refuse = False
        await gateway.until(lambda s: s.status.connected)

    with caplog.at_level(logging.INFO, "packseal.uplink"):
        play(scenario)
    assert [r.getMessage() for r in caplog.records] == [
        "not connected to the sink: the sink refuses the connection",
        "connected to the sink",
    ]


def test_what_is_outstanding_is_counted(play: Callable[[Scenario], None], sink: TrialSink) -> None:
    async def scenario(gateway: Gateway) -> None:
        uplink = MemoryUplink(sink.handle, Faults(silent=True))
        await gateway.write(20)
        await gateway.write(3, log=1)
        sync = gateway.start(uplink, sink.key, SyncSettings(silence_s=0.2))
        await gateway.until(lambda s: s.status.records_outstanding == 23)
        uplink.faults.silent = False
        await gateway.until(lambda s: s.status.records_outstanding == 0 and s.status.connected)
        assert sync.status.bytes_sent > 0
        assert sync.status.batches_sent == 2

    play(scenario)

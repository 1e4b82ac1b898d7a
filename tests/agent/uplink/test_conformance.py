"""What every uplink must do, seen from both ends: a real journal and a sink that stores what it verified."""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.agent.uplink.conftest import OpenWay
from tests.agent.uplink.gateway import Gateway
from tests.agent.uplink.sink import TrialSink

from packseal.core.errors import UplinkError
from packseal.core.exchange import encode_position
from packseal.keys.file import FileSigner
from packseal.uplink.memory import Faults

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 30


def test_everything_arrives_once_and_in_order(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write(1234)
            sync = gateway.start(way.uplink, sink.key)
            await gateway.delivered()
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            assert (sink.repeated, sync.status.records_sent) == (0, 1234)
            await gateway.until(lambda s: s.status.records_outstanding == 0)
            assert sync.status.connected
            assert sync.status.last_receipt_wall_ms is not None

    asyncio.run(scenario())


def test_a_new_record_goes_out_at_once(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            gateway.start(way.uplink, sink.key)
            await gateway.until(lambda s: s.status.connected)
            for _ in range(20):
                async with asyncio.timeout(5):  # nothing polls: without the notice it would wait for ever
                    await gateway.write(1)
                    await gateway.delivered()
            assert sink.stored[gateway.ids[0]] == await gateway.raws()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["lose_requests", "lose_replies", "duplicate_requests"])
def test_what_is_lost_or_doubled_on_the_way_is_stored_once(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path, fault: str
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            sync = gateway.start(way.uplink, sink.key)
            await gateway.until(lambda s: s.status.connected)
            setattr(way.faults, fault, 2)
            await gateway.write(1000)
            await gateway.delivered()
            assert getattr(way.faults, fault) == 0
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            assert sync.status.halted == {}

    asyncio.run(scenario())


def test_a_restart_goes_on_at_the_sinks_position(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way:
            async with Gateway(tmp_path / "j.db", gateway_key) as gateway:
                await gateway.write(300)
                gateway.start(way.uplink, sink.key)
                await gateway.delivered()
            async with Gateway(tmp_path / "j.db", gateway_key) as gateway:
                await gateway.write(50)
                sync = gateway.start(way.uplink, sink.key)
                await gateway.delivered()
                assert sync.status.records_sent == 50
                assert sink.stored[gateway.ids[0]] == await gateway.raws()

    asyncio.run(scenario())


def test_a_sink_that_fell_behind_its_receipts_gets_the_records_again(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write(200)
            gateway.start(way.uplink, sink.key)
            await gateway.delivered()
            await gateway.stop()
            del sink.stored[gateway.ids[0]][70:]
            gateway.start(way.uplink, sink.key)
            await gateway.until(lambda _: len(sink.stored[gateway.ids[0]]) == 200)
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            assert "needs record 70 again" in caplog.text

    asyncio.run(scenario())


def test_a_sink_that_is_ahead_of_the_journal_halts_that_log_only(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way:
            async with Gateway(tmp_path / "newer.db", gateway_key) as newer:
                await newer.write(20)
                newer.start(way.uplink, sink.key)
                await newer.delivered()
            async with Gateway(tmp_path / "older.db", gateway_key, logs=2) as older:
                await older.write(5)
                await older.write(7, log=1)
                sync = older.start(way.uplink, sink.key)
                await older.until(lambda s: s.status.halted and len(sink.stored[older.ids[1]]) == 7)
                assert "this journal ends before 5" in sync.status.halted[older.ids[0].hex()]
                assert older.ids[1].hex() not in sync.status.halted
                assert (await older.run(lambda: older.journal.delivered(older.ids[0]))) == 0
                assert len(sink.stored[older.ids[0]]) == 20

    asyncio.run(scenario())


def test_a_forked_log_is_halted_and_the_others_go_on(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way:
            async with Gateway(tmp_path / "first.db", gateway_key) as first:
                await first.write(5)
                first.start(way.uplink, sink.key)
                await first.delivered()
            async with Gateway(tmp_path / "second.db", gateway_key, logs=2) as second:
                await second.write(30, mono_ns=1_000_000)  # the same log id and key, other records
                await second.write(9, log=1)
                sync = second.start(way.uplink, sink.key)
                await second.until(lambda s: s.status.halted and len(sink.stored[second.ids[1]]) == 9)
                assert "does not hold" in sync.status.halted[second.ids[0].hex()]
                assert len(sink.stored[second.ids[0]]) == 5
                assert set(sink.forks) == {4}, "the sink has seen the record that contradicts its own"

    asyncio.run(scenario())


def test_receipts_of_another_key_are_never_acknowledged(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        pinned = FileSigner(Ed25519PrivateKey.generate()).public
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write(10)
            sync = gateway.start(way.uplink, pinned)
            await gateway.until(lambda s: s.status.halted)
            assert "not signed by the sink's key" in sync.status.halted[gateway.ids[0].hex()]
            assert "not signed by the sink's key" in sync.status.state
            assert not sync.status.connected
            assert (await gateway.run(lambda: gateway.journal.delivered(gateway.ids[0]))) == 0
            assert (await gateway.run(lambda: gateway.journal.receipt(gateway.ids[0]))) is None

    asyncio.run(scenario())


def test_several_logs_are_delivered_side_by_side(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            asyncio.timeout(LIMIT_S),
            open_way(sink) as way,
            Gateway(tmp_path / "j.db", gateway_key, logs=5) as gateway,
        ):
            for log in range(5):
                await gateway.write(100 + 50 * log, log)
            gateway.start(way.uplink, sink.key)
            await gateway.delivered()
            for log in range(5):
                assert sink.stored[gateway.ids[log]] == await gateway.raws(log)

    asyncio.run(scenario())


def test_exchanges_after_a_loss_fail_until_it_is_entered_again(open_way: OpenWay, sink: TrialSink) -> None:
    async def scenario() -> None:
        request = encode_position([])
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way:
            way.faults.lose_replies = 1
            with pytest.raises(UplinkError, match="did not answer"):
                async with way.uplink:
                    await way.uplink.exchange(request)
            async with way.uplink:
                replies = await asyncio.gather(*(way.uplink.exchange(request) for _ in range(10)))
            assert len(set(replies)) == 1
            assert way.faults == Faults()

    asyncio.run(scenario())

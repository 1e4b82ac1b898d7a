"""Catching up after a long outage, over every uplink: what goes first, holes, faults, and a sink that is older."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.uplink.conftest import OpenWay
from tests.agent.uplink.gateway import FAST, Gateway
from tests.agent.uplink.sink import TrialSink

from packseal.keys.file import FileSigner
from packseal.uplink.link import Link, Policy
from packseal.uplink.terms import Carries, Order

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 30
BACKLOG = "ttttttttte" * 24 + "ts" * 10
"""260 records: long against batches of 40."""
SETTINGS = replace(FAST, batch_records=40)
NEWEST_SNAPSHOT = len(BACKLOG) - 1


def test_the_newest_snapshot_of_every_battery_goes_first_then_events_then_the_backlog(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            asyncio.timeout(LIMIT_S),
            open_way(sink) as way,
            Gateway(tmp_path / "j.db", gateway_key, logs=2) as gateway,
        ):
            for log in range(2):
                await gateway.write_kinds(BACKLOG, log)
            sync = gateway.start(way.uplink, sink.key, SETTINGS)
            await gateway.delivered()
            came = [(log_id[0], sequence) for _, log_id, sequence in sink.arrivals]
            if way.uplink.ordered:
                assert sorted(came[:2]) == [(1, NEWEST_SNAPSHOT), (2, NEWEST_SNAPSHOT)]
            events = [n for n, letter in enumerate(BACKLOG) if letter == "e"]
            for log in (1, 2):
                own = [sequence for number, sequence in came if number == log]
                assert own[: 1 + len(events)] == [NEWEST_SNAPSHOT, *events]
            for log in range(2):
                assert sink.stored[gateway.ids[log]] == await gateway.raws(log)
            assert (sink.repeated, sync.status.records_sent) == (0, 2 * len(BACKLOG))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ("lose_requests", Order.NEWEST_FIRST),
        ("lose_replies", Order.OLDEST_FIRST),
        ("duplicate_requests", Order.NEWEST_FIRST),
    ],
)
def test_holes_are_passed_over_whatever_happens_on_the_way(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path, fault: str, order: Order
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write_kinds(BACKLOG)
            await gateway.drop(100, 238)
            await gateway.write_kinds("ts")
            await gateway.drop(0, 3)
            setattr(way.faults, fault, 2)
            gateway.start([Link("only", way.uplink, Policy(order))], sink.key, SETTINGS)
            await gateway.delivered()
            await gateway.write_kinds("ts" * 10)
            await gateway.delivered()
            assert getattr(way.faults, fault) == 0
            assert sink.present(gateway.ids[0]) == await gateway.raws()
            assert gateway.sync is not None
            assert gateway.sync.status.halted == {}

    asyncio.run(scenario())


def test_telemetry_waits_where_a_link_is_for_snapshots_and_follows_over_another(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write_kinds("tste" * 50)
            narrow = Link("lte", way.uplink, Policy(carries=Carries.SNAPSHOTS))
            sync = gateway.start([narrow], sink.key)
            await gateway.until(lambda s: s.settled and len(sink.early[gateway.ids[0]]) == 100)
            assert "telemetry waits for another link" in sync.waiting()
            assert [link.carries for link in sync.links()] == ["snapshots"]
            await gateway.write_kinds("ts")
            await gateway.until(lambda _: len(sink.early[gateway.ids[0]]) == 101)
            await gateway.stop()
            gateway.start(way.uplink, sink.key)
            await gateway.delivered()
            assert sink.repeated == 0
            assert sink.stored[gateway.ids[0]] == await gateway.raws()

    asyncio.run(scenario())


def test_an_older_sink_gets_the_backlog_in_plain_order(
    open_way: OpenWay, sink: TrialSink, gateway_key: FileSigner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        sink.older = True
        async with asyncio.timeout(LIMIT_S), open_way(sink) as way, Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write_kinds(BACKLOG)
            gateway.start(way.uplink, sink.key, SETTINGS)
            await gateway.delivered()
            assert [sequence for _, _, sequence in sink.arrivals] == list(range(len(BACKLOG)))
            assert caplog.text.count("takes records only in their turn") == 1

    asyncio.run(scenario())

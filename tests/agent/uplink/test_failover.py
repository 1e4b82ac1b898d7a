"""Several links to one sink: the next is used when the preferred does not answer, and left when that does again."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.uplink.gateway import FAST, GATEWAY, Gateway
from tests.agent.uplink.servers import HttpSink, broker, free_port, mqtt_sink
from tests.agent.uplink.sink import TrialSink

from packseal.keys.file import FileSigner
from packseal.uplink.budget import Budget, Cost, Limits
from packseal.uplink.https import HttpsUplink
from packseal.uplink.link import Link, Policy
from packseal.uplink.memory import Faults, MemoryUplink
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.sync import Sync
from packseal.uplink.tally import Tally
from packseal.uplink.terms import Carries

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 40
NOON, DAY_S = 20_000 * 86_400.0 + 43_200, 86_400.0
QUICK = replace(FAST, again_s=0.05, again_max_s=0.1, rest_s=0.05)
FREE = Cost(0, 0, 0.0, 0.0)


def used(sync: Sync) -> str:
    return next((link.name for link in sync.links() if link.state == "in use"), "")


def test_a_broker_that_dies_is_left_for_https_and_used_again_when_it_is_back(
    sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        port = free_port()
        async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
            web = await stack.enter_async_context(HttpSink(sink.handle, Faults(), None).serving())
            gateway = await stack.enter_async_context(Gateway(tmp_path / "j.db", gateway_key))
            first = Link("broker", MqttUplink(MqttSettings("localhost", port), GATEWAY))
            second = Link("web", HttpsUplink(f"http://localhost:{web}"))
            for phase in range(2):
                with broker(tmp_path, None, port=port):
                    async with mqtt_sink("localhost", port, None, sink.handle, Faults()):
                        if phase == 0:
                            await gateway.write(300)
                            gateway.start([first, second], sink.key, QUICK)
                        await gateway.until(lambda s: used(s) == "broker")
                        await gateway.write(200)
                        await gateway.delivered()
                await gateway.write(200)
                await gateway.until(lambda s: used(s) == "web")
                await gateway.delivered()
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            assert sink.repeated == 0

    asyncio.run(scenario())


def test_the_preferred_link_is_tried_at_a_bounded_pace_while_another_works(
    sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        faults = Faults(refuse=True)
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            first, second = MemoryUplink(sink.handle, faults), MemoryUplink(sink.handle)
            sync = gateway.start([Link("first", first), Link("second", second)], sink.key, QUICK)
            await gateway.write_each(100, 1.0)
            await gateway.delivered()
            assert used(sync) == "second"
            assert second.connections == 1
            trouble = {link.name: link.state for link in sync.links()}
            assert trouble == {"first": "the sink refuses the connection", "second": "in use"}
            faults.refuse = False
            await gateway.until(lambda s: used(s) == "first")
            assert first.connections == 2, "one question, and then it was used"
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            assert sink.repeated == 0

    asyncio.run(scenario())


def test_a_link_whose_answers_do_not_count_is_left(sink: TrialSink, gateway_key: FileSigner, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            portal = Link("portal", MemoryUplink(lambda _: b"<html>sign in</html>"))
            sync = gateway.start([portal, Link("honest", MemoryUplink(sink.handle))], sink.key, QUICK)
            await gateway.write(50)
            await gateway.delivered()
            assert used(sync) == "honest"
            assert "does not count" in sync.links()[0].state
            assert sync.status.halted == {}

    asyncio.run(scenario())


def test_a_used_up_budget_hands_over_to_the_next_link_and_back_on_the_next_day(
    sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    now = NOON

    async def scenario() -> None:
        nonlocal now
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            cheap = Link("cheap", MemoryUplink(sink.handle), budget=Budget(Limits(bytes_per_day=30_000)), cost=FREE)
            dear = Link("dear", MemoryUplink(sink.handle))
            sync = gateway.start([cheap, dear], sink.key, QUICK, wall_s=lambda: now)
            for _ in range(20):
                await gateway.write_kinds("t" * 50)
                await gateway.delivered()
            assert used(sync) == "dear"
            assert sync.links()[0].state == "today's 0.03 MB of cheap are used up until 2024-10-05 00:00 UTC"
            assert sync.waiting() == ""
            now += DAY_S
            await gateway.write_kinds("t")
            await gateway.until(lambda s: used(s) == "cheap")
            assert sink.stored[gateway.ids[0]] == await gateway.raws()

    asyncio.run(scenario())


def test_when_every_budget_is_used_up_events_take_the_reserve_and_the_rest_waits_for_the_day(
    sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    now, limit = NOON, 200_000

    def link(tally: Tally) -> Link:
        budget = Budget(Limits(bytes_per_day=limit), tally.of("only"))
        return Link("only", MemoryUplink(sink.handle), budget=budget, cost=FREE)

    async def scenario() -> None:
        nonlocal now
        path = tmp_path / "uplinks.json"
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            log = gateway.ids[0]
            only = link(Tally(path))
            sync = gateway.start([only], sink.key, QUICK, tally=Tally(path), wall_s=lambda: now)
            await gateway.write_kinds("t" * 5)
            await gateway.delivered()
            only.budget.spend(limit * 0.96 - only.budget.spent(now), 0, now)
            await gateway.write_kinds("tst")
            await gateway.until(lambda s: s.settled)
            assert len(sink.stored[log]) == 5
            assert "3 records wait: today's 0.2 MB of only are used up until" in sync.status.state
            await gateway.write_kinds("e")
            await gateway.until(lambda _: sorted(sink.early[log]) == [8])
            only.budget.spend(limit, 0, now)
            await gateway.write_kinds("e")
            await gateway.until(lambda s: s.settled)
            await gateway.stop()
            sync = gateway.start([link(Tally(path))], sink.key, QUICK, tally=Tally(path), wall_s=lambda: now)
            await gateway.until(lambda s: s.settled)
            assert len(sink.stored[log]) == 5, "a restart gives no second budget"
            now += DAY_S
            await gateway.delivered()
            assert sink.stored[log] == await gateway.raws()
            assert sink.repeated == 0

    asyncio.run(scenario())


def test_a_link_for_snapshots_is_left_for_one_that_carries_everything(
    sink: TrialSink, gateway_key: FileSigner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            wifi = MemoryUplink(sink.handle, Faults(refuse=True))
            lte = Link("lte", MemoryUplink(sink.handle), Policy(carries=Carries.SNAPSHOTS))
            await gateway.write_kinds("ts" * 30)
            sync = gateway.start([Link("wifi", wifi), lte], sink.key, QUICK)
            await gateway.until(lambda s: s.settled and len(sink.early[gateway.ids[0]]) == 30)
            assert used(sync) == "lte"
            wifi.faults.refuse = False
            await gateway.delivered()
            assert used(sync) == "wifi"
            assert sink.repeated == 0
            assert sink.stored[gateway.ids[0]] == await gateway.raws()

    asyncio.run(scenario())


def test_a_rate_is_kept(sink: TrialSink, gateway_key: FileSigner, tmp_path: Path) -> None:
    sizes: list[int] = []

    def handle(request: bytes) -> bytes:
        sizes.append(len(request))
        return sink.handle(request)

    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "j.db", gateway_key) as gateway:
            await gateway.write(400)
            budget = Budget(Limits(bytes_per_s=20_000))
            gateway.start([Link("slow", MemoryUplink(handle), budget=budget, cost=FREE)], sink.key, QUICK)
            began = asyncio.get_running_loop().time()
            await gateway.delivered()
            took_s = asyncio.get_running_loop().time() - began
            # What may go at once after a pause, and one batch more.
            assert took_s >= (sum(sizes) - max(sizes)) / 20_000 - 2.0

    asyncio.run(scenario())

"""Plain JSON over MQTT, on a real broker and a real journal: what is published when, and what stays."""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.agent.publish.gateway import BATTERY, WINDOW_S, at, station
from tests.agent.publish.json_scene import DEVICE, OTHER, TOPICS, scene, settings
from tests.agent.publish.receiver import broker, ear, until
from tests.agent.runtime.scripted import GATEWAY

from packseal.core.sample import EventCode, LinkState, Notice
from packseal.publish import documents
from packseal.publish.mqtt_json import MqttJsonPublisher

pytestmark = pytest.mark.timeout(60)
SECOND_WINDOW = documents.utc(at(2 * WINDOW_S).wall_ns // 1_000_000) or ""


def test_the_newest_snapshot_waits_for_whoever_comes_late(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path) as (gateway, publisher, heard, port):
            gateway.seal(BATTERY)
            gateway.seal(BATTERY, 2)
            await until(gateway.drivers[BATTERY].said.empty)
            await heard.until(lambda e: e.payloads("/snapshot") and e.last("/snapshot")["time"] >= SECOND_WINDOW)
            newest = await gateway.source.newest(BATTERY)
            assert newest is not None
            async with ear(port) as late:
                await late.until(lambda e: e.payloads("/snapshot"))
                [(payload, retained)] = [(p, r) for topic, p, r in late.heard if topic.endswith("/snapshot")]
            document = json.loads(payload)
            assert retained
            assert (document["battery"], document["gateway"]) == (BATTERY, GATEWAY)
            assert (document["log"], document["sequence"]) == (newest.log_id.hex(), newest.sequence)
            assert document["readings"]["state_of_charge"]["value"] == 55.5
            assert publisher.status.connected
            await heard.until(lambda e: publisher.status.published == len(e.heard))

    asyncio.run(run())


def test_live_values_come_at_their_pace_and_are_not_retained(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path, live_s=0.5) as (gateway, _, heard, port):
            began = asyncio.get_running_loop().time()
            for t_s in range(1, 300):
                gateway.say(BATTERY, t_s / 100)
            await heard.until(lambda e: len(e.payloads("/live")) >= 3)
            took = asyncio.get_running_loop().time() - began
            assert took >= 0.9  # three messages at a pace of 0.5 s, though hundreds of samples came
            live = heard.last("/live")
            assert live["present"]["pack_voltage_v"] == 400
            assert live["present"]["temperature_c"] == [21.0, None, 23.25]
            assert live["derived"]["pack_power_w"] == -4000
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", live["time"])
            assert not any(r for topic, _, r in heard.heard if topic.endswith("/live"))
            async with ear(port) as late:
                await late.until(lambda e: e.payloads(DEVICE))
                assert not any(r for topic, _, r in late.heard if topic.endswith(("/live", "/event")))

    asyncio.run(run())


def test_what_happens_is_told_once_and_not_retained(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path) as (gateway, _, heard, _):
            gateway.say(BATTERY, 1)
            gateway.say(BATTERY, 2)
            last = gateway.drivers[BATTERY].said
            await until(last.empty)
            now = gateway.drivers[BATTERY].clock.at
            gateway.drivers[BATTERY].say(Notice(EventCode.DEEP_DISCHARGE, now, {"cell": 7}))
            await heard.until(lambda e: any(b"deep_discharge" in p for p in e.payloads("/event")))
            told = [json.loads(p) for p in heard.payloads("/event")]
            [event] = [e for e in told if e["event_type"] == "deep_discharge"]
            assert (event["battery"], event["attributes"]) == (BATTERY, {"cell": 7})
            gateway.seal(BATTERY, 2)
            await heard.until(lambda e: e.payloads("/snapshot"))
            assert (
                len([e for e in map(json.loads, heard.payloads("/event")) if e["sequence"] == event["sequence"]]) == 1
            )

    asyncio.run(run())


def test_batteries_with_any_id_have_each_their_own_topics(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path, BATTERY, OTHER) as (gateway, _, heard, _):
            gateway.seal(OTHER)
            await heard.until(lambda e: e.payloads("/snapshot"))
            [topic] = {topic for topic, _, _ in heard.heard if topic.endswith("/snapshot")}
            assert topic == f"packseal/{quote(GATEWAY, safe='')}/{quote(OTHER, safe='')}/snapshot"
            assert heard.last("/snapshot")["battery"] == OTHER
            gateway.seal(BATTERY)
            await heard.until(lambda e: e.payloads(f"{quote(BATTERY, safe='')}/snapshot"))
            await heard.until(lambda e: e.payloads(DEVICE) and e.payloads(TOPICS.discovery(OTHER)))
            assert TOPICS.discovery(OTHER) != DEVICE

    asyncio.run(run())


def test_a_lost_link_makes_the_battery_unavailable_and_leaves_its_passport(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path) as (gateway, _, heard, port):
            status = TOPICS.battery(BATTERY, "status")
            assert heard.payloads(status) in ([], [b"offline"])  # nothing was heard of it yet
            gateway.seal(BATTERY)
            await heard.until(lambda e: e.payloads(status)[-1:] == [b"online"] and e.payloads("/snapshot"))
            gateway.drivers[BATTERY].counts.state = LinkState.LOST
            await heard.until(lambda e: e.payloads(status)[-1] == b"offline")
            silent = len(heard.payloads("/live"))
            await asyncio.sleep(0.6)
            assert len(heard.payloads("/live")) == silent
            async with ear(port) as late:
                await late.until(lambda e: e.payloads(status) and e.payloads("/snapshot"))
                assert late.payloads(status) == [b"offline"]
                assert late.payloads(TOPICS.status) == [b"online"]
            gateway.drivers[BATTERY].counts.state = LinkState.HEALTHY
            await heard.until(lambda e: e.payloads(status)[-1] == b"online")

    asyncio.run(run())


def test_a_stop_in_good_order_tells_the_newest_and_then_that_all_is_offline(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path) as (gateway, publisher, heard, _):
            gateway.seal(BATTERY)
            await heard.until(lambda e: e.payloads("/snapshot"))
            await asyncio.wait_for(publisher.finish(), 10)
            await heard.until(lambda e: e.payloads(TOPICS.status)[-1] == b"offline")
            assert heard.payloads(TOPICS.battery(BATTERY, "status"))[-1] == b"offline"
            await asyncio.sleep(0.3)
            assert heard.heard[-1][:2] == (TOPICS.status, b"offline")  # and no will after it, and nothing more

    asyncio.run(run())


def test_home_assistant_is_told_again_when_it_starts(tmp_path: Path) -> None:
    async def run() -> None:
        async with scene(tmp_path) as (gateway, _, heard, _):
            gateway.seal(BATTERY)
            await heard.until(lambda e: e.payloads(DEVICE) and "state_of_charge" in str(e.payloads(DEVICE)[-1]))
            await asyncio.sleep(0.5)
            before = heard.payloads(DEVICE)
            await heard.client.publish(TOPICS.birth, "online")
            await heard.until(lambda e: len(e.payloads(DEVICE)) > len(before))
            assert heard.payloads(DEVICE)[-1] == before[-1]

    asyncio.run(run())


def test_a_battery_that_is_no_longer_configured_is_taken_back(tmp_path: Path) -> None:
    gone = {TOPICS.discovery(OTHER), *(TOPICS.battery(OTHER, what) for what in ("snapshot", "status"))}

    async def both(port: int) -> None:
        async with ear(port) as heard, station(tmp_path, BATTERY, OTHER) as gateway:
            publisher = MqttJsonPublisher(gateway.source, settings(port))
            async with gateway.publishing(publisher):
                gateway.seal(BATTERY)
                gateway.seal(OTHER)
                await heard.until(lambda e: len(e.payloads("/snapshot")) == 2)
                await heard.until(lambda e: e.payloads(DEVICE) and e.payloads(TOPICS.discovery(OTHER)))

    async def one(port: int) -> None:
        async with station(tmp_path, BATTERY) as gateway, ear(port) as heard:
            publisher = MqttJsonPublisher(gateway.source, settings(port))
            async with gateway.publishing(publisher):
                await heard.until(lambda e: gone <= {topic for topic, payload, _ in e.heard if payload == b""})

    async def run() -> None:
        with broker(tmp_path) as port:
            await both(port)
            await one(port)
            async with ear(port) as late:
                await late.until(lambda e: e.payloads(DEVICE) and e.payloads("/snapshot"))
                assert not gone & {topic for topic, _, _ in late.heard}

    asyncio.run(run())


def test_home_assistant_forgets_all_when_it_is_switched_off(tmp_path: Path) -> None:
    async def run() -> None:
        with broker(tmp_path) as port:
            async with ear(port) as heard, station(tmp_path) as gateway:
                async with gateway.publishing(MqttJsonPublisher(gateway.source, settings(port))):
                    gateway.seal(BATTERY)
                    await heard.until(lambda e: e.payloads(DEVICE) and e.payloads("/snapshot"))
                async with gateway.publishing(MqttJsonPublisher(gateway.source, settings(port, home_assistant=False))):
                    await heard.until(lambda e: e.payloads(DEVICE)[-1] == b"")
            async with ear(port) as late:
                await late.until(lambda e: e.payloads("/snapshot"))
                assert not late.payloads(DEVICE)

    asyncio.run(run())

"""Two clients of one identifier at a real broker: each ends the other's connection, and no storm comes of it."""

import asyncio
from pathlib import Path

import pytest
from tests.agent.publish.gateway import BATTERY, station
from tests.agent.publish.json_scene import settings
from tests.agent.publish.receiver import until
from tests.agent.uplink.servers import broker, listening

from packseal.core.errors import UplinkError
from packseal.publish.mqtt_json import MqttJsonPublisher
from packseal.uplink import connection
from packseal.uplink.mqtt import MqttSettings, MqttUplink

pytestmark = pytest.mark.timeout(60)
GATEWAY = "urn:example:gateway:1"
SECOND = "is a second device using this gateway's key"
TAKEN = f"took over: {SECOND}"


async def _take_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept a client and its subscription, then say that another has taken over (MQTT 5 §3.2, §3.9, §3.14)."""
    await reader.readexactly((await reader.readexactly(2))[1])
    writer.write(bytes.fromhex("2003000000"))
    subscribe = await reader.readexactly((await reader.readexactly(2))[1])
    writer.write(bytes.fromhex("9004") + subscribe[:2] + bytes.fromhex("0001") + bytes.fromhex("e0028e00"))
    await writer.drain()
    await reader.read()
    writer.close()


def test_the_uplink_holds_back_after_a_take_over_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that take the user name as identifier and say why are not at hand, so the words are played."""
    monkeypatch.setattr(connection, "TAKEN_MIN_S", 1.0)

    async def taken_s(uplink: MqttUplink) -> float:
        """Connect until it works, be told, and return how long it took."""
        loop = asyncio.get_running_loop()
        began, waited_s = loop.time(), None
        while True:
            try:
                async with uplink:
                    waited_s = loop.time() - began
                    await asyncio.sleep(0.1)
                    await uplink.exchange(b"it is over")
            except UplinkError as error:
                told = str(error)
            if TAKEN not in told:
                pytest.fail(told)
            if waited_s is not None:
                return waited_s
            await asyncio.sleep(0.02)

    async def run() -> None:
        async with await asyncio.start_server(_take_over, "127.0.0.1", 0) as server:
            uplink = MqttUplink(MqttSettings("127.0.0.1", server.sockets[0].getsockname()[1]), GATEWAY)
            assert await taken_s(uplink) < 1
            assert await taken_s(uplink) > 0.9
            assert await taken_s(uplink) > 1.9

    asyncio.run(run())


def test_plain_publishing_names_the_second_device_and_holds_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with station(tmp_path) as gateway:
            with broker(tmp_path, None) as port:
                await listening("localhost", port)
                one, two = (MqttJsonPublisher(gateway.source, settings(port)) for _ in range(2))
                async with gateway.publishing(one):
                    gateway.seal(BATTERY)
                    await until(lambda: one.status.connected)
                    async with gateway.publishing(two):
                        await until(lambda: any(SECOND in each.status.state for each in (one, two)))
                        held, other = (one, two) if SECOND in one.status.state else (two, one)
                        await until(lambda: other.status.connected)
                        await asyncio.sleep(2)  # else it tries again after half a second or a whole one
                        assert other.status.connected
                        assert SECOND in held.status.state

    asyncio.run(run())


def test_another_machine_by_plain_text_is_warned_of_until_the_operator_gives_his_word() -> None:
    def notes(host: str, *, plain_text: bool = False) -> str:
        return " ".join(MqttUplink(MqttSettings(host, plain_text=plain_text), GATEWAY).notes)

    assert "can read the records" in notes("broker.example")
    assert not notes("localhost")
    assert not notes("127.0.0.1")
    assert not notes("broker.example", plain_text=True)

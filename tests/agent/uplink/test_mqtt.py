"""What only a broker can say."""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.servers import broker, listening

from packseal.core.errors import UplinkError
from packseal.uplink.mqtt import MqttSettings, MqttUplink

pytestmark = pytest.mark.timeout(60)


def test_a_broker_without_a_sink_is_told_from_a_silent_link_at_once(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        await listening("localhost", port)
        async with asyncio.timeout(5), MqttUplink(MqttSettings("localhost", port), GATEWAY) as uplink:
            with pytest.raises(UplinkError, match="no sink is connected"):
                await uplink.exchange(b"anybody there?")

    with broker(tmp_path, None) as port:
        asyncio.run(scenario(port))


@pytest.mark.parametrize("says", [b"", bytes.fromhex("2003000000")], ids=["nothing", "that it accepts us"])
def test_a_broker_that_then_falls_silent_leaves_nothing_behind(says: bytes, caplog: pytest.LogCaptureFixture) -> None:
    complaints = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(says)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            uplink = MqttUplink(MqttSettings("127.0.0.1", port, connect_timeout_s=0.3), GATEWAY)
            for _ in range(3):
                with pytest.raises(UplinkError, match="timed out"):
                    await uplink.__aenter__()
            await asyncio.sleep(0.1)
            assert [task for task in asyncio.all_tasks() if "aiomqtt" in str(task.get_coro())] == []

    asyncio.run(scenario())
    assert complaints == []
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []

"""What only a broker can say."""

import asyncio
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

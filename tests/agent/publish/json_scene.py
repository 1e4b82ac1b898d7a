"""A gateway that publishes plain JSON to a broker, and somebody who hears it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tests.agent.publish.gateway import BATTERY, Station, station
from tests.agent.publish.receiver import Ear, broker, ear
from tests.agent.runtime.scripted import GATEWAY

from packseal.publish.mqtt_json import JsonSettings, MqttJsonPublisher
from packseal.publish.topics import Topics
from packseal.uplink.mqtt import MqttSettings

OTHER = "https://example.com/passports/+/#/50%?a=$SYS"
TOPICS = Topics("packseal", GATEWAY, "homeassistant")
DEVICE = TOPICS.discovery(BATTERY)


def settings(port: int, **changes: object) -> JsonSettings:
    plain = JsonSettings(
        MqttSettings("localhost", port),
        live_s=0.2,
        look_s=0.05,
        pause_min_s=0.05,
        pause_max_s=0.1,
        birth_spread_s=0.05,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def scene(
    folder: Path, *subjects: str, **changes: object
) -> AsyncIterator[tuple[Station, MqttJsonPublisher, Ear, int]]:
    """A gateway that publishes to a broker, and somebody who hears it all."""
    with broker(folder) as port:
        async with ear(port) as heard, station(folder, *subjects) as gateway:
            publisher = MqttJsonPublisher(gateway.source, settings(port, **changes))
            async with gateway.publishing(publisher):
                await heard.until(lambda e: b"online" in e.payloads(TOPICS.status))
                yield gateway, publisher, heard, port

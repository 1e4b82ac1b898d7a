"""thingsboard-gateway as a contender: its process from PyPI with one of its stores, and a platform that listens.

Its limits on the rate are off. The platform is a subscriber with QoS 1 that answers what the gateway asks at its start.
"""

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiomqtt

from bench.installation import mosquitto, process
from bench.peers.contender import Arrival

PYTHON = Path(".venv-peer/bin/python")
MAIN = Path(__file__).with_name("thingsboard") / "run.py"
NO_LIMIT = "0:0,"
LIMITS = ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits", "deviceRateLimits")
STORES: dict[str, dict[str, Any]] = {
    "memory": {"type": "memory", "read_records_count": 100, "max_records_count": 100_000},
    "file": {"type": "file", "data_folder_path": "./data/", "max_file_count": 10, "max_read_records_count": 10}
    | {"max_records_per_file": 10_000},
    "sqlite": {"type": "sqlite", "data_file_path": "./data/data.db", "messages_ttl_check_in_hours": 1}
    | {"messages_ttl_in_days": 7, "max_read_records_count": 100},
}
"""As in the configuration that it ships; the larger read size of its documentation for the data base."""

TELEMETRY, QUESTION = "v1/gateway/telemetry", "v1/devices/me/rpc/request/"
SESSION = {"maxPayloadSize": 65_536, "maxInflightMessages": 100, "rateLimits": {}}


class ThingsBoard:
    """The gateway with one of its three stores."""

    def __init__(self, store: str) -> None:
        self.name = f"thingsboard-gateway, {store}"
        self._store = store
        self._arrivals: list[Arrival] = []

    async def enter(self, folder: Path, stack: AsyncExitStack) -> int:
        """Start mosquitto and the platform."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        stack.enter_context(process((mosquitto(), "-p", str(port)), folder / "mosquitto.log", "running"))
        client = await stack.enter_async_context(aiomqtt.Client("127.0.0.1", port))
        await client.subscribe("v1/#", qos=1)
        listening = asyncio.create_task(self._listen(client), name="platform")
        stack.push_async_callback(_ended, listening)
        return port

    def configure(self, folder: Path, port: int, bus: Path) -> Sequence[str]:
        """Write its configuration."""
        general = {
            "host": "127.0.0.1",
            "port": port,
            "remoteConfiguration": False,
            "statistics": {"enable": False, "enableCustom": False},
            "checkingDeviceActivity": {"checkDeviceInactivity": False},
            "security": {"type": "accessToken", "accessToken": "bench"},
            **dict.fromkeys(LIMITS, NO_LIMIT),
            "deviceDpRateLimits": NO_LIMIT,
        }
        connector = {"type": "numbered", "name": "numbered", "class": "NumberedConnector"}
        whole = {
            "thingsboard": general,
            "storage": STORES[self._store],
            "grpc": {"enabled": False},
            "connectors": [connector | {"configuration": "numbered.json"}],
        }
        (folder / "data").mkdir(exist_ok=True)
        (folder / "tb_gateway.json").write_text(json.dumps(whole))
        (folder / "numbered.json").write_text(json.dumps({"name": "numbered", "id": "numbered", "path": str(bus)}))
        (folder / "logs.json").write_text(json.dumps({"version": 1, "root": {"level": "ERROR"}}))
        return str(PYTHON.absolute()), str(MAIN), str(folder)

    def arrivals(self) -> list[Arrival]:
        """Return what the platform has heard."""
        return self._arrivals

    def named_missing(self) -> int:
        """It has no such records."""
        return 0

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic, payload = str(message.topic), message.payload
            if topic == TELEMETRY and isinstance(payload, bytes):
                self._take(json.loads(payload))
            elif topic.startswith(QUESTION) and b"getSessionLimits" in bytes(payload or b""):
                await client.publish(topic.replace("request", "response"), json.dumps(SESSION), qos=1)

    def _take(self, devices: dict[str, list[dict[str, Any]]]) -> None:
        now_s = time.time()
        for entries in devices.values():
            self._arrivals += [Arrival(e["values"]["n"], now_s) for e in entries if "n" in e["values"]]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, aiomqtt.MqttError):
        await task

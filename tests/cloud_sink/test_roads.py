"""The real gateway side against the real sink process: MQTT through mosquitto, HTTP, HTTPS with certificates."""

import asyncio
import http.client
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.agent.uplink.certificates import Certificates
from tests.agent.uplink.gateway import GATEWAY, Gateway
from tests.agent.uplink.servers import broker, free_port
from tests.cloud_sink.running import SinkProcess

from packseal.core.errors import UplinkError
from packseal.core.exchange import encode_position
from packseal.keys.file import FileSigner
from packseal.uplink.https import HttpsUplink
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.protocol import Uplink
from packseal.uplink.tls import TlsFiles

LIMIT_S = 40


def deliver(uplink_of: Callable[[], Uplink], running: SinkProcess, key: FileSigner, journal: Path) -> None:
    """Write two logs and wait until the journal holds receipts of the sink's key for all of it."""

    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), Gateway(journal, key, logs=2) as gateway:
            await gateway.write(1200)
            await gateway.write(300, log=1)
            gateway.start(uplink_of(), running.key)
            await gateway.delivered()

    asyncio.run(scenario())
    logs = [battery["logs"][0] for battery in running.json("/batteries")]
    assert sorted(log["records"] for log in logs) == [300, 1200]


def use_mqtt(running: SinkProcess, port: int, certificates: Certificates | None) -> None:
    lines = f'[mqtt]\nhost = "localhost"\nport = {port}\n'
    if certificates is not None:
        lines += (
            f'[mqtt.tls]\nauthorities = "{certificates.authority}"\n'
            f'certificate = "{certificates.client}"\nkey = "{certificates.client_key}"\n'
        )
    running.config.write_text(running.config.read_text() + lines)


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_records_come_through_a_broker(
    way: str, running: SinkProcess, gateway_key: FileSigner, certificates: Certificates, tmp_path: Path
) -> None:
    used = certificates if way == "tls" else None
    tls = TlsFiles(certificates.authority, certificates.client, certificates.client_key) if used else None
    with broker(tmp_path, used) as port:
        use_mqtt(running, port, used)
        running.start()
        running.wait_for("connected to broker")
        settings = MqttSettings("localhost", port, tls)
        deliver(lambda: MqttUplink(settings, GATEWAY), running, gateway_key, tmp_path / "journal.db")
        assert running.json("/status")["mqtt"] == {"connected": True, "last_error": "", "strays": 0}
        assert running.stop() == 0


def test_a_broker_that_is_down_is_told_once_and_found_when_it_comes(
    running: SinkProcess, gateway_key: FileSigner, tmp_path: Path
) -> None:
    port = free_port()
    use_mqtt(running, port, None)
    running.start()
    running.wait_for(f"broker localhost:{port} cannot be used: .*; trying again, HTTP goes on")
    assert "The broker cannot be used" in running.get("/")
    deliver(lambda: HttpsUplink(running.url.rstrip("/")), running, gateway_key, tmp_path / "journal.db")
    with broker_at(port, tmp_path):
        running.wait_for("connected to broker")
    assert running.stop() == 0
    assert [line for line in running.said if "cannot be used" in line and "Connection refused" in line][1:] == []


@contextmanager
def broker_at(port: int, folder: Path) -> Iterator[None]:
    """Run mosquitto at a port that was chosen before."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    (folder / "late.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(folder / "late.conf")], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def test_nothing_is_answered_on_topics_that_are_not_the_senders(running: SinkProcess, tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        async with (
            asyncio.timeout(LIMIT_S),
            aiomqtt.Client("localhost", port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        ):
            await client.subscribe("#", qos=1)
            for where in ("elsewhere", "packseal/v1/other/reply/x", "packseal/v1/me/reply/x"):
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.ResponseTopic = where
                properties.CorrelationData = b"c"
                await client.publish("packseal/v1/me/exchange", encode_position([]), qos=1, properties=properties)
            async for message in client.messages:
                if not str(message.topic).endswith("/exchange"):
                    assert str(message.topic) == "packseal/v1/me/reply/x"
                    assert message.properties.CorrelationData == b"c"  # type: ignore[union-attr]
                    return

    with broker(tmp_path, None) as port:
        use_mqtt(running, port, None)
        running.start()
        running.wait_for("connected to broker")
        asyncio.run(scenario(port))
        assert running.json("/status")["mqtt"]["strays"] == 2


@pytest.fixture
def secure(running: SinkProcess, certificates: Certificates) -> SinkProcess:
    running.edit(
        "port = 0",
        f'port = 0\ncertificate = "{certificates.server}"\nkey = "{certificates.server_key}"\n'
        f'client_authorities = "{certificates.authority}"',
    )
    running.start()
    return running


def test_records_come_over_https_with_client_certificates(
    secure: SinkProcess, gateway_key: FileSigner, certificates: Certificates, tmp_path: Path
) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    url = secure.url.replace("127.0.0.1", "localhost").rstrip("/")
    tls = TlsFiles(certificates.authority, certificates.client, certificates.client_key)

    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), Gateway(tmp_path / "journal.db", gateway_key) as gateway:
            await gateway.write(700)
            gateway.start(HttpsUplink(url, tls), secure.key)
            await gateway.delivered()

    asyncio.run(scenario())
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificates.client, certificates.client_key)
    response, body = secure.request("GET", "/", None, context)
    assert (response.status, "700 records" in body.decode()) == (200, True)


def test_https_refuses_who_shows_no_certificate(secure: SinkProcess, certificates: Certificates) -> None:
    async def scenario() -> None:
        async with HttpsUplink(secure.url.rstrip("/"), TlsFiles(certificates.authority)) as uplink:
            await uplink.exchange(encode_position([]))

    with pytest.raises(UplinkError):
        asyncio.run(scenario())
    context = ssl.create_default_context(cafile=certificates.authority)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        secure.request("GET", "/", None, context)

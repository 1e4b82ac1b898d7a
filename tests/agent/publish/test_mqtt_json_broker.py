"""Plain JSON over MQTT and its broker: away, with a password or TLS, refusing; what is wrong is said."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tests.agent.publish.gateway import BATTERY, station
from tests.agent.publish.json_scene import settings
from tests.agent.publish.receiver import PASSWORD, USER, broker, ear, until
from tests.agent.uplink import certificates as authority
from tests.agent.uplink.certificates import Certificates

from packseal.core.errors import ConfigError, PacksealError
from packseal.publish.mqtt_json import MqttJsonPublisher
from packseal.uplink.mqtt import MqttSettings
from packseal.uplink.tls import TlsFiles

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return authority.make(tmp_path_factory.mktemp("certificates"))


def test_while_the_broker_is_away_nothing_piles_up(tmp_path: Path) -> None:
    async def run() -> None:
        async with station(tmp_path) as gateway:
            with broker(tmp_path) as port:
                publisher = MqttJsonPublisher(gateway.source, settings(port))
                async with ear(port) as heard, gateway.publishing(publisher):
                    gateway.seal(BATTERY)
                    await heard.until(lambda e: e.payloads("/snapshot"))
            async with gateway.publishing(publisher):
                for number in range(2, 22):
                    gateway.seal(BATTERY, number)
                await until(lambda: not publisher.status.connected and "localhost" in publisher.status.state)
                await until(gateway.drivers[BATTERY].said.empty)
                published = publisher.status.published
                await asyncio.sleep(0.3)
                assert publisher.status.published == published
                with broker(tmp_path, port=port):
                    async with ear(port) as heard:
                        await heard.until(lambda e: len(e.payloads("/live")) >= 2 and e.payloads("/snapshot"))
                        newest = await gateway.source.newest(BATTERY)
                        assert newest is not None
                        sequences = [json.loads(p)["sequence"] for p in heard.payloads("/snapshot")]
                        assert len(sequences) <= 2  # the newest at the moment of the connection, and the last of all
                        assert sequences[-1] == newest.sequence
                        assert publisher.status.connected

    asyncio.run(run())


def test_tls_and_a_password(tmp_path: Path, certificates: Certificates) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")

    async def run() -> None:
        with broker(tmp_path, certificates=certificates, password=True) as port:
            tls = TlsFiles(certificates.authority)
            way = MqttSettings("localhost", port, tls, username=USER, password_file=secret)
            async with (
                ear(port, certificates=certificates, password=True) as heard,
                station(tmp_path) as gateway,
            ):
                publisher = MqttJsonPublisher(gateway.source, settings(port, broker=way))
                assert "takes the connection" in await publisher.check()
                async with gateway.publishing(publisher):
                    gateway.seal(BATTERY)
                    await heard.until(lambda e: e.payloads("/snapshot"))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("trust", "password", "why"),
    [
        ("authority", "wrong", "wrong username or password|not authorised"),
        ("authority", None, "wrong username or password|not authorised"),
        ("stranger", PASSWORD, "certificate"),
    ],
    ids=["wrong password", "no password", "not the authority we trust"],
)
def test_what_is_wrong_is_said_and_recording_goes_on(
    tmp_path: Path, certificates: Certificates, trust: str, password: str | None, why: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(password or "")

    async def run() -> None:
        with broker(tmp_path, certificates=certificates, password=True) as port:
            tls = TlsFiles(getattr(certificates, trust))
            user, file = (USER, secret) if password else (None, None)
            way = MqttSettings("localhost", port, tls, username=user, password_file=file)
            async with ear(port, certificates=certificates, password=True), station(tmp_path) as gateway:
                publisher = MqttJsonPublisher(gateway.source, settings(port, broker=way))
                with pytest.raises(PacksealError, match=why):
                    await publisher.check()
                async with gateway.publishing(publisher):
                    await until(lambda: re.search(why, publisher.status.state))
                    gateway.seal(BATTERY)
                    await until(gateway.drivers[BATTERY].said.empty)
                    async with asyncio.timeout(10):
                        while await gateway.source.newest(BATTERY) is None:  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
                    assert not publisher.status.connected
                    assert "\n" not in publisher.status.state

    asyncio.run(run())


def test_a_topic_that_the_broker_does_not_take_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        with broker(tmp_path, rules=["topic readwrite packseal/#", "topic read homeassistant/#"]) as port:
            async with ear(port), station(tmp_path) as gateway:
                publisher = MqttJsonPublisher(gateway.source, settings(port))
                async with gateway.publishing(publisher):
                    await until(lambda: "does not take homeassistant/device/" in publisher.status.last_error)
                    assert "access rules" in publisher.status.last_error

    asyncio.run(run())


def test_a_password_crosses_no_network_in_plain_text_unless_that_is_allowed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)

    async def run() -> None:
        async with station(tmp_path) as gateway:
            way = MqttSettings("192.0.2.1", 1883, username=USER, password_file=secret)
            with pytest.raises(ConfigError, match="plain text"):
                MqttJsonPublisher(gateway.source, settings(1883, broker=way))
            MqttJsonPublisher(gateway.source, settings(1883, broker=way, plain_password=True))

    asyncio.run(run())


def test_a_publisher_that_breaks_does_not_end_what_runs_beside_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with station(tmp_path) as gateway:
            publisher = MqttJsonPublisher(gateway.source, settings(1))
            publisher._batteries = None  # type: ignore[assignment]  # a mistake in the program
            publisher._broker = _Taking()  # type: ignore[assignment]
            async with gateway.publishing(publisher):
                await until(lambda: "error of the program" in publisher.status.state)
                gateway.seal(BATTERY)
                async with asyncio.timeout(10):
                    while await gateway.source.newest(BATTERY) is None:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)

    class _Taking:
        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *_: object) -> None: ...

    asyncio.run(run())

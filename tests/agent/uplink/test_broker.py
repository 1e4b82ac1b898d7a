"""What a broker limits is obeyed; what it refuses is told in words."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.agent.uplink.gateway import GATEWAY, Gateway
from tests.agent.uplink.servers import broker, listening, mqtt_sink
from tests.agent.uplink.sink import TrialSink

from packseal.core.errors import UplinkError
from packseal.keys.file import FileSigner
from packseal.uplink.broker import said
from packseal.uplink.memory import Faults
from packseal.uplink.mqtt import MqttSettings, MqttUplink

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 30


def test_a_brokers_packet_size_and_quota_are_obeyed(sink: TrialSink, gateway_key: FileSigner, tmp_path: Path) -> None:
    """mosquitto drops who exceeds them: everything arriving shows that nobody did."""

    async def scenario(port: int) -> None:
        uplink = MqttUplink(MqttSettings("localhost", port), GATEWAY)
        async with (
            asyncio.timeout(LIMIT_S),
            mqtt_sink("localhost", port, None, sink.handle, Faults()),
            Gateway(tmp_path / "j.db", gateway_key) as gateway,
        ):
            await gateway.write(600)
            gateway.start(uplink, sink.key)
            await gateway.delivered()
            assert sink.stored[gateway.ids[0]] == await gateway.raws()
            most = uplink.max_request_bytes
            assert most is not None
            assert 19_000 < most < 20_000
            await gateway.stop()
            async with uplink:
                with pytest.raises(UplinkError, match=r"takes \d+ bytes at once"):
                    await uplink.exchange(bytes(most + 1))

    limits = ("max_packet_size 20000", "max_inflight_messages 1", "max_keepalive 10")
    with broker(tmp_path, None, extra=limits) as port:
        asyncio.run(scenario(port))
    log = (tmp_path / "mosquitto.log").read_text()
    assert "packet too large" not in log.lower()
    assert "receive maximum" not in log.lower()


def test_wrong_passwords_and_missing_rights_are_told(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        await listening("localhost", port)
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(UplinkError, match="this gateway is not authorised"):
                await MqttUplink(MqttSettings("localhost", port), GATEWAY).__aenter__()
            rights = MqttUplink(MqttSettings("localhost", port, None, "gateway", tmp_path / "password"), GATEWAY)
            async with rights as uplink:
                with pytest.raises(UplinkError, match="refuses what is sent: this gateway is not authorised"):
                    await uplink.exchange(b"a")

    (tmp_path / "password").write_text("secret")
    (tmp_path / "users").write_text("gateway:secret\n")
    (tmp_path / "rules").write_text("topic deny packseal/v1/+/exchange\nuser gateway\ntopic read #\n")
    hashed(tmp_path / "users")
    extra = (f"password_file {tmp_path}/users", f"acl_file {tmp_path}/rules", "per_listener_settings false")
    with broker(tmp_path, None, extra=extra, anonymous=False) as port:
        asyncio.run(scenario(port))


def hashed(users: Path) -> None:
    """Replace passwords by what mosquitto keeps of them."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
    subprocess.run([program, "-U", str(users)], check=True, capture_output=True)


@asynccontextmanager
async def stub(answer: bytes, later: bytes = b"") -> AsyncIterator[int]:
    """A broker that answers a CONNECT with these bytes, and a SUBSCRIBE with those."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        if later:
            await reader.read(1000)
            writer.write(later)
        await reader.read(1000)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def connack(reason: int, properties: bytes = b"") -> bytes:
    body = bytes([0, reason, len(properties)]) + properties
    return bytes([0x20, len(body)]) + body


def text(identifier: int, value: str) -> bytes:
    return bytes([identifier]) + len(value).to_bytes(2, "big") + value.encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (connack(0x9D, text(0x1C, "new.example:8883")), "it has moved to another server, new.example:8883: set host"),
        (connack(0x9C), "it asks to use another server"),
        (connack(0x8A, text(0x1F, "ask\x1b[2J me")), r"it has banned this gateway.*ask \[2J me"),
        (connack(0x97), "a quota is used up"),
        (connack(0x84), "it does not speak MQTT 5"),
        (connack(0x00, b"\x24\x00"), "takes no messages of QoS 1"),
        (bytes.fromhex("2003008600"), "wrong username or password"),
    ],
    ids=["moved", "elsewhere", "banned", "quota", "version", "qos0", "password"],
)
def test_a_refusal_is_told_in_words(answer: bytes, words: str) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), stub(answer) as port:
            with pytest.raises(UplinkError, match=words):
                await MqttUplink(MqttSettings("127.0.0.1", port), GATEWAY).__aenter__()

    asyncio.run(scenario())


def test_a_broker_that_gives_no_replies_says_so() -> None:
    async def scenario() -> None:
        suback = bytes.fromhex("90040001") + b"\x00\x87"
        async with asyncio.timeout(LIMIT_S), stub(connack(0), suback) as port:
            with pytest.raises(UplinkError, match="gives no replies: this gateway is not authorised"):
                await MqttUplink(MqttSettings("127.0.0.1", port), GATEWAY).__aenter__()

    asyncio.run(scenario())


def test_why_a_broker_ends_a_connection_is_told() -> None:
    async def scenario() -> None:
        suback = bytes.fromhex("90040001") + b"\x00\x01"
        disconnect = bytes.fromhex("e0029800")
        async with (
            asyncio.timeout(LIMIT_S),
            stub(connack(0), suback + disconnect) as port,
            MqttUplink(MqttSettings("127.0.0.1", port), GATEWAY) as uplink,
        ):
            with pytest.raises(UplinkError, match="its operator has ended the connection"):
                await uplink.exchange(b"a")

    asyncio.run(scenario())


def test_an_unknown_reason_is_told_by_its_number() -> None:
    assert said(0xC0, None) == "reason code 0xC0"

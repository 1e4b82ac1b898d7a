"""Both roads through real proxies; what a proxy refuses is told in words."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.agent.uplink.certificates import Certificates
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.proxies import PASSWORD, USER, http_proxy, socks_proxy
from tests.agent.uplink.servers import HttpSink, broker, free_port, mqtt_sink

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.https import HttpsUplink
from packseal.uplink.memory import Faults
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.protocol import Uplink
from packseal.uplink.reach import Pace
from packseal.uplink.route import Proxy, Route, parse_proxy
from packseal.uplink.tls import TlsFiles

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 20
KINDS = ["http", "socks5h"]


def echo(request: bytes) -> bytes:
    return request[::-1]


@contextmanager
def proxy(kind: str, folder: Path) -> Iterator[Route]:
    """Run a proxy that wants name and password."""
    (folder / "password").write_text(PASSWORD + "\n")
    if kind == "http":
        with http_proxy(folder, f"BasicAuth {USER} {PASSWORD.replace(' ', '')}") as port:
            (folder / "password").write_text(PASSWORD.replace(" ", ""))
            yield Route(parse_proxy(f"http://{USER}@127.0.0.1:{port}", folder / "password"))
    else:
        with socks_proxy("-u", USER, "-P", PASSWORD) as port:
            yield Route(parse_proxy(f"socks5h://{USER}@127.0.0.1:{port}", folder / "password"))


@asynccontextmanager
async def way(
    road: str, folder: Path, route: Route, certificates: Certificates, tls: TlsFiles
) -> AsyncIterator[Uplink]:
    """Run a sink and give an uplink to it by `route`."""
    if road == "https":
        async with HttpSink(echo, Faults(), certificates).serving() as port:
            yield HttpsUplink(f"https://localhost:{port}", tls, route=route)
    else:
        with broker(folder, certificates) as port:
            async with mqtt_sink("localhost", port, certificates, echo, Faults()):
                yield MqttUplink(MqttSettings("localhost", port, tls), GATEWAY, route=route)


async def ask(uplink: Uplink, request: bytes = b"abc") -> bytes:
    async with asyncio.timeout(LIMIT_S), uplink:
        return await uplink.exchange(request)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("road", ["https", "mqtt"])
def test_both_roads_lead_through_a_proxy_that_wants_a_password(
    road: str, kind: str, tmp_path: Path, certificates: Certificates, tls: TlsFiles
) -> None:
    async def scenario(route: Route) -> bytes:
        async with way(road, tmp_path, route, certificates, tls) as uplink:
            return await ask(uplink, bytes(200_000) + b"end")

    with proxy(kind, tmp_path) as route:
        assert asyncio.run(scenario(route)) == b"dne" + bytes(200_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_told_and_a_right_one_needs_no_restart(
    kind: str, tmp_path: Path, certificates: Certificates, tls: TlsFiles
) -> None:
    async def scenario(route: Route) -> None:
        assert route.proxy is not None
        assert route.proxy.password_file is not None
        right = route.proxy.password_file.read_text()
        async with way("https", tmp_path, route, certificates, tls) as uplink:
            route.proxy.password_file.write_text("wrong")
            with pytest.raises(UplinkError, match=r"127.0.0.1: .*wants another name or password"):
                await ask(uplink)
            route.proxy.password_file.write_text(right)
            assert await ask(uplink) == b"cba"

    with proxy(kind, tmp_path) as route:
        asyncio.run(scenario(route))


def test_a_socks_proxy_that_wants_a_password_says_so() -> None:
    with socks_proxy("-u", USER, "-P", PASSWORD) as port, pytest.raises(UplinkError, match="wants a name and password"):
        asyncio.run(ask(HttpsUplink("https://localhost:1", route=Route(Proxy("socks5h", "127.0.0.1", port)))))


def test_a_proxy_whose_rules_forbid_it_or_that_reaches_nobody_says_so(tmp_path: Path) -> None:
    def asked(kind: str, port: int, target: int) -> None:
        asyncio.run(ask(HttpsUplink(f"https://localhost:{target}", route=Route(Proxy(kind, "127.0.0.1", port)))))

    with (
        http_proxy(tmp_path, "ConnectPort 443") as port,
        pytest.raises(UplinkError, match=r"HTTP 403.*its rules allow"),
    ):
        asked("http", port, 8443)
    with http_proxy(tmp_path) as port, pytest.raises(UplinkError, match=r"no tunnel to localhost:.*HTTP 5"):
        asked("http", port, free_port())
    with socks_proxy() as port, pytest.raises(UplinkError, match=r"no tunnel to localhost.*refuses the connection"):
        asked("socks5h", port, free_port())


def test_what_is_no_proxy_is_told() -> None:
    nobody = Route(Proxy("http", "127.0.0.1", free_port()))
    with pytest.raises(UplinkError, match="Connection refused"):
        asyncio.run(ask(HttpsUplink("https://localhost:1", route=nobody)))

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example ready\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await ask(HttpsUplink("https://localhost:1", route=Route(Proxy("http", "127.0.0.1", port))))

    with pytest.raises(UplinkError, match="is no HTTP"):
        asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_is_left_to_the_proxy(kind: str) -> None:
    """A name that nobody here could resolve arrives at the proxy as it is."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "socks5h":
            assert await reader.readexactly(3) == b"\x05\x01\x00"
            writer.write(b"\x05\x00")
        heard.put_nowait(await reader.read(1000))
        writer.close()

    async def scenario() -> bytes:
        async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            uplink = HttpsUplink("https://sink.invalid:8443", route=Route(Proxy(kind, "127.0.0.1", port)))
            with pytest.raises(UplinkError):
                await ask(uplink)
        return heard.get_nowait()

    said = asyncio.run(scenario())
    if kind == "http":
        assert said == b"CONNECT sink.invalid:8443 HTTP/1.1\r\nHost: sink.invalid:8443\r\n\r\n"
    else:
        assert said == b"\x05\x01\x00\x03\x0csink.invalid" + (8443).to_bytes(2, "big")


@pytest.mark.parametrize("road", ["https", "mqtt"])
def test_proxies_in_the_environment_are_not_used(
    road: str, tmp_path: Path, certificates: Certificates, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    async def scenario() -> bytes:
        async with way(road, tmp_path, Route(), certificates, tls) as uplink:
            for name in ("http_proxy", "https_proxy", "all_proxy", "mqtt_proxy", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, nobody)  # only now: the client in the sink's place does use them
            return await ask(uplink)

    assert asyncio.run(scenario()) == b"cba"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://proxy.example:3128", "must look like http://"),
        ("socks5://proxy.example:1080", "must look like http://"),
        ("http://proxy.example", "must look like http://"),
        ("http://proxy.example:99999", "must look like http://"),
        ("http://me:secret@proxy.example:3128", "a password belongs in proxy_password_file"),
    ],
)
def test_a_wrong_address_is_refused_without_showing_a_password(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_proxy(address)
    assert "secret" not in str(caught.value)


def test_an_attempt_is_bounded_when_the_proxy_is_silent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            route = Route(Proxy("http", "127.0.0.1", port))
            await ask(HttpsUplink("https://localhost:1", route=route, pace=Pace(give_up_s=1.0)))

    with pytest.raises(UplinkError, match=r"proxy 127.0.0.1 does not answer within 1 s"):
        asyncio.run(scenario())

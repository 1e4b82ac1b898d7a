"""A captive portal is told, and nothing of ours reaches it: no record, no password, no certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.agent.uplink.certificates import Certificates, issue
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.servers import HttpSink, free_port

from packseal.core.errors import UplinkError
from packseal.uplink.https import HttpsUplink
from packseal.uplink.memory import Faults
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.portal import WORDS, Portal, PortalError, portal_of
from packseal.uplink.protocol import Uplink
from packseal.uplink.reach import Pace
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles

pytestmark = pytest.mark.timeout(60)
SIGN_IN = "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/?from=you\r\nContent-Length: 0\r\n\r\n"
NOT_YET = "HTTP/1.1 511 Network Authentication Required\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"
TO_TLS = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n"
PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
QUICK = Pace(give_up_s=2.0, portal_s=0.5)
Road = Callable[[int, int], Uplink]


class Counter:
    """A TCP server that answers every connection with `answer`; keeps what came."""

    def __init__(self, answer: str, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self.heard: list[bytes] = []
        self.connections = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self.heard.append(await reader.read(10_000))
            writer.write(self._answer.encode())
            writer.close()

        async with await asyncio.start_server(count, "127.0.0.1", 0, ssl=self._tls) as server:
            yield server.sockets[0].getsockname()[1]


@pytest.fixture
def elsewhere(certificates: Certificates, tmp_path: Path) -> ssl.SSLContext:
    """What a portal with a trusted certificate, but of its own name, answers TLS with."""
    certificate, key = issue(certificates, "portal", dns="login.hotel.example")
    (tmp_path / "portal.pem").write_bytes(certificate + key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(tmp_path / "portal.pem")
    return made


def https(tls: TlsFiles) -> Road:
    return lambda port, web: HttpsUplink(f"https://localhost:{port}", tls, pace=QUICK, route=Route(portal_port=web))


def mqtt(tls: TlsFiles, folder: Path) -> Road:
    (folder / "password").write_text("the broker's password")

    def made(port: int, web: int) -> Uplink:
        settings = MqttSettings("localhost", port, tls, "gateway", folder / "password")
        return MqttUplink(settings, GATEWAY, QUICK, Route(portal_port=web))

    return made


@pytest.fixture(params=["https", "mqtt"])
def road(request: pytest.FixtureRequest, tls: TlsFiles, tmp_path: Path) -> Road:
    return https(tls) if request.param == "https" else mqtt(tls, tmp_path)


async def refusal(uplink: Uplink) -> UplinkError:
    async with asyncio.timeout(20):
        with pytest.raises(UplinkError) as caught:
            async with uplink:
                await uplink.exchange(b"a record")
    return caught.value


def test_a_portal_with_a_certificate_of_its_own_name_gets_nothing(road: Road, elsewhere: ssl.SSLContext) -> None:
    async def scenario() -> None:
        portal, web = Counter("", elsewhere), Counter(SIGN_IN)
        async with portal.serving() as port, web.serving() as port_80:
            error = await refusal(road(port, port_80))
            assert str(error) == f"{WORDS} at http://login.hotel.example/"
            assert portal.heard == [], "no handshake ended, so no byte of ours was read"
            assert web.heard == [b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]

    asyncio.run(scenario())


def test_without_a_sign_in_page_the_other_certificate_is_told(road: Road, elsewhere: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with Counter("", elsewhere).serving() as port:
            error = await refusal(road(port, free_port()))
            assert isinstance(error, PortalError)
            assert "another server answers in place of localhost (Hostname mismatch" in str(error)

    asyncio.run(scenario())


def test_an_untrusted_authority_is_told(certificates: Certificates, tmp_path: Path) -> None:
    async def scenario(road: Road) -> None:
        async with HttpSink(lambda request: request, Faults(), certificates).serving() as port:
            error = await refusal(road(port, free_port()))
            assert isinstance(error, PortalError)
            assert "check the address and authorities" in str(error)

    stranger = TlsFiles(certificates.stranger, certificates.client, certificates.client_key)
    for road in (https(stranger), mqtt(stranger, tmp_path)):
        asyncio.run(scenario(road))


def test_an_expired_server_certificate_is_no_portal(certificates: Certificates, tls: TlsFiles, tmp_path: Path) -> None:
    certificate, key = issue(certificates, "localhost", days=-1)
    (tmp_path / "old.pem").write_bytes(certificate + key)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(tmp_path / "old.pem")

    async def scenario() -> None:
        async with Counter("", old).serving() as port:
            error = await refusal(https(tls)(port, free_port()))
            assert not isinstance(error, PortalError)
            assert "set this gateway's clock, or have that certificate renewed" in str(error)

    asyncio.run(scenario())


def test_a_portal_that_shuts_the_port_is_seen_at_port_80(road: Road) -> None:
    async def scenario() -> None:
        async with Counter(NOT_YET).serving() as port_80:
            assert str(await refusal(road(free_port(), port_80))) == WORDS

    asyncio.run(scenario())


def test_a_portal_that_speaks_http_where_tls_should_be(road: Road) -> None:
    async def scenario() -> None:
        portal = Counter(SIGN_IN)
        async with portal.serving() as port:
            assert "does not speak TLS" in str(await refusal(road(port, free_port())))
            assert all(b"a record" not in heard and b"password" not in heard for heard in portal.heard)

    asyncio.run(scenario())


def test_the_sinks_own_web_server_is_no_portal(road: Road) -> None:
    async def scenario() -> None:
        for own in (TO_TLS, PAGE):
            async with Counter(own).serving() as port_80:
                assert "Connection refused" in str(await refusal(road(free_port(), port_80)))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "said"),
    [(SIGN_IN, WORDS), (NOT_YET, WORDS), (PAGE, "a web page in place of the sink's reply"), (TO_TLS, "HTTP 301")],
)
def test_what_answers_plain_http_in_place_of_the_sink(answer: str, said: str) -> None:
    async def scenario() -> None:
        async with Counter(answer).serving() as port:
            assert said in str(await refusal(HttpsUplink(f"http://localhost:{port}")))

    asyncio.run(scenario())


def test_a_portal_is_tried_at_a_bounded_pace_and_gone_at_once_after_the_sign_in(
    certificates: Certificates, tls: TlsFiles, elsewhere: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        web = Counter(SIGN_IN)
        port = free_port()
        sink = HttpSink(lambda request: request, Faults(), certificates)
        async with web.serving() as port_80:
            uplink = https(tls)(port, port_80)
            loop = asyncio.get_running_loop()
            async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", port, ssl=elsewhere):
                await refusal(uplink)
                began = loop.time()
                await refusal(uplink)
                assert loop.time() - began >= QUICK.portal_s * 0.9
                assert web.connections == 1, "the sign-in page is not asked for again within a minute"
            async with sink.serving(port=port), asyncio.timeout(10), uplink:
                assert await uplink.exchange(b"a record") == b"a record"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "location", "where"),
    [
        (200, "", None),
        (302, "", None),
        (302, "/login", None),
        (302, "https://sink.example/", None),
        (307, "http://10.0.0.1:8080/login?mac=1", "http://10.0.0.1:8080/"),
        (302, "http://evil\x1b[2J/", ""),
        (511, "", ""),
        (404, "http://elsewhere.example/", None),
    ],
)
def test_what_counts_as_a_portal(status: int, location: str, where: str | None) -> None:
    assert portal_of(status, location, "sink.example") == where


def test_a_look_never_takes_long_or_raises() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            portal = Portal("127.0.0.1", port=server.sockets[0].getsockname()[1])
            async with asyncio.timeout(12):
                await portal.look()
            assert portal.where is None

    asyncio.run(scenario())

"""Idle connections: kept alive for less than a NAT keeps them; a request that meets a dead one is sent once more."""

import asyncio
import socket

import pytest
from tests.agent.uplink.certificates import Certificates
from tests.agent.uplink.servers import HttpSink, free_port

from packseal.core.errors import UplinkError
from packseal.uplink.https import KEEPALIVE_S, HttpsUplink
from packseal.uplink.memory import Faults
from packseal.uplink.reach import CONGESTION, Reach
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 20
CONGESTION_BYTES = 16  # TCP_CA_NAME_MAX, include/net/tcp.h
NAT_FORGETS_S = 240  # the shortest default that a vendor documents: Azure's, see uplink/https.py


def test_a_request_that_meets_a_dead_connection_is_sent_once_more(certificates: Certificates, tls: TlsFiles) -> None:
    """The server resets it while it is idle and when the request is already under way."""

    async def scenario() -> None:
        sink = HttpSink(lambda request: request, Faults(), certificates)
        async with (
            asyncio.timeout(LIMIT_S),
            sink.serving() as port,
            HttpsUplink(f"https://localhost:{port}", tls) as uplink,
        ):
            for number in range(6):
                assert await uplink.exchange(bytes([number])) == bytes([number])
                sink.drop_connections()
                if number % 2:
                    await asyncio.sleep(0.05)  # noticed before the next request; else while it is sent
        assert len(sink.peers) == 6

    asyncio.run(scenario())


def test_it_is_sent_once_more_only() -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with HttpsUplink(f"http://localhost:{port}") as uplink:
                with pytest.raises(UplinkError, match="connection to localhost lost"):
                    await uplink.exchange(b"a")

    asyncio.run(scenario())
    assert connections == 2


@pytest.mark.parametrize("seconds", [None, 30])
def test_the_kernel_asks_an_idle_server_for_a_sign_of_life(seconds: int | None) -> None:
    async def scenario() -> tuple[int, int, int]:
        async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            uplink = HttpsUplink(f"http://127.0.0.1:{port}", route=Route(keepalive_s=seconds))
            connected = await uplink._road.connect()  # nothing else shows a socket's options
            with connected:
                return (
                    connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                )

    on, idle_s, again_s = asyncio.run(scenario())
    assert (on, idle_s) == (1, seconds or KEEPALIVE_S)
    assert idle_s + 2 * again_s < NAT_FORGETS_S


def test_without_it_the_kernel_asks_nothing() -> None:
    options = Reach("localhost", free_port()).socket_options
    assert not any(option == (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) for option in options)


def test_a_connection_goes_by_what_arrives_where_the_kernel_lets_it() -> None:
    async def scenario() -> bytes:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            with await Reach("127.0.0.1", server.sockets[0].getsockname()[1]).connect() as connected:
                return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_BYTES)

    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        except OSError as error:
            pytest.skip(f"this machine does not let us choose BBR: {error.strerror}")
    assert asyncio.run(scenario()).rstrip(b"\0") == CONGESTION

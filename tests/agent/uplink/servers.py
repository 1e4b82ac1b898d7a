"""A real broker with a sink behind it, and a small HTTPS server with a sink in it."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiomqtt
import h11
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.agent.uplink.certificates import Certificates

from packseal.uplink.memory import Faults

Handler = Callable[[bytes], bytes]


class Spoiler:
    """Applies a network's faults on the sink's side of a real one."""

    def __init__(self, handler: Handler, faults: Faults) -> None:
        self._handler = handler
        self._faults = faults

    def replies(self, request: bytes) -> list[bytes]:
        faults = self._faults
        if faults.lose_requests > 0:
            faults.lose_requests -= 1
            return []
        replies = [self._handler(request)]
        if faults.duplicate_requests > 0:
            faults.duplicate_requests -= 1
            replies.append(self._handler(request))
        if faults.lose_replies > 0:
            faults.lose_replies -= 1
            return []
        return replies


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def broker(
    folder: Path,
    certificates: Certificates | None,
    *,
    bind: str = "127.0.0.1",
    port: int | None = None,
    prefix: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    anonymous: bool = True,
) -> Iterator[int]:
    """Run mosquitto; with certificates it asks clients for theirs. `prefix` goes before the command.

    `extra`: further lines of its configuration.
    """
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto, or make test, which installs it")
    port = port or free_port()
    lines = [f"listener {port} {bind}", f"allow_anonymous {str(anonymous).lower()}", f"user {_own_name()}"]
    if certificates is not None:
        lines += [
            f"cafile {certificates.authority}",
            f"certfile {certificates.server}",
            f"keyfile {certificates.server_key}",
            "require_certificate true",
        ]
    lines += extra
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with (folder / "mosquitto.log").open("w") as log:
        command = [*prefix, program, "-c", str(folder / "mosquitto.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def _own_name() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")


@asynccontextmanager
async def mqtt_sink(
    host: str, port: int, certificates: Certificates | None, handler: Handler, faults: Faults
) -> AsyncIterator[None]:
    """Answer every request that reaches the broker, until left."""
    subscribed = asyncio.Event()
    spoiler = Spoiler(handler, faults)
    task = asyncio.create_task(_serve_mqtt(host, port, certificates, spoiler, subscribed))
    try:
        async with asyncio.timeout(10):
            await asyncio.wait({task, ready := asyncio.create_task(subscribed.wait())}, return_when="FIRST_COMPLETED")
        ready.cancel()
        assert subscribed.is_set(), task.result()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _serve_mqtt(
    host: str, port: int, certificates: Certificates | None, spoiler: Spoiler, subscribed: asyncio.Event
) -> None:
    await listening(host, port)
    tls = None
    if certificates is not None:
        tls = ssl.create_default_context(cafile=certificates.authority)
        tls.load_cert_chain(certificates.client, certificates.client_key)
    client = aiomqtt.Client(
        host,
        port,
        protocol=aiomqtt.ProtocolVersion.V5,
        identifier="sink",
        tls_context=tls,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    async with client:
        await client.subscribe("packseal/v1/+/exchange", qos=1)
        subscribed.set()
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            for reply in spoiler.replies(message.payload):
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.CorrelationData = message.properties.CorrelationData  # type: ignore[union-attr]
                await client.publish(message.properties.ResponseTopic, reply, qos=1, properties=properties)  # type: ignore[union-attr]


async def listening(host: str, port: int) -> None:
    """Wait until a broker that was just started takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)  # the broker is still starting
            continue
        writer.close()
        await writer.wait_closed()
        return


class HttpSink:
    """POST /v1/exchange, with or without TLS. `status` other than 200 answers everything with that."""

    def __init__(self, handler: Handler, faults: Faults, certificates: Certificates | None) -> None:
        self._spoiler = Spoiler(handler, faults)
        self._tls: ssl.SSLContext | None = None
        if certificates is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
            self._tls.load_cert_chain(certificates.server, certificates.server_key)
            self._tls.verify_mode = ssl.CERT_REQUIRED
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.status = 200
        self.targets: list[bytes] = []
        self.most_connections = 0
        self.peers: list[str] = []

    @asynccontextmanager
    async def serving(self, sock: socket.socket | None = None, port: int = 0) -> AsyncIterator[int]:
        where = {"sock": sock} if sock is not None else {"host": "127.0.0.1", "port": port}
        server = await asyncio.start_server(self._serve, ssl=self._tls, **where)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.drop_connections()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def drop_connections(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        if self._tls is not None:
            self.peers.append(str(writer.get_extra_info("peercert")["subject"]))
        self.most_connections = max(self.most_connections, len(self._writers))
        try:
            await self._answer_all(reader, writer)
        except (OSError, h11.RemoteProtocolError):
            pass  # the client went away
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        body = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Request):
                self.targets.append(event.target)
            elif isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.EndOfMessage) or not await self._answer(http, writer, bytes(body)):
                await reader.read()  # lost, or over: the client gives up by itself
                return
            else:
                body.clear()

    async def _answer(self, http: h11.Connection, writer: asyncio.StreamWriter, request: bytes) -> bool:
        """Return whether there was an answer."""
        replies = [b"not today"] if self.status != 200 else self._spoiler.replies(request)
        if not replies:
            return False
        response = h11.Response(status_code=self.status, headers=[("Content-Length", str(len(replies[0])))])
        for event in (response, h11.Data(data=replies[0]), h11.EndOfMessage()):
            writer.write(http.send(event) or b"")
        await writer.drain()
        http.start_next_cycle()
        return True

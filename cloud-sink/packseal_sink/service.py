"""The running sink: ingest, HTTP and MQTT under one roof, until it is told to stop."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Self

import uvicorn

from packseal import __version__
from packseal.core.errors import InputError, StorageError
from packseal.keys import file
from packseal_sink.database import Database, Lock
from packseal_sink.ingest import Condition, Ingest
from packseal_sink.ledger import Limits
from packseal_sink.mqtt import MqttServer, MqttState
from packseal_sink.pressure import Bounds, Pressure
from packseal_sink.rates import Rates
from packseal_sink.reader import Reader
from packseal_sink.settings import Configuration, is_loopback
from packseal_sink.store import Store
from packseal_sink.tls import server_context
from packseal_sink.views import Tallies, utc_text
from packseal_sink.web.api import Api
from packseal_sink.web.app import application
from packseal_sink.web.pages import Pages

STOP_S = 10
BACKLOG = 512
MOVE_LOOK_S, MOVE_PAUSE_S, MOVE_AGAIN_S = 0.5, 0.02, 30.0
"""Between two looks, between two steps so that requests come in between, and after a failure."""


def now_ms() -> int:
    """Return the UTC time in milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What /status says."""

    sink: str
    kid: str
    version: str
    since: str
    tallies: Tallies
    busy: int
    slowed: int
    trouble: str
    mqtt: MqttState | None


class _HttpServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the sink stops HTTP and MQTT together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Service:
    """One sink. Use it as a context: entering opens everything that can fail, leaving closes it.

    Args:
        configuration: the whole of it.
        tell: is given one line for the operator.

    Raises:
        InputError: a key, certificate or password file cannot be used, or the port is taken.
        StorageError: the database cannot be opened, or another sink runs on it.
    """

    def __init__(self, configuration: Configuration, tell: Callable[[str], None]) -> None:
        self._configuration = configuration
        self._tell = tell
        self._since_ms = now_ms()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            settings = self._configuration.settings
            self._signer = file.load(self._configuration.path(settings.sink.key))
            path = self._configuration.path(settings.sink.database)
            lock = Lock(path)
            stack.callback(lock.release)
            store = Database(path, write=True)
            stack.callback(store.close)
            reading = Database(path, write=False)
            stack.callback(reading.close)
            self._ingest = self._make_ingest(Store(store))
            self._reader = Reader(reading, now_ms)
            self._tls = self._server_tls()
            self._socket = stack.enter_context(_listen(settings.http.host, settings.http.port))
            self._mqtt = (
                MqttServer(self._configuration, self._ingest.handle, self._tell) if settings.mqtt is not None else None
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self._socket.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        return f"{'https' if self._tls else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}/"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; requests under way are answered first."""
        api, pages = Api(self._reader, self.status), Pages(self._reader, self.status, now_ms)
        server = _HttpServer(_http_config(application(self._ingest.handle, api, pages), self._tls))
        mqtt = None if self._mqtt is None else asyncio.create_task(self._mqtt.run(), name="mqtt")
        serving = asyncio.create_task(server.serve(sockets=[self._socket]), name="http")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        self._announce()
        moving = asyncio.create_task(move_early(self._ingest, self._tell), name="move early records")
        tasks = {serving, stopping, moving, *(() if mqtt is None else (mqtt,))}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for task in tasks - {serving}:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def status(self) -> Status:
        """Return the present state."""
        condition: Condition = self._ingest.condition
        tallies = self._reader.tallies()
        return Status(
            sink=self._configuration.settings.sink.id,
            kid=self._signer.kid.hex(),
            version=__version__,
            since=utc_text(self._since_ms),
            tallies=_with_receipts(tallies, condition.receipts),
            busy=condition.busy,
            slowed=condition.slowed,
            trouble=condition.trouble,
            mqtt=None if self._mqtt is None else self._mqtt.state,
        )

    def _make_ingest(self, store: Store) -> Ingest:
        sink = self._configuration.settings.sink
        limits = Limits(sink.early_log_mb << 20, sink.early_mb << 20)
        pressure = Pressure(store.folder, Bounds(free_bytes=sink.free_disk_mb << 20))
        rates = Rates(sink.gateway_mb_per_s * (1 << 20), sink.gateway_requests_per_s)
        return Ingest(store, self._signer, sink.id, now_ms, limits=limits, pressure=pressure, rates=rates)

    def _announce(self) -> None:
        self._tell(f"listening on {self.url}")
        host = self._configuration.settings.http.host
        if self._tls is None and not is_loopback(host):
            self._tell(f"{host} is reached without TLS: anyone on the way can read the page; set certificate and key")

    def _server_tls(self) -> ssl.SSLContext | None:
        http = self._configuration.settings.http
        if http.certificate is None or http.key is None:
            return None
        path = self._configuration.path
        authorities = self._configuration.optional_path(http.client_authorities)
        return server_context(path(http.certificate), path(http.key), authorities, self._tell)


async def move_early(ingest: Ingest, tell: Callable[[str], None]) -> None:
    """Move early records into their logs whenever some can be, a few at a time, until cancelled."""
    while True:
        await asyncio.sleep(MOVE_PAUSE_S if ingest.is_ripe else MOVE_LOOK_S)
        if ingest.is_ripe:
            try:
                await asyncio.to_thread(ingest.move)
            except StorageError as error:
                tell(f"records held early stay where they are: {error}")
                await asyncio.sleep(MOVE_AGAIN_S)


def _with_receipts(tallies: Tallies, more: int) -> Tallies:
    return replace(tallies, receipts=tallies.receipts + more)


def _http_config(app: object, tls: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
    )
    config.load()
    config.ssl = tls
    return config


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        text = error.strerror or str(error)
        raise InputError(f"cannot listen on {host} port {port}: {text}; name another port under [http]") from error

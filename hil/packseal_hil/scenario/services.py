"""The operator's side of a scenario: a broker and a sink, processes on this machine's loopback."""

import asyncio
import http.client
import json
import shutil
import sqlite3
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packseal.core.errors import PacksealError
from packseal.demo import places
from packseal.demo.places import HOST, Places
from packseal.keys import file as key_file
from packseal_hil.rig import process
from packseal_hil.rig.protocols import RigError
from packseal_hil.scenario import certificate
from packseal_sink.database import Database
from packseal_sink.store import Store

if TYPE_CHECKING:
    import subprocess

SINK = "import sys; from packseal_sink.cli import main; sys.exit(main())"
CERTIFICATE, CERTIFICATE_KEY = "server.pem", "server.key"
START_S = 60.0
PATIENCE_S = 10.0
ANSWER_S = 20.0
LOOK_S = 0.02
LIMIT_BYTES = 16 << 20
RECEIVED = "SELECT coalesce(sum(count), 0) FROM tally WHERE what LIKE 'records.%'"
REFUSED = "SELECT coalesce(sum(count), 0) FROM tally WHERE what LIKE 'refused.%'"


class Server:
    """One server that can be stopped and started again; it listens on a loopback port."""

    def __init__(self, name: str, command: Sequence[str], port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Return when it listens; raises RigError with the end of its log when it does not."""
        if self._process is not None:
            return
        self._process = running = process.spawn(f"the {self.name}", self._command, self._log)
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            if running.poll() is not None:
                raise RigError(f"the {self.name} ended with code {running.returncode}: {self._said()}")
            try:
                _, writer = await asyncio.open_connection(HOST, self.port)
            except OSError:
                await asyncio.sleep(LOOK_S)
            else:
                writer.close()
                return
        raise RigError(f"the {self.name} does not listen on port {self.port} after {START_S:g} s: {self._said()}")

    async def stop(self) -> None:
        """End it in good order."""
        running, self._process = self._process, None
        if running is not None:
            await asyncio.to_thread(process.end, running, PATIENCE_S)

    def _said(self) -> str:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"


class Operator:
    """Broker and sink with a fresh database in `directory`. Make it with `prepare`, then start both servers.

    Args:
        directory: of this machine.
        secure: for a sink that speaks HTTPS and hears no broker: where the gateway reaches it; else None.

    Raises:
        RigError: mosquitto is not installed, or the directory cannot be used.
    """

    def __init__(self, directory: Path, secure: str | None = None) -> None:
        program = shutil.which("mosquitto", path=process.PATH)
        if program is None:
            raise RigError("mosquitto is not installed: apt install mosquitto")
        self.places = Places(directory)
        broker_port, http_port = places.free_port(), places.free_port()
        try:
            key_file.create(self.places["sink.key"])
            places.write_sink(self.places, http_port, broker_port if secure is None else None)
            if secure is not None:
                _secure(self.places, secure)
            broker_file = places.write_broker(self.places, broker_port)
            Database(self.places.sink_database, write=True).close()  # made before the sink and `enrol` both would
        except (PacksealError, OSError) as error:
            raise RigError(f"cannot prepare the sink in {directory}: {error}") from error
        sink = [sys.executable, "-c", SINK, "run", "--config", str(self.places.sink_config)]
        self._tls = None if secure is None else ssl.create_default_context(cafile=self.places[CERTIFICATE])
        self.broker = Server("broker", [program, "-c", str(broker_file)], broker_port, self.places["broker.log"])
        self.sink = Server("sink", sink, http_port, self.places["sink.log"])

    async def start(self) -> None:
        """Start both."""
        await self.broker.start()
        await self.sink.start()

    async def stop(self) -> None:
        """End both."""
        await self.sink.stop()
        await self.broker.stop()

    def enrol(self, pem: bytes, issuer: str) -> None:
        """Tell the sink which gateway it will hear from; a running sink takes note by itself. Raises RigError."""
        try:
            database = Database(self.places.sink_database, write=True)
            try:
                Store(database).add_gateway(pem, issuer, "bench", time.time_ns() // 1_000_000)
            finally:
                database.close()
        except PacksealError as error:
            raise RigError(f"the gateway cannot be enrolled: {error}") from error

    def counts(self) -> tuple[int, int]:
        """Return how many records the sink holds and how many it has refused."""
        path = self.places.sink_database
        if not path.exists():
            return 0, 0
        try:
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)
            try:
                (received,) = connection.execute(RECEIVED).fetchone()
                (refused,) = connection.execute(REFUSED).fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise RigError(f"the sink's database cannot be read: {error}") from error
        return int(received), int(refused)

    async def ask(self, path: str) -> Any:
        """Return a JSON document of the sink's, None where it has none; raises RigError when it does not answer."""
        status, body = await asyncio.to_thread(self._get, path)
        return json.loads(body) if status == http.HTTPStatus.OK else None

    async def page(self, path: str) -> str:
        """Return a page of the sink's as HTML, empty where it has none; raises RigError when it does not answer."""
        status, body = await asyncio.to_thread(self._get, path)
        return body.decode("utf-8", "replace") if status == http.HTTPStatus.OK else ""

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = (
            http.client.HTTPConnection(HOST, self.sink.port, timeout=ANSWER_S)
            if self._tls is None
            else http.client.HTTPSConnection(HOST, self.sink.port, timeout=ANSWER_S, context=self._tls)
        )
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read(LIMIT_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise RigError(f"the sink does not answer: {error}") from error
        finally:
            connection.close()


def _secure(made: Places, address: str) -> None:
    """Give the sink a certificate for `address` and this machine, and have it used; [http] is its last table."""
    public, key = certificate.make([HOST, address])
    made[CERTIFICATE].write_bytes(public)
    made[CERTIFICATE_KEY].write_bytes(key)
    with made.sink_config.open("a", encoding="utf-8") as file:
        file.write(f'certificate = "{CERTIFICATE}"\nkey = "{CERTIFICATE_KEY}"\n')

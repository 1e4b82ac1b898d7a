"""The sink of a recording, on this machine: `packseal-sink` in a directory of its own, with a broker on request."""

import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packseal.core.errors import InputError, StorageError
from packseal.demo import places
from packseal.demo.child import Child
from packseal.demo.places import Places
from packseal.demo.plan import BROKER_PATH
from packseal.keys import file as key_file
from packseal_hil.rig.protocols import RigError
from packseal_sink.database import Database
from packseal_sink.store import Store

START_S = 60.0
END_S = 20.0
PROGRAM = "import sys; from packseal_sink.cli import main; sys.exit(main())"
POSITIONS = """SELECT gateway.issuer, log.log_id, log.next_sequence
FROM log JOIN gateway ON gateway.id = log.gateway WHERE log.next_sequence > 0"""
HASH = """SELECT record.hash FROM log JOIN record ON record.id = (log.id << 40 | ?2) WHERE log.log_id = ?1"""


class LocalSink:
    """The sink, which can be stopped and started again.

    Args:
        directory: for its key, database and logs; made when it is absent.
        broker: whether agents reach it through mosquitto, on loopback, or by HTTP.
        twin: another sink, closed by now: this one has its key and port, and has received nothing.
        prefix: words before the sink's command, such as `env` with its variables.

    Raises:
        RigError: no broker here.
    """

    def __init__(
        self, directory: Path, *, broker: bool = False, twin: "LocalSink | None" = None, prefix: Sequence[str] = ()
    ) -> None:
        self._program = shutil.which("mosquitto", path=BROKER_PATH)
        if broker and self._program is None:
            raise RigError("mosquitto cannot be found: install it")
        directory.mkdir(parents=True, exist_ok=True)
        self._places = Places(directory)
        self._prefix = prefix
        self._broker: Child | None = None
        self._sink: Child | None = None
        self._reader: sqlite3.Connection | None = None
        self.port: int = twin.port if twin else places.free_port()
        self.broker_port = places.free_port() if broker else None
        if twin is None:
            key_file.create(self._places["sink.key"])
        else:
            for name in ("sink.key", "sink.pub"):
                shutil.copy(twin._places[name], self._places[name])  # noqa: SLF001 - of its own class
        places.write_sink(self._places, self.port, self.broker_port)
        Database(self._places.sink_database, write=True).close()

    @property
    def public_key(self) -> bytes:
        """What a gateway must have as its sink_key."""
        return self._places["sink.pub"].read_bytes()

    def enrol(self, public_key: bytes, issuer: str) -> None:
        """Have it take a gateway's records."""
        database = Database(self._places.sink_database, write=True)
        try:
            Store(database).add_gateway(public_key, issuer, "power cuts", 0)
        except (InputError, StorageError) as error:
            raise RigError(str(error)) from error
        finally:
            database.close()

    def start(self) -> None:
        """Start what does not run; raises RigError when it does not come up."""
        try:
            if self.broker_port is not None and self._broker is None:
                config = places.write_broker(self._places, self.broker_port)
                self._broker = Child("broker", [str(self._program), "-c", str(config)], self._places["broker.log"])
                places.wait_for_port(self.broker_port, self._broker.check, START_S)
            command = [*self._prefix, sys.executable, "-c", PROGRAM, "run", "--config", str(self._places.sink_config)]
            self._sink = Child("sink", command, self._places["sink.log"])
            places.wait_for_port(self.port, self._sink.check, START_S)
        except InputError as error:
            raise RigError(str(error)) from error

    def check(self) -> None:
        """Raise RigError with the end of its log when it has ended by itself."""
        try:
            for child in (self._broker, self._sink):
                if child is not None:
                    child.check()
        except InputError as error:
            raise RigError(str(error)) from error

    def stop(self) -> None:
        """Stop the sink; agents then record for themselves. The broker goes on."""
        if self._sink is not None:
            self._sink.end(END_S)
            self._sink = None

    def kill(self) -> None:
        """End the sink without warning."""
        if self._sink is not None:
            self._sink.kill()
            self._sink = None

    def close(self) -> None:
        """Leave nothing running."""
        self.stop()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._broker is not None:
            self._broker.end(END_S)
            self._broker = None

    def positions(self) -> list[tuple[str, bytes, int]]:
        """Return issuer, log id and number of records of every log that it holds."""
        return self._ask(POSITIONS)

    def hash_of(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return the hash of a record; None where it has not received it."""
        rows = self._ask(HASH, log_id, sequence)
        return bytes(rows[0][0]) if rows else None

    def _ask(self, query: str, *values: bytes | int) -> list[Any]:
        uri = f"{self._places.sink_database.absolute().as_uri()}?mode=ro"
        try:
            if self._reader is None:  # kept open: it is asked hundreds of times a second
                self._reader = sqlite3.connect(uri, uri=True, timeout=END_S)
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise RigError(f"the sink's database cannot be read: {error}") from error

"""A database as the first version made it is brought up to date in place, and goes on."""

import sqlite3
from pathlib import Path

import pytest
from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of
from tests.cloud_sink.pack import BATTERY, GATEWAY
from tests.cloud_sink.test_ingest import codes, send, stored

from packseal.core.errors import StorageError
from packseal.keys.file import FileSigner
from packseal_sink.database import APPLICATION_ID, Database
from packseal_sink.ingest import Ingest
from packseal_sink.reader import Reader
from packseal_sink.store import Store

SCHEMA_1 = (Path(__file__).parent / "schema_1.sql").read_text()
TABLES = ("gateway", "log", "record", "reading", "tally", "refusal")


@pytest.fixture
def old(tmp_path: Path, gateway_key: FileSigner, sink_key: FileSigner, records: list[bytes]) -> Path:
    """A sink's database of schema 1 with half a log in it."""
    path, made = tmp_path / "old.db", Database(tmp_path / "made.db", write=True)
    Store(made).add_gateway(pem_of(gateway_key), GATEWAY, "", NOW_MS)
    send(Ingest(Store(made), sink_key, SINK, lambda: NOW_MS), *records[:60])
    made.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};")
    connection.executescript(f"{SCHEMA_1} PRAGMA user_version = 1;")
    connection.execute("ATTACH ? AS made", (str(tmp_path / "made.db"),))
    for table in TABLES:
        names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
        connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM made.{table}")
    connection.close()
    return path


def test_an_older_database_goes_on_where_it_was(old: Path, sink_key: FileSigner, records: list[bytes]) -> None:
    with pytest.raises(StorageError, match="of an older version: packseal-sink run brings it up to date"):
        Database(old, write=False)
    database = Database(old, write=True)
    ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS)
    assert codes(send(ingest, *records[60:])) == []
    assert stored(database) == records
    reading = Database(old, write=False)
    assert Reader(reading, lambda: NOW_MS).battery(BATTERY).newest.verified_up_to == len(records) - 1
    fresh = Database(old.with_name("new.db"), write=True)
    assert columns(database) == columns(fresh)
    for opened in (database, reading, fresh):
        opened.close()
    Database(old, write=True).close()


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patched:
        patched.setattr("packseal_sink.schema._previous_log", fail)
        with pytest.raises(StorageError, match="no"):
            Database(old, write=True)
    Database(old, write=True).close()


def columns(database: Database) -> dict[str, set[str]]:
    with database.reading() as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}

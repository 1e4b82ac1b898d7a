"""What the sink keeps: gateways, logs, records, readings, tallies and refusals. One batch is one transaction."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from packseal.core import cose, record
from packseal.core.chain import Head
from packseal.core.errors import InputError
from packseal_sink.database import Database
from packseal_sink.draft import SEQUENCE_BITS
from packseal_sink.ledger import Aside, Link, LogState
from packseal_sink.writing import NOBODY, Change, record_row, write


@dataclass(frozen=True, slots=True)
class Gateway:
    """An enrolled gateway key."""

    row: int
    key: cose.PublicKey
    issuer: str
    name: str
    added_ms: int
    removed_ms: int | None = None


class Store:
    """Writes the sink's database. For one thread; readers use connections of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.reading() as connection:
            self._rows: dict[bytes, int] = dict(connection.execute("SELECT log_id, id FROM log"))

    @property
    def folder(self) -> Path:
        """Where the database is."""
        return self._database.path.parent

    @property
    def trouble(self) -> str:
        """What the operator must know although nothing has failed so far; "" where there is none."""
        return self._database.trouble

    def gateways(self) -> dict[bytes, Gateway]:
        """Return every gateway that is or was enrolled, by kid; raises StorageError."""
        with self._database.reading() as connection:
            return read_gateways(connection)

    def version(self) -> int:
        """Return a number that changes when another connection has changed the database; raises StorageError."""
        return self._database.version()

    def add_gateway(self, pem: bytes, issuer: str, name: str, now_ms: int) -> Gateway:
        """Enrol a gateway key, or one again that was removed.

        Raises:
            InputError: not a public key of ours, or enrolled already.
            StorageError: it cannot be written.
        """
        key = cose.public_key_from_pem(pem)
        with self._database.transaction() as connection:
            known = connection.execute("SELECT issuer, removed_ms FROM gateway WHERE kid = ?", (key.kid,)).fetchone()
            if known is not None and known[1] is None:
                raise InputError(f"gateway key {key.kid.hex()[:16]} is enrolled already, as {known[0]}")
            if known is not None and known[0] != issuer:
                raise InputError(
                    f"gateway key {key.kid.hex()[:16]} was enrolled as {known[0]}: use that id or a new key"
                )
            (row,) = connection.execute(
                "INSERT INTO gateway (kid, pem, issuer, name, added_ms) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (kid) DO UPDATE SET name = excluded.name, removed_ms = NULL RETURNING id",
                (key.kid, pem.decode("ascii", "replace"), issuer, name, now_ms),
            ).fetchone()
            return Gateway(row, key, issuer, name, now_ms)

    def remove_gateway(self, kid: str, now_ms: int) -> Gateway:
        """Refuse a gateway's records from now on; those stored stay.

        Args:
            kid: how its key's thumbprint begins, in hexadecimal.
            now_ms: UTC milliseconds.

        Raises:
            InputError: none or several enrolled keys begin like this.
            StorageError: it cannot be written.
        """
        with self._database.transaction() as connection:
            found = [
                gateway
                for known, gateway in read_gateways(connection).items()
                if gateway.removed_ms is None and known.hex().startswith(kid.lower())
            ]
            if len(found) != 1:
                raise InputError(
                    f"{len(found)} enrolled gateway keys begin with {kid!r}: see packseal-sink gateway list"
                )
            connection.execute("UPDATE gateway SET removed_ms = ? WHERE id = ?", (now_ms, found[0].row))
            return found[0]

    def states(self) -> dict[bytes, LogState]:
        """Return where every log stands; raises StorageError."""
        query = "SELECT log_id, kid, subject, next_sequence, hash FROM log JOIN gateway ON gateway.id = log.gateway"
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return {row[0]: LogState(row[0], row[1], row[2], Head(row[3], row[4])) for row in rows}

    def hash_at(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return the hash of a stored record; raises StorageError."""
        row = self._rows.get(log_id)
        if row is None or sequence >> SEQUENCE_BITS:
            return None
        with self._database.reading() as connection:
            found = connection.execute("SELECT hash FROM record WHERE id = ?", (record_row(row, sequence),)).fetchone()
        return None if found is None else bytes(found[0])

    def link_at(self, log_id: bytes, sequence: int) -> Link | None:
        """Return how the record stored in its turn or early is chained; raises StorageError."""
        row = self._rows.get(log_id)
        if row is None or sequence >> SEQUENCE_BITS:
            return None
        with self._database.reading() as connection:
            found = connection.execute("SELECT raw FROM record WHERE id = ?", (record_row(row, sequence),)).fetchone()
        if found is None:
            return None
        entry = record.parse(found[0])
        return Link(entry.hash, entry.header.previous, len(entry.raw))

    def early_links(self, log_id: bytes, first: int, limit: int) -> dict[int, Link]:
        """Return how early records from `first` on are chained, at most `limit`; raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(_EARLY_LINKS, (self._rows.get(log_id, NOBODY), first, limit)).fetchall()
        return {sequence: Link(digest, previous, size) for sequence, digest, previous, size in rows}

    def asides(self) -> dict[bytes, Aside]:
        """Return what stands beside every log's chain; raises StorageError."""
        return {log_id: aside for log_id in self._rows if (aside := self.aside(log_id)).early or aside.holes}

    def aside(self, log_id: bytes) -> Aside:
        """Return what stands beside one log's chain; raises StorageError."""
        row = self._rows.get(log_id, NOBODY)
        aside = Aside()
        with self._database.reading() as connection:
            for sequence, size in connection.execute("SELECT sequence, size FROM early WHERE log = ?", (row,)):
                aside.early.add(sequence, sequence + 1)
                aside.early_bytes += size
            places = (record_row(row, 0), record_row(row + 1, 0) - 1)
            for first, last in connection.execute("SELECT first, last FROM hole WHERE id BETWEEN ? AND ?", places):
                aside.holes.add(first, last + 1)
        return aside

    def commit(self, change: Change, now_ms: int) -> None:
        """Write `change` durably, or nothing of it; raises StorageError."""
        with self._database.transaction() as connection:
            rows = write(connection, change, self._rows, now_ms)
        self._rows = rows


_EARLY_LINKS = """
SELECT early.sequence, record.hash, early.previous, early.size
FROM early JOIN record ON record.id = early.log << 40 | early.sequence
WHERE early.log = ? AND early.sequence >= ? ORDER BY early.sequence LIMIT ?
"""


def read_gateways(connection: sqlite3.Connection) -> dict[bytes, Gateway]:
    """Return every gateway that is or was enrolled, by kid."""
    rows = connection.execute("SELECT id, kid, pem, issuer, name, added_ms, removed_ms FROM gateway ORDER BY id")
    return {
        kid: Gateway(row, cose.public_key_from_pem(pem.encode()), issuer, name, added_ms, removed_ms)
        for row, kid, pem, issuer, name, added_ms, removed_ms in rows
    }

"""Rescue: a new journal file that takes in, in any order, the records that prove to be what was signed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packseal.core import cose, exchange, proof, record
from packseal.core.errors import FormatError, PacksealError, VerifyError
from packseal.core.exchange import Receipt
from packseal.core.holes import covers
from packseal.core.record import Record
from packseal.journal import database, receipts, removal
from packseal.journal.store import SEQUENCE_BITS, LogKind

PER_COMMIT = 500


@dataclass(frozen=True, slots=True)
class Hole:
    """Records of a log that are lost. `last` is None when nobody knows where the log ended; UTC milliseconds."""

    first: int
    last: int | None
    from_wall_ms: int
    to_wall_ms: int | None


@dataclass(slots=True)
class Saved:
    """What was rescued of one log."""

    row: int
    log_id: bytes
    subject: str
    issuer: str
    records: int = 0
    bytes: int = 0


class Rescue:
    """Fills the empty journal at `path`; `close` it in the end.

    Args:
        path: a new file.
        keys: public keys of gateways, by thumbprint: what they have signed counts.
        sinks: those of sinks, for receipts.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, keys: Mapping[bytes, cose.PublicKey], sinks: Mapping[bytes, cose.PublicKey]) -> None:
        self._path = path
        self._keys, self._sinks = keys, sinks
        self._connection = database.open_to_write(path)
        self._open = 0
        self._receipts: dict[bytes, Receipt] = {}
        self.beginnings: Mapping[bytes, int] = {}
        """By log, the number before which all was forgotten."""
        self.logs: dict[bytes, Saved] = {}
        self.strangers: set[bytes] = set()
        self.doubles = 0  # a second record with the number of another: a fork

    def offer(self, raw: bytes) -> bool:
        """Take a record in if its bytes prove that it is one; return whether they do. Raises StorageError."""
        try:
            if proof.receipt_kid(raw) is not None:
                return self._take_receipt(raw)
            claimed = record.parse(raw)
            if claimed.kid not in self._keys:
                self.strangers.add(claimed.kid)
                return False
            if self._is_held(claimed):
                return True
            entry = record.verify(raw, self._keys[claimed.kid])
            record.check_contents(entry)
        except (FormatError, VerifyError):
            return False
        return self._take(entry)

    def close(self) -> None:
        """Write down what is known of each log, and close the file."""
        with database.told(self._path):
            self._commit()
            for saved in self.logs.values():
                self._finish(saved)
            self._connection.close()

    def holes(self, saved: Saved) -> list[Hole]:
        """Return what is missing of a log; the last one is what may have come after its last record.

        What the log's own gap records name was removed on purpose, and what is before `beginnings` was forgotten:
        neither is lost now.
        """
        found = []
        expected, wall_ms = self.beginnings.get(saved.log_id, 0), None
        receipted = max((r.sequence for r in self._receipts.values() if r.log_id == saved.log_id), default=-1)
        with database.told(self._path):
            start = saved.row << SEQUENCE_BITS
            rows = self._connection.execute(
                "SELECT id - ?, wall_ms FROM record WHERE id >= ? AND id < ? ORDER BY id",
                (start, start, start + (1 << SEQUENCE_BITS)),
            )
            named = removal.named(self._connection, start, start + (1 << SEQUENCE_BITS))
            for sequence, at_ms in rows:
                if not covers(named, expected, sequence - 1):
                    found.append(Hole(expected, sequence - 1, at_ms if wall_ms is None else wall_ms, at_ms))
                expected, wall_ms = max(expected, sequence + 1), at_ms
        return [*found, Hole(expected, receipted if receipted >= expected else None, wall_ms or 0, None)]

    def _take_receipt(self, raw: bytes) -> bool:
        key = self._sinks.get(proof.receipt_kid(raw) or b"")
        if key is None:
            return False
        with suppress(PacksealError):
            self._receipts[raw] = exchange.verify_receipt(raw, key)
        return raw in self._receipts

    def _is_held(self, entry: Record) -> bool:
        """Whether this very record is there already."""
        saved, sequence = self.logs.get(entry.header.log_id), entry.header.sequence
        if saved is None or sequence >= 1 << SEQUENCE_BITS:
            return False
        with database.told(self._path):
            query = "SELECT hash FROM record WHERE id = ?"
            held = self._connection.execute(query, ((saved.row << SEQUENCE_BITS) + sequence,)).fetchone()
        return held is not None and held[0] == entry.hash

    def _take(self, entry: Record) -> bool:
        header = entry.header
        if header.sequence >= 1 << SEQUENCE_BITS:
            return False
        with database.told(self._path):
            if not self._open:
                self._connection.execute("BEGIN IMMEDIATE")
            saved = self.logs.get(header.log_id) or self._begin(entry)
            place = (saved.row << SEQUENCE_BITS) + header.sequence
            values = (place, int(entry.kind), header.wall_ms, entry.hash, entry.raw)
            query = "INSERT OR IGNORE INTO record (id, kind, wall_ms, hash, raw) VALUES (?, ?, ?, ?, ?)"
            if self._connection.execute(query, values).rowcount:
                saved.records += 1
                saved.bytes += len(entry.raw)
                removal.note(self._connection, saved.row << SEQUENCE_BITS, [entry])
            else:
                self.doubles += 1
            self._open += 1
            if self._open >= PER_COMMIT:
                self._commit()
        return True

    def _begin(self, entry: Record) -> Saved:
        kind = LogKind.GATEWAY if entry.subject == entry.issuer else LogKind.BATTERY
        values = (entry.header.log_id, entry.subject, int(kind))
        row = self._connection.execute("INSERT INTO log (log_id, subject, kind) VALUES (?, ?, ?)", values).lastrowid
        saved = Saved(int(row or 0), entry.header.log_id, entry.subject, entry.issuer)
        self.logs[saved.log_id] = saved
        return saved

    def _commit(self) -> None:
        if self._open:
            self._connection.execute("COMMIT")
        self._open = 0

    def _finish(self, saved: Saved) -> None:
        """Write a log's size, and the receipts for records that were rescued."""
        start = saved.row << SEQUENCE_BITS
        mine = sorted((r for r in self._receipts.values() if r.log_id == saved.log_id), key=lambda r: r.sequence)
        with database.transaction(self._connection, self._path):
            facts = (saved.bytes, saved.records, self.beginnings.get(saved.log_id, 0), saved.row)
            self._connection.execute("UPDATE log SET bytes = ?, records = ?, begins = ? WHERE id = ?", facts)
            for receipt in mine:
                query = "SELECT hash FROM record WHERE id = ?"
                if self._connection.execute(query, (start + receipt.sequence,)).fetchone() != (receipt.hash,):
                    continue
                receipts.keep(self._connection, start, receipt)
                query = "UPDATE log SET delivered = ?, receipt = ? WHERE id = ?"
                self._connection.execute(query, (receipt.sequence + 1, receipt.raw, saved.row))

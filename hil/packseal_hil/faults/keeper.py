"""A small program that keeps records, steered line by line: the agent's journal or the sink's ingest and nothing else.

`python -m packseal_hil.faults.keeper journal|sink DIRECTORY`. Each line of its input is answered by one line:

* `open`: opens what is in the directory; `close`: closes it.
* `take N`: stores N new records together with those that could not be stored before.
* `bulk N`: the same, with a meter state (journal), or records (sink), of about N kilobytes.
* `receipt`: keeps a receipt for everything stored (journal only).

The answer is `ok N`, N records being stored durably, or `failed` and the sentence that an operator would read; after
either, and a tab, stands what the operator is told besides.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core import exchange
from packseal.core.bodies import Event
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.cose import Envelope
from packseal.core.errors import PacksealError, StorageError
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal_sink.database import Database, Lock
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_ID = b"L" * 16
GATEWAY, BATTERY, SINK = "urn:example:gateway:1", "urn:example:battery:1", "urn:example:sink:1"
JOURNAL, DATABASE, KEY = "journal.db", "sink.db", "gateway.key"
LONG_TEXT = 1000


class InJournal:
    """The agent's journal."""

    def __init__(self, directory: Path, signer: key_file.FileSigner) -> None:
        self._path, self._signer = directory / JOURNAL, signer
        self._journal: Journal | None = None
        self.trouble = ""

    def open(self) -> Head:
        """Open it and begin the log; return where it stands."""
        self._journal = journal = Journal.open(self._path)
        journal.begin_log(BATTERY, LOG_ID)
        return journal.head(LOG_ID)

    def close(self) -> None:
        """Close it."""
        if self._journal is not None:
            self._journal.close()

    def take(self, records: list[SealedRecord], kilobytes: int) -> int:
        """Append, with a meter state."""
        journal = self._opened()
        journal.append(LOG_ID, records, os.urandom(kilobytes << 10) if kilobytes else b"state")
        self.trouble = journal.trouble
        return records[-1].sequence + 1

    def receipt(self) -> int:
        """Keep a receipt of everything."""
        journal = self._opened()
        head = journal.head(LOG_ID)
        stored = (LOG_ID, head.next_sequence - 1, head.previous)
        raw = exchange.write_receipt(Envelope(self._signer, SINK, BATTERY), stored, 0)
        journal.acknowledge(exchange.verify_receipt(raw, self._signer.public))
        return head.next_sequence

    def _opened(self) -> Journal:
        if self._journal is None:
            raise StorageError("it is not open")
        return self._journal


class InSink:
    """The sink's ingest on its database."""

    def __init__(self, directory: Path, signer: key_file.FileSigner) -> None:
        self._path, self._signer = directory / DATABASE, signer
        self._close: list[Callable[[], None]] = []
        self._ingest: Ingest | None = None
        self.trouble = ""

    def open(self) -> Head:
        """Open it, and enrol the gateway's key where it is not; return where the log stands."""
        lock = Lock(self._path)
        self._close.append(lock.release)
        database = Database(self._path, write=True)
        self._close.append(database.close)
        store = Store(database)
        if self._signer.kid not in store.gateways():
            pem = self._path.with_name(KEY).with_suffix(".pub").read_bytes()
            store.add_gateway(pem, GATEWAY, "faults", 0)
        self._ingest = Ingest(store, self._signer, SINK, lambda: 0)
        states = store.states()
        return states[LOG_ID].head if LOG_ID in states else Head()

    def close(self) -> None:
        """Close it."""
        self._ingest = None
        while self._close:
            self._close.pop()()

    def take(self, records: list[SealedRecord], kilobytes: int) -> int:
        """Send a batch; the receipt says how much is stored."""
        del kilobytes  # the records are large themselves
        if self._ingest is None:
            raise StorageError("it is not open")
        reply = exchange.decode_reply(self._ingest.handle(exchange.encode_batch([r.raw for r in records])))
        if reply.refused:
            raise StorageError(reply.refused[0].text)
        self.trouble = self._ingest.condition.trouble
        (raw,) = reply.receipts
        return exchange.verify_receipt(raw, self._signer.public).sequence + 1


class Keeper:
    """Answers lines."""

    def __init__(self, kept: InJournal | InSink, signer: key_file.FileSigner) -> None:
        self._kept = kept
        self._signer = signer
        self._pen: Pen | None = None
        self._pending: list[SealedRecord] = []

    def answer(self, line: str) -> str:
        """Do what one line says."""
        word, _, number = line.strip().partition(" ")
        try:
            return f"ok {self._do(word, int(number or 0))}\t{self._kept.trouble}"
        except PacksealError as error:
            return f"failed {error}\t{self._kept.trouble}"

    def _do(self, word: str, number: int) -> int:
        match word:
            case "open":
                head = self._kept.open()
                self._pen = self._pen or Pen(self._signer, GATEWAY, BATTERY, LOG_ID, bytes(8), head)
                return head.next_sequence
            case "close":
                self._kept.close()
                return 0
            case "receipt" if isinstance(self._kept, InJournal):
                return self._kept.receipt()
        is_bulk = word == "bulk"
        many = isinstance(self._kept, InSink) and is_bulk
        count = max(1, (number << 10) // LONG_TEXT) if many else 1 if is_bulk else number
        self._pending += [self._write("x" * LONG_TEXT if many else "") for _ in range(count)]
        stored = self._kept.take(self._pending, number if is_bulk else 0)
        self._pending = []
        return stored

    def _write(self, text: str) -> SealedRecord:
        if self._pen is None:
            raise StorageError("it was never open")
        at = Instant(self._pen.head.next_sequence, 0, ClockQuality.NTP)
        return self._pen.write(Event(EventCode.BUS_SILENT, {"text": text} if text else {}), at)


def main() -> int:
    """Answer until the input ends."""
    directory = Path(sys.argv[2])
    signer = key_file.load(directory / KEY)
    kept = InJournal(directory, signer) if sys.argv[1] == "journal" else InSink(directory, signer)
    keeper = Keeper(kept, signer)
    for line in sys.stdin:
        sys.stdout.write(keeper.answer(line) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

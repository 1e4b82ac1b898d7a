"""The newest receipt waits for the next append: known at once, written when it costs least, had again after a crash."""

import shutil
from pathlib import Path

import pytest
from tests.agent.journal.conftest import BATTERY, LOG, Writer
from tests.agent.journal.test_store import receipt_of

from packseal.core.chain import SealedRecord
from packseal.journal.receipts import KEEP_EVERY
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner


@pytest.fixture
def records(path: Path, write: Writer, signer: FileSigner) -> list[SealedRecord]:
    """Give a journal of 100 records, the first one receipted, and one more record."""
    made = write(101)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, made[:100])
        journal.acknowledge(receipt_of(signer, made[0]))
    return made


def on_disk(path: Path) -> int:
    with Journal.open_to_read(path) as other:
        return other.delivered(LOG)


def test_it_is_known_here_and_written_with_the_next_append(
    path: Path, records: list[SealedRecord], signer: FileSigner
) -> None:
    with Journal.open(path) as journal:
        newest = receipt_of(signer, records[9])
        journal.acknowledge(newest)
        assert (journal.delivered(LOG), journal.receipt(LOG), on_disk(path)) == (10, newest.raw, 1)
        assert journal.stats()[0].delivered == 10
        assert journal.receipts(LOG, 9) == [(9, newest.raw)]
        journal.append(LOG, records[100:])
        assert (journal.delivered(LOG), journal.receipt(LOG), on_disk(path)) == (10, newest.raw, 10)


def test_it_is_written_when_nothing_is_appended_and_at_the_end(
    path: Path, records: list[SealedRecord], signer: FileSigner
) -> None:
    with Journal.open(path) as journal:
        journal.acknowledge(receipt_of(signer, records[9]))
        journal.settle(60)
        assert on_disk(path) == 1
        journal.settle()
        assert on_disk(path) == 10
        journal.acknowledge(receipt_of(signer, records[20]))
    assert on_disk(path) == 21


def test_that_of_a_catch_up_is_written_at_once(path: Path, records: list[SealedRecord], signer: FileSigner) -> None:
    with Journal.open(path) as journal:
        journal.acknowledge(receipt_of(signer, records[KEEP_EVERY + 1]))
        assert on_disk(path) == KEEP_EVERY + 2


def test_a_crash_forgets_it_and_a_repeated_one_is_taken(
    path: Path, records: list[SealedRecord], signer: FileSigner
) -> None:
    copy = path.with_name("after.db")
    with Journal.open(path) as journal:
        journal.acknowledge(receipt_of(signer, records[9]))
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    with Journal.open(copy) as journal:
        assert journal.delivered(LOG) == 1
        journal.acknowledge(receipt_of(signer, records[9]))
        assert journal.delivered(LOG) == 10


def test_what_waits_is_forgotten_by_the_gateway_only_with_its_receipt(
    path: Path, records: list[SealedRecord], signer: FileSigner
) -> None:
    with Journal.open(path) as journal:
        journal.acknowledge(receipt_of(signer, records[9]))
        journal.append(LOG, (), None, [(0, 8)])
        assert on_disk(path) == 10
        assert journal.begins(LOG) == 9

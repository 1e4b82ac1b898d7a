"""What is read from a journal: its chain, its signatures, and where the journal itself is wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.hil.scenarios import logs

from packseal.journal.store import Journal, LogKind
from packseal.keys import file as key_file
from packseal.keys.file import FileSigner
from packseal_hil.rig.protocols import RigError
from packseal_hil.scenario import evidence
from packseal_hil.scenario.gateway import BATTERY


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    return key_file.create(tmp_path / "gateway.key")


@pytest.fixture
def journal(tmp_path: Path, signer: FileSigner) -> Path:
    path = tmp_path / "journal.db"
    with Journal.open(path) as made:
        made.begin_log(BATTERY, logs.LOG_ID, LogKind.BATTERY)
        made.append(logs.LOG_ID, logs.sealed(signer))
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_sound_journal_is_read_whole(journal: Path, signer: FileSigner) -> None:
    records, trouble = evidence.read_journal(journal, signer.public)
    assert trouble == ""
    assert records.keys() == {BATTERY}
    assert [record.body for record in records[BATTERY]] == list(logs.GOOD)


def test_another_key_is_told(journal: Path, tmp_path: Path) -> None:
    other = key_file.create(tmp_path / "other.key")
    assert "signed by key" in evidence.read_journal(journal, other.public)[1]


def test_a_record_that_is_missing_is_told(journal: Path, signer: FileSigner) -> None:
    change(journal, "DELETE FROM record WHERE id & 0xffffffffff = 2")
    assert "record 3 stands where 2 must follow" in evidence.read_journal(journal, signer.public)[1]


def test_a_changed_byte_is_told(journal: Path, signer: FileSigner) -> None:
    with closing(sqlite3.connect(journal)) as connection, connection:
        ((row, raw),) = connection.execute("SELECT id, raw FROM record WHERE id & 0xffffffffff = 1").fetchall()
        spoilt = raw[:-1] + bytes([raw[-1] ^ 1])
        connection.execute("UPDATE record SET raw = ? WHERE id = ?", (spoilt, row))
    assert evidence.read_journal(journal, signer.public)[1]


def test_no_journal_is_the_benchs_own_trouble(tmp_path: Path, signer: FileSigner) -> None:
    with pytest.raises(RigError, match="there is no journal"):
        evidence.read_journal(tmp_path / "none.db", signer.public)

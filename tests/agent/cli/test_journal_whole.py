"""packseal journal check and backup, on real files, damaged and whole, also while an agent writes."""

import os
import pty
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, LOG, WALL_MS, Recorded

from packseal.cli import main
from packseal.core.bodies import Event
from packseal.core.chain import Pen
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal

Capture = pytest.CaptureFixture[str]
PAGE = 4096


def journal(path: Path, action: str, *words: object) -> int:
    return main(["journal", action, "--journal", str(path), *map(str, words)])


def fill(recorded: Recorded, count: int) -> None:
    with Journal.open(recorded.journal) as store:
        pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), store.head(LOG))
        at = Instant(10**12, (WALL_MS + 60_000) * 10**6, ClockQuality.NTP)
        store.append(LOG, [pen.write(Event(EventCode.BUS_SILENT), at) for _ in range(count)])


def test_a_whole_journal_is_whole_without_any_key(recorded: Recorded, capsys: Capture) -> None:
    recorded.key.unlink()
    assert journal(recorded.journal, "check") == 0
    told = capsys.readouterr().out
    assert f"({BATTERY}): 12 records" in told
    assert "whole: every page, row and link" in told
    assert journal(recorded.journal, "check", "--json") == 0


def test_an_overwritten_page_is_found(recorded: Recorded, capsys: Capture) -> None:
    fill(recorded, 400)
    pages = recorded.journal.stat().st_size // PAGE
    with recorded.journal.open("r+b") as file:
        file.seek((pages - 3) * PAGE)
        file.write(os.urandom(PAGE))
    assert journal(recorded.journal, "check") == 1
    told = capsys.readouterr().out
    assert "DAMAGED" in told
    assert "packseal journal repair" in told
    assert journal(recorded.journal, "backup", recorded.folder / "copy.db") == 1
    assert "is damaged, so its copy is too" in capsys.readouterr().err
    assert not (recorded.folder / "copy.db").exists()


def test_a_changed_record_that_sqlite_cannot_see_is_found(recorded: Recorded, capsys: Capture) -> None:
    at = recorded.journal.read_bytes().index(recorded.records[3].raw)
    with recorded.journal.open("r+b") as file:
        file.seek(at + len(recorded.records[3].raw) - 1)
        file.write(bytes([recorded.records[3].raw[-1] ^ 1]))
    assert journal(recorded.journal, "check") == 1
    assert "row 3: its row tells of another record" in capsys.readouterr().out


def test_a_row_taken_out_is_found(recorded: Recorded, capsys: Capture) -> None:
    with closing(sqlite3.connect(recorded.journal, isolation_level=None)) as file:
        file.execute("DELETE FROM record WHERE id & 0xffffffffff = 4")
    assert journal(recorded.journal, "check") == 1
    assert "record 5 stands where 4 must follow" in capsys.readouterr().out


def test_a_backup_is_a_whole_journal_of_one_moment(recorded: Recorded, capsys: Capture) -> None:
    fill(recorded, 3000)
    copy = recorded.folder / "copy.db"
    copy.write_bytes(b"an older one")
    assert journal(recorded.journal, "backup", copy) == 0
    assert "a copy of the journal" in capsys.readouterr().out
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in recorded.folder.iterdir() if "copy" in p.name) == ["copy.db"]
    with Journal.open_to_read(recorded.journal) as source, Journal.open_to_read(copy) as held:
        assert list(held.records(LOG)) == list(source.records(LOG))
        assert (held.receipt(LOG), held.state(LOG), held.logs()) == (
            source.receipt(LOG),
            source.state(LOG),
            source.logs(),
        )
    assert journal(copy, "verify", "--key", recorded.key, "--sink-key", recorded.sink_key) == 0
    with Journal.open(copy) as held:
        assert held.head(LOG).next_sequence == 3012


def test_check_and_backup_while_an_agent_writes(recorded: Recorded, capsys: Capture) -> None:
    fill(recorded, 3000)
    opened, stop, written = threading.Event(), threading.Event(), [0]

    def write() -> None:
        with Journal.open(recorded.journal) as store:
            pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), store.head(LOG))
            while not stop.is_set():
                at = Instant(10**12, (WALL_MS + 60_000) * 10**6, ClockQuality.NTP)
                store.append(LOG, [pen.write(Event(EventCode.BUS_SILENT), at)], b"state")
                written[0] += 1
                opened.set()

    agent = threading.Thread(target=write)
    agent.start()
    try:
        assert opened.wait(60)
        for number in range(3):
            before = written[0]
            assert journal(recorded.journal, "check") == 0
            copy = recorded.folder / f"copy{number}.db"
            assert journal(recorded.journal, "backup", copy) == 0
            assert journal(copy, "check") == 0
            with Journal.open_to_read(copy) as held:
                assert before <= held.head(LOG).next_sequence - 3012 <= written[0] + 1
                assert held.state(LOG) == b"state"
    finally:
        stop.set()
        agent.join()
    assert written[0] > 3
    capsys.readouterr()


def test_what_cannot_be_backed_up_is_one_line(recorded: Recorded, capsys: Capture) -> None:
    for target, said in (
        (recorded.journal, "is the journal itself"),
        (recorded.folder / "no" / "where.db", "cannot write"),
    ):
        assert journal(recorded.journal, "backup", target) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert journal(recorded.journal, "check") == 0


def test_a_backup_to_a_full_disk_leaves_nothing_and_the_old_one(recorded: Recorded) -> None:
    fill(recorded, 3000)
    folder = recorded.folder / "backups"
    folder.mkdir()
    (folder / "copy.db").write_bytes(b"the old one")
    limit = f"ulimit -f 200; exec {sys.executable} -m packseal journal backup --journal {recorded.journal}"  # 200 KiB
    command = ["bash", "-c", f"trap '' XFSZ; {limit} {folder / 'copy.db'}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert "copy.db" in result.stderr
    assert [(p.name, p.read_bytes()) for p in folder.iterdir()] == [("copy.db", b"the old one")]


def test_a_bar_is_shown_on_a_terminal(recorded: Recorded) -> None:
    fill(recorded, 3000)
    terminal, other = pty.openpty()
    command = [sys.executable, "-m", "packseal", "journal", "backup", "--journal", str(recorded.journal)]
    with subprocess.Popen([*command, str(recorded.folder / "copy.db")], stderr=other, stdout=subprocess.PIPE) as child:
        os.close(other)
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
        finally:
            os.close(terminal)
    assert child.returncode == 0
    assert b"copying [" in shown
    assert b"100 %" in shown

"""A restored journal and a cloned gateway at a real sink: both histories are kept, nothing is lost or comes twice."""

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.end_to_end.stations import GATEWAY_ID, SINK_ID, SINK_PROGRAM, Bus, Program

from packseal.core.bodies import Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import Field, Snapshot
from packseal.core.record import Record, parse
from packseal.journal.contradictions import Contradiction
from packseal.journal.store import Journal, LogKind
from packseal.keys import file as key_file

RECORDS_PER_S = 60
LIFE = 40  # records of the battery's log in each stretch of life
PATIENCE_S = 40
BATTERY = "urn:packseal:battery:epochs"

AGENT = """
[gateway]
id = "{gateway}"
socket = "s"
window_s = 1
drain_s = 20
[[uplink]]
kind = "https"
url = "http://127.0.0.1:{port}"
sink_key = "{folder}/sink/sink.pub"
[[battery]]
id = "{battery}"
profile = "packseal/reference96"
period_s = 0
[battery.link]
kind = "stream"
path = "b"
"""
SINK = """
[sink]
id = "{sink}"
[http]
host = "127.0.0.1"
port = {port}
"""

Logs = Mapping[bytes, Sequence[bytes]]

pytestmark = pytest.mark.timeout(150)


@dataclass(frozen=True)
class Place:
    """One sink and the folders of the gateways that have one key."""

    folder: Path
    port: int

    def gateway(self, name: str) -> Path:
        """Make a gateway's folder; the key is the same in all of them."""
        folder = self.folder / name
        folder.mkdir()
        for path in self.folder.glob("gateway.*"):
            shutil.copy(path, folder)
        text = AGENT.format(gateway=GATEWAY_ID, port=self.port, folder=self.folder, battery=BATTERY)
        (folder / "packseal.toml").write_text(text)
        return folder

    def stored(self) -> Logs:
        """What the sink holds."""
        with closing(sqlite3.connect(f"file:{self.folder / 'sink' / 'sink.db'}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT log.log_id, raw FROM record JOIN log ON log.id = record.id >> 40 ORDER BY record.id"
            ).fetchall()
        logs: dict[bytes, list[bytes]] = {}
        for log_id, raw in rows:
            logs.setdefault(log_id, []).append(raw)
        return logs

    def refused(self) -> set[str]:
        with closing(sqlite3.connect(f"file:{self.folder / 'sink' / 'sink.db'}?mode=ro", uri=True)) as database:
            return {what for (what,) in database.execute("SELECT what FROM tally") if what.startswith("refused")}


def place(folder: Path) -> Place:
    key_file.create(folder / "gateway.key")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tool("init", folder / "sink", "--id", SINK_ID)
    (folder / "sink" / "sink.toml").write_text(SINK.format(sink=SINK_ID, port=port))
    tool("gateway", "add", folder / "gateway.pub", "--id", GATEWAY_ID, "--config", folder / "sink" / "sink.toml")
    return Place(folder, port)


def tool(*words: object) -> None:
    command = [sys.executable, "-c", SINK_PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def sink(where: Place) -> Program:
    configuration = str(where.folder / "sink" / "sink.toml")
    command = [sys.executable, "-c", SINK_PROGRAM, "run", "--config", configuration]
    return Program("sink", command, where.folder, "listening on")


def agent(folder: Path) -> Program:
    command = [sys.executable, "-m", "packseal", "run", "--config", str(folder / "packseal.toml")]
    return Program("agent", command, folder, "recording 1 of 1")


def packseal(*words: object) -> str:
    command = [sys.executable, "-m", "packseal", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def journal_of(folder: Path) -> Journal:
    return Journal.open_to_read(folder / "journal.db")


def logs_of(folder: Path) -> Logs:
    with journal_of(folder) as journal:
        return {log.log_id: [r.raw for r in journal.records(log.log_id)] for log in journal.logs()}


def ended_of(folder: Path) -> Sequence[Contradiction]:
    with journal_of(folder) as journal:
        return journal.contradictions()


def batteries(folder: Path) -> list[bytes]:
    with journal_of(folder) as journal:
        return [log.log_id for log in journal.logs() if log.kind is LogKind.BATTERY]


async def until(true: Callable[[], bool], said: Path) -> None:
    def wait() -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end_s, said.read_text()
            time.sleep(0.1)

    await asyncio.to_thread(wait)


def delivered_beyond(folder: Path, count: int) -> Callable[[], bool]:
    """Whether the battery's newest log has more than so many records that the sink has receipted."""

    def look() -> bool:
        if not (folder / "journal.db").exists():
            return False
        with journal_of(folder) as journal:
            logs = [log for log in journal.logs() if log.kind is LogKind.BATTERY]
            return bool(logs) and journal.delivered(logs[-1].log_id) > count

    return look


def begun_anew(folder: Path) -> Callable[[], bool]:
    """Whether both logs were succeeded, and the battery's new one is under way at the sink."""

    def look() -> bool:
        over = [one for one in ended_of(folder) if one.successor is not None]
        return len(over) == 2 and delivered_beyond(folder, LIFE)()

    return look


def what(raw: bytes) -> tuple[object, ...]:
    """What a record says, wherever it stands."""
    entry = parse(raw)
    head = entry.header
    return entry.kind, head.boot_id, head.mono_ms, head.wall_ms, head.quality, entry.body


def check_succession(folder: Path, reason: str) -> None:
    """The new log of each ended one says what came before, and holds what the sink does not have of it."""
    logs = logs_of(folder)
    for ended in ended_of(folder):
        assert ended.successor is not None
        old, new = logs[ended.log_id], logs[ended.successor]
        first = parse(new[0]).body
        assert isinstance(first, Lifecycle)
        facts = first.attributes
        assert (first.code, facts["reason"]) == (LifecycleCode.LOG_BEGUN, reason)
        assert (facts["previous_log"], facts["previous_sequence"]) == (ended.log_id, len(old) - 1)
        assert facts["previous_hash"] == parse(old[-1]).hash
        assert (facts["sink_sequence"], facts["sink_hash"]) == (ended.sequence, ended.hash)
        branch = old[ended.shared :]
        assert facts["copied"] == len(branch) > 0
        assert (facts["copied_from"], facts["copied_to"]) == (ended.shared, len(old) - 1)
        assert list(map(what, new[1 : 1 + len(branch)])) == list(map(what, branch))


def check_nothing_twice(stored: Logs) -> None:
    entries = [parse(raw) for raws in stored.values() for raw in raws]
    bodies = [entry.body for entry in entries if isinstance(entry.body, Telemetry)]
    windows = Counter((body.first_mono_ms, body.first_wall_ms, body.blob) for body in bodies)
    assert len(windows) > 3 * LIFE / 2
    assert max(windows.values()) == 1


def charged_ah(entries: Sequence[Record]) -> list[float]:
    snapshots = [entry.body for entry in entries if isinstance(entry.body, Snapshot)]
    found = [r for s in snapshots for r in s.readings if r.field is Field.CAPACITY_THROUGHPUT]
    return [r.value for r in found if isinstance(r.value, float)]


async def live(program: Program, more: Callable[[], bool]) -> None:
    await program.start()
    await until(more, program.output)
    assert await program.stop() == 0, program.output.read_text()


def test_a_restored_journal_goes_on_in_a_new_log_and_both_histories_are_at_the_sink(tmp_path: Path) -> None:
    async def play() -> tuple[Place, Path, Logs]:
        where = place(tmp_path)
        folder = where.gateway("one")
        async with AsyncExitStack() as stack:
            operator, gateway = sink(where), agent(folder)
            stack.push_async_callback(operator.stop)
            stack.push_async_callback(gateway.stop)
            await operator.start()
            await stack.enter_async_context(Bus(folder, RECORDS_PER_S))
            await live(gateway, delivered_beyond(folder, LIFE))
            shutil.copy(folder / "journal.db", tmp_path / "aside.db")
            await live(gateway, delivered_beyond(folder, 2 * LIFE))
            first_life = logs_of(folder)
            for path in folder.glob("journal.db*"):
                path.unlink()
            shutil.copy(tmp_path / "aside.db", folder / "journal.db")
            await live(gateway, begun_anew(folder))
        return where, folder, first_life

    where, folder, first_life = asyncio.run(play())
    stored = where.stored()
    assert "refused.rollback" in where.refused()
    written = logs_of(folder)
    over = {one.log_id for one in ended_of(folder)}
    assert over == set(first_life), "both the battery's log and the gateway's own"
    assert {log_id: stored[log_id] for log_id in over} == first_life
    assert {i: stored[i] for i in stored if i not in over} == {i: written[i] for i in written if i not in over}
    check_succession(folder, "journal older than the sink")
    check_nothing_twice(stored)
    old, new = batteries(folder)
    (ended,) = (one for one in ended_of(folder) if one.log_id == old)
    with Journal.open_to_read(tmp_path / "aside.db") as journal:
        assert ended.shared == journal.head(old).next_sequence
    counted = charged_ah([parse(raw) for raw in [*written[old][: ended.shared], *written[new]]])
    assert counted == sorted(counted)
    assert counted[-1] > counted[0]
    assert "verified" in packseal("journal", "verify", "--config", folder / "packseal.toml")
    said = packseal("journal", "list", "--config", folder / "packseal.toml")
    assert f"the sink signed that it holds record {ended.sequence}, and this log ended at {ended.end - 1}" in said


def test_two_devices_with_one_key_end_up_in_a_log_each(tmp_path: Path) -> None:
    async def play() -> tuple[Place, Path, Path]:
        where = place(tmp_path)
        one, two = where.gateway("one"), where.gateway("two")
        async with AsyncExitStack() as stack:
            operator, first, second = sink(where), agent(one), agent(two)
            for program in (operator, first, second):
                stack.push_async_callback(program.stop)
            await operator.start()
            for folder in (one, two):
                await stack.enter_async_context(Bus(folder, RECORDS_PER_S))
            await live(first, delivered_beyond(one, LIFE))
            shutil.copy(one / "journal.db", two / "journal.db")
            await asyncio.gather(first.start(), second.start())
            await until(lambda: begun_anew(one)() or begun_anew(two)(), first.output)
            await asyncio.gather(*(until(delivered_beyond(f, 2 * LIFE), first.output) for f in (one, two)))
            for program in (first, second):
                assert await program.stop() == 0, program.output.read_text()
        return where, one, two

    where, one, two = asyncio.run(play())
    stored, ended = where.stored(), {folder: ended_of(folder) for folder in (one, two)}
    # Which of them was the first to go on in a log is chance, and it may be one for each log; none is ended in both.
    assert sorted(e.log_id for found in ended.values() for e in found) == sorted(set(logs_of(one)) & set(logs_of(two)))
    for folder, found in ended.items():
        written = logs_of(folder)
        over = {e.log_id for e in found}
        assert {i: stored[i] for i in written if i not in over} == {i: written[i] for i in written if i not in over}
    assert batteries(one)[-1] != batteries(two)[-1]
    assert len(stored) == 4
    check_nothing_twice(stored)

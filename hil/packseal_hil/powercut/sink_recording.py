"""A recording of the other end: a sink on a logged disk, whose receipts are what it promised."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from packseal.core.errors import StorageError
from packseal.demo.child import Child
from packseal.journal.store import Journal
from packseal_hil.powercut import disks, gateway, logged_disk
from packseal_hil.powercut.logged_disk import LoggedDisk
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.powercut.trail import Ack, Phase, Trail
from packseal_hil.rig.protocols import RigError

DIRECTORY, DATABASE = "sink", "sink.db"
SPEED = 40.0
STEP_S = 0.01
PATIENCE_S = 60.0
RECEIVING, RESTARTED, KILLED = "receiving", "start after a stop", "start after a kill"


async def record(work: Path, pace_s: float) -> Trail:
    """Have an agent send to a sink on a logged disk, which is stopped, started, killed and started; raises RigError."""
    (work / "contents").mkdir()
    logged_disk.make_base(work / logged_disk.BASE, work / "contents", disks.BYTES, DIRECTORY)
    issuer, phases, acks = disks.issuer_of("sender"), list[Phase](), list[Ack]()
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(LoggedDisk(work))
        sink = LocalSink(disk.mount / DIRECTORY)
        stack.callback(sink.close)
        uplink = f'kind = "https"\nurl = "http://127.0.0.1:{sink.port}"'
        sink.enrol(gateway.install(work / "agent", issuer, sink.public_key, uplink, SPEED), issuer)
        home = work / "agent" / gateway.DIRECTORY
        command = [sys.executable, "-m", "packseal", "run", "--config", str(home / "packseal.toml")]
        agent = Child("agent", command, work / "agent.output")
        stack.callback(agent.kill)
        for name, end in ((RECEIVING, sink.stop), (RESTARTED, sink.stop), (KILLED, sink.kill)):
            start = disk.log_bytes
            await asyncio.to_thread(end)
            await asyncio.to_thread(sink.start)
            await _watch(home / gateway.JOURNAL, disk, acks, pace_s)
            phases.append(Phase(name, start, disk.log_bytes))
    return Trail("sink", logged_disk.BASE, logged_disk.LOG, "", issuer, f"/{DIRECTORY}", DATABASE, acks, phases)


async def _watch(journal: Path, disk: LoggedDisk, acks: list[Ack], pace_s: float) -> None:
    """Note every new receipt for `pace_s` from the first one on; raises RigError when none comes."""
    known = {ack.log_id: ack.sequence for ack in acks}
    count, began_s = len(acks), time.monotonic()
    end_s = began_s + PATIENCE_S
    while time.monotonic() < end_s:
        for ack in _receipts(journal, disk):
            if ack.sequence > known.get(ack.log_id, -1):
                known[ack.log_id] = ack.sequence
                acks.append(ack)
                end_s = min(end_s, time.monotonic() + pace_s)
        await asyncio.sleep(STEP_S)
    if len(acks) == count:
        raise RigError(f"no receipt came for {PATIENCE_S:g} s")


def _receipts(journal: Path, disk: LoggedDisk) -> list[Ack]:
    acks = []
    try:
        with Journal.open_to_read(journal) as opened:
            for log in opened.logs():
                sequence = opened.delivered(log.log_id) - 1
                if record := opened.record(log.log_id, sequence):
                    acks.append(Ack(disk.log_bytes, log.log_id, sequence, record.hash))
    except StorageError:  # the agent has not made it yet
        return []
    return acks

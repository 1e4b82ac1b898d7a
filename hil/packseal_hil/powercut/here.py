"""A recording on this machine: real agents on real ext4 disks whose writes are logged, and no virtual machine."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from packseal.core.errors import InputError
from packseal.demo.child import Child
from packseal.runtime.asking import ask
from packseal_hil.powercut import disks, gateway, logged_disk, unsafe
from packseal_hil.powercut.disks import LEVELS, SAFE, UNSAFE
from packseal_hil.powercut.drive import Drive
from packseal_hil.powercut.leaving import leave
from packseal_hil.powercut.logged_disk import LoggedDisk
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.rig.protocols import RigError

SPEED = 40.0
STOP_S = 60.0
PATIENCE_S = 60.0
AGENT = [sys.executable, "-m", "packseal"]
CONTROL = [sys.executable, str(Path(unsafe.__file__))]


@dataclass(slots=True)
class LocalStation:
    """An agent of this machine; with a `level` a control that syncs only so far."""

    issuer: str
    disk: LoggedDisk
    output: Path
    level: str = ""
    _agent: Child | None = None

    @property
    def control(self) -> bool:
        """Whether it is a control."""
        return bool(self.level)

    @property
    def log_bytes(self) -> int:
        """The position that the disk's log has reached."""
        return self.disk.log_bytes

    async def start(self) -> None:
        """Start the agent."""
        config = self.disk.mount / gateway.DIRECTORY / "packseal.toml"
        try:
            self._agent = Child(
                "agent",
                [*(CONTROL if self.level else AGENT), *self.level.split(), "run", "--config", str(config)],
                self.output,
            )
        except InputError as error:
            raise RigError(str(error)) from error

    async def stop(self) -> None:
        """End it in good order."""
        agent = self._running()
        code = await asyncio.to_thread(agent.end, STOP_S)
        if code:
            raise RigError(f"the agent of {self.issuer} ended with code {code}: {agent.tail()}")

    async def kill(self) -> None:
        """SIGKILL."""
        self._running().kill()

    async def check(self) -> None:
        """Raise RigError when it has ended by itself."""
        self._running()

    async def stored(self) -> dict[bytes, int]:
        """Ask the agent over its status socket; nothing while it does not answer."""
        if self._agent is None or self._agent.code is not None:
            return {}
        try:
            said = await asyncio.to_thread(ask, self.disk.mount / gateway.DIRECTORY / "s")
        except InputError:
            return {}
        return {bytes.fromhex(battery["log_id"]): int(battery["records"]) for battery in said["batteries"]}

    def close(self) -> None:
        """Leave nothing running."""
        if self._agent is not None and self._agent.code is None:
            self._agent.kill()

    def _running(self) -> Child:
        if self._agent is None or self._agent.code is not None:
            told = self._agent.tail() if self._agent else "it was not started"
            raise RigError(f"the agent of {self.issuer} does not run: {told} (output: {self.output})")
        return self._agent


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where the trails are, by name, and the sink that the agents knew; it is closed."""

    directories: dict[str, Path]
    sink: LocalSink


async def record(work: Path, names: Sequence[str] = (SAFE, UNSAFE), pace_s: float = 1.0) -> Recorded:
    """Record every phase of an agent, and of the control beside it.

    Args:
        work: an empty directory.
        names: SAFE for the agent as it is, the others of disks.py for controls.
        pace_s: how long phases without an end of their own last.

    Raises:
        RigError: this machine cannot, or something does not start.
    """
    if why := logged_disk.missing():
        raise RigError(why)
    sink = LocalSink(work / "sink")
    async with AsyncExitStack() as stack:
        stack.callback(sink.close)
        stations = [_station(work / name, name, sink, stack) for name in names]
        await asyncio.to_thread(sink.start)
        drive = Drive(stations, sink, pace_s, PATIENCE_S)
        await drive.run()
        for name, station in zip(names, stations, strict=True):
            issuer = station.issuer
            disks.describe(work / name, name, issuer, drive.watch.finish(issuer), drive.phases[issuer])
    return Recorded({name: work / name for name in names}, sink)


async def record_again(work: Path, recorded: Recorded, seed: int, pace_s: float = 1.0) -> Path:
    """Cut the agent's recording once and record the next start on what is left; return the new trail's directory.

    Everything that is in the journal after the first cut counts as promised: it is on the disk. The sink is one that
    has received nothing, so that it asks for all of it.

    Args:
        work: a new directory.
        recorded: what `record` returned.
        seed: decides where and how the first recording is cut.
        pace_s: how long the agent records.

    Raises:
        RigError: something does not start.
    """
    first = recorded.directories[SAFE]
    promised = await asyncio.to_thread(leave, first, work, seed)
    issuer = disks.issuer_of(SAFE)
    sink = LocalSink(work / "sink", twin=recorded.sink)
    sink.enrol((first / "gateway.pub").read_bytes(), issuer)
    async with AsyncExitStack() as stack:
        stack.callback(sink.close)
        await asyncio.to_thread(sink.start)
        disk = stack.enter_context(LoggedDisk(work))
        station = LocalStation(issuer, disk, work / "agent.output")
        stack.callback(station.close)
        drive = Drive([station], sink, pace_s, PATIENCE_S)
        drive.watch.promise(issuer, promised)
        await drive.run_after_a_cut()
        disks.describe(work, "safe, cut again", issuer, drive.watch.finish(issuer), drive.phases[issuer])
    return work


def _station(directory: Path, name: str, sink: LocalSink, stack: AsyncExitStack) -> LocalStation:
    uplink = f'kind = "https"\nurl = "http://127.0.0.1:{sink.port}"'
    disks.make(directory, name, sink, uplink, SPEED)
    disk = stack.enter_context(LoggedDisk(directory))
    station = LocalStation(disks.issuer_of(name), disk, directory / "agent.output", LEVELS.get(name, ""))
    stack.callback(station.close)
    return station

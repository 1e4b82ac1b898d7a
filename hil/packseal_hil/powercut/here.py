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
from packseal_hil.powercut.disks import SAFE, UNSAFE
from packseal_hil.powercut.drive import Drive
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
    """An agent of this machine."""

    issuer: str
    disk: LoggedDisk
    control: bool
    output: Path
    _agent: Child | None = None

    @property
    def log_bytes(self) -> int:
        """The position that the disk's log has reached."""
        return self.disk.log_bytes

    async def start(self) -> None:
        """Start the agent."""
        config = self.disk.mount / gateway.DIRECTORY / "packseal.toml"
        try:
            self._agent = Child(
                "agent", [*(CONTROL if self.control else AGENT), "run", "--config", str(config)], self.output
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
            raise RigError(f"the agent of {self.issuer} does not run (output: {self.output})")
        return self._agent


async def record(work: Path, names: Sequence[str] = (SAFE, UNSAFE), pace_s: float = 1.0) -> dict[str, Path]:
    """Record every phase of an agent, and of the control beside it; return the trails' directories by name.

    Args:
        work: an empty directory.
        names: SAFE for the agent as it is, UNSAFE for the one that never syncs.
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
            disks.describe(work / name, name, drive.watch.acks[station.issuer], drive.phases[station.issuer])
    return {name: work / name for name in names}


def _station(directory: Path, name: str, sink: LocalSink, stack: AsyncExitStack) -> LocalStation:
    uplink = f'kind = "https"\nurl = "http://127.0.0.1:{sink.port}"'
    disks.make(directory, name, sink, uplink, SPEED)
    disk = stack.enter_context(LoggedDisk(directory))
    station = LocalStation(disks.issuer_of(name), disk, name == UNSAFE, directory / "agent.output")
    stack.callback(station.close)
    return station

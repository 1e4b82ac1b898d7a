"""A recording in a virtual machine: agents on two extra disks of the guest, whose writes QEMU logs.

Before the machine starts: `GuestRecording(work)`, and its `disks` given to QEMU behind blklogwrites. When it is up:
`run`. Then take the power away; what QEMU had not logged yet counts as never written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packseal_hil.powercut import disks, gateway, logged_disk, sparse, unsafe
from packseal_hil.powercut.disks import LEVELS, SAFE, UNSAFE
from packseal_hil.powercut.drive import Drive
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.rig.protocols import Device, RigError

HOST = "10.0.2.2"  # this machine's loopback, as QEMU's user network shows it (qemu(1), -netdev user)
SPEED = 8.0  # times two agents: what an emulated processor seals and stores
PATIENCE_S = 300.0
STOP_S = 120.0
CONTROL = Path(unsafe.__file__).read_bytes()
LAUNCHER = "/run/packseal-never-syncs.py"


@dataclass(slots=True)
class GuestStation:
    """An agent of the guest; its disk is mounted at `mount`."""

    issuer: str
    control: bool
    device: Device
    command: str
    mount: str
    log: Path
    _process: int | None = None

    @property
    def log_bytes(self) -> int:
        """The position that the disk's log has reached."""
        return self.log.stat().st_size

    async def start(self) -> None:
        """Start the agent."""
        config = f"{self.mount}/{gateway.DIRECTORY}/packseal.toml"
        self._process = await self.device.start(f"exec {self.command} run --config {config}", self._output)

    async def stop(self) -> None:
        """End it in good order."""
        done = await self.device.run(f"kill -TERM {self._process}; {self._wait()}", timeout_s=STOP_S)
        if done.code:
            raise RigError(f"the agent of {self.issuer} does not end in the guest: {done.output.strip()}")

    async def kill(self) -> None:
        """SIGKILL."""
        await self.device.run(f"kill -KILL {self._process}; {self._wait()}", timeout_s=STOP_S)

    async def check(self) -> None:
        """Raise RigError when it has ended by itself."""
        done = await self.device.run(f"{self._gone()} && tail -n 3 {self._output}")
        if not done.code:
            raise RigError(f"the agent of {self.issuer} does not run in the guest: {done.output.strip()}")

    async def stored(self) -> dict[bytes, int]:
        """Return nothing: asking would cost the emulated processor more than it does to record."""
        return {}

    @property
    def _output(self) -> str:
        return f"/run/{Path(self.mount).name}.output"

    def _gone(self) -> str:
        # A process that has ended stays in the table, as a zombie, until its parent asks for its code.
        return f'{{ [ ! -e /proc/{self._process} ] || grep -q "^State:.Z" /proc/{self._process}/status; }}'

    def _wait(self) -> str:
        return f"until {self._gone()}; do sleep 0.1; done"


class GuestRecording:
    """Two disks and a sink with a broker, all in `work`; `close` ends what runs here.

    Args:
        work: an empty directory; the trails' directories are made in it, by name.
        host: how the guest reaches this machine's loopback.
        names: SAFE for the agent as it is, the others of disks.py for controls.
        speed: windows per second of each agent.
    """

    def __init__(
        self, work: Path, host: str = HOST, names: Sequence[str] = (SAFE, UNSAFE), speed: float = SPEED
    ) -> None:
        self._work = work
        self._names = names
        self._sink = LocalSink(work / "sink", broker=True)
        for name in names:
            uplink = f'kind = "mqtt"\nhost = "{host}"\nport = {self._sink.broker_port}'
            disks.make(work / name, name, self._sink, uplink, speed)
            sparse.copy(work / name / logged_disk.BASE, work / name / "disk.img")
            (work / name / logged_disk.LOG).write_bytes(b"")

    @property
    def disks(self) -> list[tuple[Path, Path]]:
        """Image and log of each disk. The label of its file system is its name; it is to be mounted at /mnt/NAME."""
        return [(self._work / name / "disk.img", self._work / name / logged_disk.LOG) for name in self._names]

    async def run(self, device: Device, python: str, pace_s: float = 4.0) -> dict[str, Path]:
        """Record every phase; return the trails' directories by name. The agents still run afterwards.

        Args:
            device: the guest.
            python: the Python there that has packseal.
            pace_s: how long phases without an end of their own last.

        Raises:
            RigError: something does not start, or the guest does not answer.
        """
        await device.put(LAUNCHER, CONTROL)
        stations = [self._station(device, python, name) for name in self._names]
        self._sink.start()
        drive = Drive(stations, self._sink, pace_s, PATIENCE_S)
        await drive.run()
        for name, station in zip(self._names, stations, strict=True):
            issuer = station.issuer
            disks.describe(self._work / name, name, issuer, drive.watch.finish(issuer), drive.phases[issuer])
        return {name: self._work / name for name in self._names}

    def close(self) -> None:
        """End the sink and its broker."""
        self._sink.close()

    def _station(self, device: Device, python: str, name: str) -> GuestStation:
        level = LEVELS.get(name, "")
        command = f"{python} {LAUNCHER} {level}" if level else f"{python} -m packseal"
        log = self._work / name / logged_disk.LOG
        return GuestStation(disks.issuer_of(name), bool(level), device, command, f"/mnt/{name}", log)

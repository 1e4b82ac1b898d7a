"""The agent of a scenario: set up on a device as a user would, started, stopped, killed, and looked at."""

import asyncio
import contextlib
import gzip
import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from packseal.core.declared import Declared
from packseal_hil.rig.protocols import Device, RigError
from packseal_hil.scenario.schema import Agent

GATEWAY, BATTERY = "urn:packseal:gateway:bench", "urn:packseal:battery:bench"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - shm_overview(7): not on the disk that scenarios fill and cut
KEPT = ".kept"
"""After the device's directory: what later scenarios of this boot take over, beside what a reset empties."""

START_S, STOP_S = 240.0, 120.0
LOOK_S = 0.5
RECORDING = "recording.log.gz"
AUTHORITY = "authority.pem"
FAST = 1  # of gzip: the line to a virtual gateway is slow, and so is unpacking there

Value = str | int | float


class Look(msgspec.Struct, frozen=True):
    """How far the agent was at one moment; what it does not say is 0. `answers`: whether it was running."""

    number: int = 0
    sealed: int = 0
    receipted: int = 0
    answers: bool = False
    samples: int = 0
    pending: int = 0
    link: str = ""
    cut: int = 0
    unexpected: int = 0
    doubles: int = 0
    uptime_s: float = 0
    memory_mib: float = 0
    cpu_s: float = 0
    halted: int = 0


@dataclass(frozen=True, slots=True)
class Wiring:
    """What an agent's configuration is made of, beside the scenario's own [agent]."""

    host: str
    port: int
    """Of the broker, or of the sink where it is secure."""
    sink_pem: bytes
    profile: str
    link: Mapping[str, Value]
    declared: Declared
    kept_days: float | None = None
    """How long delivered records stay in the journal; None: as the agent has it."""
    certificate: bytes | None = None
    """The sink's, in PEM, where records go to it over HTTPS."""
    units: int = 1
    """How many batteries are read over the link, a Modbus one; see `other`."""


def other(unit: int) -> str:
    """Return the identifier of the battery that is this unit of a Modbus line, beside the scenario's own, unit 1."""
    return f"{BATTERY}:{unit}"


class Gateway:
    """One agent on `device`, in `directory` of it; all methods raise RigError."""

    def __init__(self, device: Device, directory: str) -> None:
        self.device = device
        self.directory = directory
        self.pid: int | None = None
        self._watcher: int | None = None
        self._mark = f"{SHARED_MEMORY}/packseal-bench-{secrets.token_hex(4)}"
        self._said_before = 0

    @property
    def log(self) -> str:
        """The agent's log, not on the disk that scenarios fill and cut."""
        return f"{self._mark}.log"

    @property
    def _kept(self) -> str:
        return shlex.quote(f"{self.device.directory}{KEPT}")

    async def prepare(self, agent: Agent, wiring: Wiring) -> bytes:
        """Run `packseal init`, replace its configuration with the scenario's, and return the gateway's public key.

        Its keys, and the decoders that agents have made, are taken over by later scenarios of this boot: on an emulated
        machine they cost more than all the rest. Not where the agent is to be `fresh`.
        """
        there, kept = shlex.quote(self.directory), self._kept
        profile = shlex.quote(wiring.profile)
        init = f"{self.device.packseal} init {there} --gateway {GATEWAY} --battery {BATTERY} --profile {profile}"
        if "address" in wiring.link:
            init += f" --channel {shlex.quote(str(wiring.link['address']))}"
        keep = f"mkdir -p -m 700 {kept} && cp -p {there}/gateway.* {kept}/"
        take = f"test -e {kept}/gateway.pub && mkdir -m 700 {there} && cp -pr {kept}/. {there}/"
        await self._checked("packseal init", init if agent.fresh else f"{{ {take}; }} || {{ {init} && {keep}; }}")
        await self.device.put(f"{self.directory}/packseal.toml", _configuration(agent, wiring).encode())
        await self.device.put(f"{self.directory}/sink.pub", wiring.sink_pem)
        if wiring.certificate is not None:
            await self.device.put(f"{self.directory}/{AUTHORITY}", wiring.certificate)
        # What the bench itself has written must outlive a power cut; what `packseal init` writes is its own business.
        ours = "packseal.toml sink.pub" if agent.fresh else "packseal.toml sink.pub gateway.key gateway.pub"
        await self._checked("syncing the configuration", f"cd {there} && sync {ours}")
        return await self.device.get(f"{self.directory}/gateway.pub")

    async def give(self, journal: Path) -> None:
        """Put a journal of this machine in the place of the agent's, before its first start.

        Written in small synced pieces: QEMU's log of writes (blklogwrites, 7.2) was seen to fail larger requests.
        """
        packed = await asyncio.to_thread(lambda: gzip.compress(journal.read_bytes(), FAST))
        await self.device.put(f"{self._mark}.gz", packed)
        target = shlex.quote(f"{self.directory}/journal.db")
        write = f"dd of={target} bs=256k iflag=fullblock oflag=dsync status=none"
        unpack = f"gunzip -c {self._mark}.gz | {write} && chmod 600 {target} && rm {self._mark}.gz"
        await self._checked("unpacking the journal", unpack)

    async def start(self) -> None:
        """Start the agent, and what watches it."""
        config = shlex.quote(f"{self.directory}/packseal.toml")
        with contextlib.suppress(RigError):
            self._said_before = len(await self.device.get(self.log))
        self.pid = await self.device.start(f"exec {self.device.packseal} run --config {config}", self.log)
        if self._watcher is None:
            script = (Path(__file__).parent / "on_device.py").read_bytes()
            await self.device.put(f"{self._mark}.py", script)
            words = (f"{self.directory}/journal.db", f"{self.directory}/status.sock", f"{self._mark}.json", LOOK_S)
            command = f"exec python3 {self._mark}.py {' '.join(shlex.quote(str(w)) for w in words)}"
            self._watcher = await self.device.start(command, f"{self._mark}.watch.log")

    async def is_running(self) -> bool:
        """Whether the agent's process lives; a zombie does not."""
        if self.pid is None:
            return False
        state = f"/proc/{self.pid}/stat"  # proc(5): "pid (name) state …"
        done = await self.device.run(f"sed 's/.*) //; s/ .*//' {state} 2>/dev/null")
        return done.output.strip() not in ("", "Z", "X")

    async def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.pid is not None:
            await self.device.run(f"kill -TERM {self.pid} 2>/dev/null; true")

    async def ended(self, patience_s: float) -> None:
        """Return when it has ended; raises RigError when it takes longer."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + patience_s
        while await self.is_running():
            if loop.time() > end_s:
                raise RigError(f"the agent has not ended after {patience_s:g} s; its log: {await self.tail()}")
            await asyncio.sleep(LOOK_S / 2)
        self.pid = None

    async def kill(self) -> None:
        """Send SIGKILL and wait until it is gone."""
        if self.pid is not None:
            await self.device.run(f"kill -KILL {self.pid} 2>/dev/null; true")
            await self.ended(STOP_S)

    def lost_power(self) -> None:
        """Take note that all its processes are gone, and what was in memory."""
        self.pid = self._watcher = None
        self._said_before = 0

    async def look(self) -> Look:
        """Return the newest look; an empty one while there is none."""
        try:
            return msgspec.json.decode(await self.device.get(f"{self._mark}.json"), type=Look)
        except (RigError, msgspec.DecodeError):
            return Look()

    async def said(self) -> str:
        """Return the agent's log since it was last started."""
        try:
            return (await self.device.get(self.log))[self._said_before :].decode("utf-8", "replace")
        except RigError:
            return ""

    async def tail(self) -> str:
        """Return the last lines of its log as one."""
        return " | ".join((await self.said()).strip().splitlines()[-3:]) or "empty"

    async def leave(self) -> None:
        """End what still runs and remove what lies in memory, but keep the decoders that it has made."""
        running = " ".join(str(pid) for pid in (self.pid, self._watcher) if pid is not None)
        end = f"kill -KILL {running} 2>/dev/null; " if running else ""
        cache = shlex.quote(f"{self.directory}/cache")
        keep = f"test -d {self._kept} && cp -pr {cache} {self._kept}/"
        await self.device.run(f"{end}rm -f {self._mark}.*; {keep}; true")
        self.pid = self._watcher = None

    async def copy_from(self, other: "Gateway") -> None:
        """Take another gateway's key, configuration and journal, as the copy of its memory card would have them.

        The journal is copied through SQLite's own backup, so that a running agent's is whole.
        """
        source, target = shlex.quote(other.directory), shlex.quote(self.directory)
        backup = (
            "import sqlite3, sys\n"
            "a, b = (sqlite3.connect(p) for p in sys.argv[1:])\n"
            "a.backup(b); b.execute('PRAGMA journal_mode = WAL'); b.close(); a.close()"
        )
        copy = f"cp {source}/packseal.toml {source}/*.key {source}/*.pub {target}/"
        journals = f"{source}/journal.db {target}/journal.db"
        await self._checked("copying the gateway", f"mkdir -m 700 {target} && {copy}")
        await self._checked("copying the journal", f"python3 -c {shlex.quote(backup)} {journals}")

    async def fetch(self, directory: Path) -> Path:
        """Bring journal and log here; return where the journal now is."""
        for name in ("journal.db", "journal.db-wal"):
            try:
                content = await self.device.get(f"{self.directory}/{name}")
            except RigError:
                if name == "journal.db":
                    raise
                continue
            _write(directory / name, content)
        _write(directory / "agent.log", (await self.said()).encode())
        return directory / "journal.db"

    async def _checked(self, what: str, command: str) -> None:
        done = await self.device.run(command, timeout_s=START_S)
        if done.code:
            raise RigError(f"{what} failed: {done.output.strip() or f'exit code {done.code}'}")


def _configuration(agent: Agent, wiring: Wiring) -> str:
    gateway: dict[str, Value] = {"id": GATEWAY, "window_s": agent.window_s, "drain_s": agent.drain_s}
    battery: dict[str, Value] = {"id": BATTERY, "profile": wiring.profile}
    battery |= {k: v for k, v in (("period_s", agent.period_s), ("gap_s", agent.gap_s)) if v is not None}
    declared = {k: v for k, v in msgspec.structs.asdict(wiring.declared).items() if v is not None}
    tables: list[tuple[str, Mapping[str, Value]]] = [("[gateway]", gateway), *_uplink(wiring)]
    if wiring.kept_days is not None:
        tables.append(("[keep]", {"delivered_days": wiring.kept_days}))
    for unit in range(1, wiring.units + 1):
        own = {"id": other(unit)} if unit > 1 else {}
        link = dict(wiring.link) | ({"unit": unit} if unit > 1 else {})
        tables += [("[[battery]]", battery | own), ("[battery.link]", link), ("[battery.declared]", declared)]
    # A JSON string is a TOML basic string (toml.io/en/v1.0.0#string), and repr of a finite float is a TOML float.
    lines = (
        [title, *(f"{k} = {json.dumps(v) if isinstance(v, str) else repr(v)}" for k, v in table.items())]
        for title, table in tables
    )
    return "\n".join("\n".join(part) for part in lines) + "\n"


def _uplink(wiring: Wiring) -> list[tuple[str, Mapping[str, Value]]]:
    if wiring.certificate is None:
        return [("[uplink]", {"kind": "mqtt", "sink_key": "sink.pub", "host": wiring.host, "port": wiring.port})]
    secure = {"kind": "https", "sink_key": "sink.pub", "url": f"https://{wiring.host}:{wiring.port}"}
    return [("[uplink]", secure), ("[uplink.tls]", {"authorities": AUTHORITY})]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

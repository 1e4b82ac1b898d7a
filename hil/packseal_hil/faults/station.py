"""A real `packseal run` and a real `packseal-sink run`, both under the shim, and what they have promised so far."""

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from packseal.core.errors import InputError, PacksealError
from packseal.demo.audit import LogAudit, audit
from packseal.demo.child import Child
from packseal.journal import integrity
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal.runtime.asking import ask
from packseal_hil.faults.shim import Switch
from packseal_hil.powercut import load
from packseal_hil.powercut.chains import Chains, key_from_pem
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.rig.protocols import RigError

ISSUER = "urn:packseal:gateway:faults"
LOAD_S = 60_000
SPEED = 40.0
"""Seconds of the recording per second, and so windows that are sealed."""
START_S, STOP_S, STEP_S = 60.0, 330.0, 0.1
TIME = re.compile(r"^[0-9-]+ [0-9:,]+ ")
PROGRAM = (sys.executable, "-m", "packseal")
CONFIG = """\
[gateway]
id = "{issuer}"
key = "gateway.key"
journal = "state/journal.db"
socket = "s"
registry = "registry/registry.json"
window_s = 1
drain_s = 300

[keep]
free_disk_mb = 0

[uplink]
kind = "https"
sink_key = "sink.pub"
url = "http://127.0.0.1:{port}"
{budget}

[[battery]]
id = "urn:packseal:battery:faults"
profile = "{profile}"
period_s = 0

[battery.link]
kind = "recording"
path = "load.log"
speed = {speed:.1f}
"""


class Station:
    """Both programs, in a directory of their own. Use it as a context: leaving ends them.

    Args:
        work: made.
        shim: what `shim.build` made.
        speed: seconds of the recording per second.
        mb_per_day: what the link may carry; what it has carried is then put on record. None: no limit.
    """

    def __init__(self, work: Path, shim: Path, speed: float = SPEED, mb_per_day: float | None = None) -> None:
        self.work = work
        self.state = work / "state"
        self.state.mkdir(parents=True)
        (work / "registry").mkdir()
        self.switch = Switch(shim, work / "agent.order")
        self.sink_switch = Switch(shim, work / "sink.order")
        self.sink = LocalSink(work / "sink", prefix=self.sink_switch.words())
        self.sink_file = work / "sink" / "sink.db"
        key_file.create(work / "gateway.key")
        self.public = (work / "gateway.pub").read_bytes()
        (work / "sink.pub").write_bytes(self.sink.public_key)
        self.sink.enrol(self.public, ISSUER)
        load.write(work / "load.log", LOAD_S)
        budget = "" if mb_per_day is None else f"mb_per_day = {mb_per_day}"
        text = CONFIG.format(issuer=ISSUER, port=self.sink.port, profile=load.PROFILE, speed=speed, budget=budget)
        (work / "packseal.toml").write_text(text)
        self._chains = Chains(key_from_pem(self.public))
        self._agent: Child | None = None
        self._base: dict[bytes, int] = {}
        self.promised: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        self.sink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.switch.lift()
        self.sink_switch.lift()
        if self._agent is not None and self._agent.code is None:
            self._agent.kill()
        self.sink.close()

    @property
    def output(self) -> Path:
        """Where the agent's lines go; not in the folder, whose every file may be made to fail."""
        return self.work.with_name(f"{self.work.name}.output")

    def launch(self) -> Child:
        """Start the agent, and return before it is ready."""
        self._base = self.stored()
        command = [*self.switch.words(), *PROGRAM, "run", "--config", str(self.work / "packseal.toml")]
        self._agent = Child("agent", command, self.output)
        return self._agent

    def start(self) -> None:
        """Start the agent and wait until it records."""
        self.launch()
        self.until(lambda: bool(self.status()), START_S, "it does not record")

    def stop(self) -> int:
        """End the agent in good order and return its exit code."""
        self.status()
        return -1 if self._agent is None else self._agent.end(STOP_S)

    def kill(self) -> None:
        """SIGKILL."""
        self.status()
        if self._agent is not None:
            self._agent.kill()

    def status(self) -> dict[str, Any]:
        """Return the agent's own status, and take it at its word; nothing while it does not answer."""
        try:
            said = ask(self.work / "s")
        except InputError:
            return {}
        for battery in said["batteries"]:
            log_id = bytes.fromhex(battery["log_id"])
            self._promise(log_id, self._base.get(log_id, 0) + int(battery["records"]))
        return said

    def told(self) -> "subprocess.CompletedProcess[str]":
        """Run `packseal status`."""
        words = [*PROGRAM, "status", "--config", str(self.work / "packseal.toml")]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=START_S)  # noqa: S603 - ours

    def lines(self, since: int = 0) -> list[str]:
        """Return what the agent has said from that byte of its output on, without times."""
        text = self.output.read_bytes()[since:].decode("utf-8", "replace")
        return [TIME.sub("", line) for line in text.splitlines()]

    def until(self, true: Callable[[], bool], patience_s: float, otherwise: str) -> None:
        """Wait; raises RigError saying `otherwise` and the agent's last words."""
        end_s = time.monotonic() + patience_s
        while not true():
            if self._agent is not None and self._agent.code is not None:
                raise RigError(f"the agent ended with code {self._agent.code}: {self._agent.tail()}")
            if time.monotonic() > end_s:
                raise RigError(f"{otherwise}: {self._agent.tail() if self._agent else ''}")
            time.sleep(STEP_S)

    def stored(self) -> dict[bytes, int]:
        """Return how many records the journal holds of each log; none while there is no journal."""
        if not (self.state / "journal.db").exists():
            return {}
        with Journal.open_to_read(self.state / "journal.db") as journal:
            return {log.log_id: journal.head(log.log_id).next_sequence for log in journal.logs()}

    def complaints(self) -> list[str]:
        """Return what is wrong with the journal, whether or not the agent runs; all that was promised must be there."""
        for _, log_id, count in self.sink.positions():
            self._promise(log_id, count)
        if not (self.promised or (self.state / "journal.db").exists()):
            return []  # killed before it had made one
        try:
            return self._judge(self.state / "journal.db")
        except (PacksealError, sqlite3.Error) as error:
            return [str(error)]

    def audit(self) -> list[LogAudit]:
        """Compare journal and sink, record by record and by hash; the agent is stopped."""
        gateway = key_file.load(self.work / "gateway.key").public
        sink = key_file.load(self.work / "sink" / "sink.key").public
        return audit(self.state / "journal.db", self.sink_file, gateway, sink)

    def _judge(self, path: Path) -> list[str]:
        found, there = [], set()
        with Journal.open_to_read(path) as journal:
            for log in journal.logs():
                records = list(journal.records(log.log_id))
                self._chains.verify(log.log_id, records)
                there.add(log.log_id)
                if len(records) < self.promised.get(log.log_id, 0):
                    found.append(f"{log.subject}: {len(records)} records of {self.promised[log.log_id]} acknowledged")
        found += [f"log {log_id.hex()[:8]} is gone" for log_id in self.promised.keys() - there]
        return found + integrity.file_faults(path)

    def _promise(self, log_id: bytes, count: int) -> None:
        self.promised[log_id] = max(count, self.promised.get(log_id, 0))

"""A journal as the agent leaves it, in a directory with its key: some windows of one battery, stored by the product."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal.core.sealer import Sealer
from packseal.journal.store import Journal, LogKind
from packseal.keys import file as key_file
from packseal.runtime.opening import find_log
from packseal_hil.powercut.chains import Chains, key_from_pem
from packseal_hil.powercut.judge import Finding, Promise, judge

ISSUER, BATTERY = "urn:packseal:gateway:safe", "urn:packseal:battery:safe"
START_NS, START_WALL_NS, SECOND_NS = 10**9, 1_700_000_000 * 10**9, 10**9
VOLTS = Channel(Quantity.PACK_VOLTAGE_V)


@dataclass
class MadeJournal:
    """`hashes` and `states` are those of every record and after every window, in order."""

    directory: Path
    log_id: bytes = b""
    hashes: list[bytes] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.directory / "journal.db"

    @property
    def key(self) -> Path:
        return self.directory / "gateway.key"

    def chains(self) -> Chains:
        return Chains(key_from_pem(self.key.with_suffix(".pub").read_bytes()))

    def all_of_it(self) -> dict[bytes, Promise]:
        return {self.log_id: Promise(len(self.hashes) - 1, self.hashes[-1])}

    def judge(self) -> list[Finding]:
        return judge(self.path, self.all_of_it(), self.chains())

    def sql(self, statement: str, *values: bytes | int) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(statement, values)
            connection.commit()


def make(directory: Path, windows: int = 5, *, stopped: bool = False) -> MadeJournal:
    """Record so many windows of one sample; `stopped` ends the log in good order."""
    made = MadeJournal(directory)
    signer = key_file.load(made.key) if made.key.exists() else key_file.create(made.key)
    with Journal.open(made.path) as journal:
        found = find_log(journal, signer, ISSUER, BATTERY, LogKind.BATTERY)
        made.log_id = found.log_id
        sealer = Sealer(found.pen, Meter(Declared(), frozenset()), 1.0, None)
        sealed = [sealer.begin(LifecycleCode.LOG_BEGUN, _at(0), {})]
        for second in range(windows + 1):
            sealed += sealer.feed(Sample(_at(second), {VOLTS: 350.0 + second}))
        if stopped:
            sealed.append(sealer.end(LifecycleCode.AGENT_STOPPED, _at(windows)))
        for part in sealed:
            journal.append(made.log_id, part.records, part.state)
            made.states.append(part.state)
        made.hashes = [record.hash for record in journal.records(made.log_id)]
    return made


def _at(second: int) -> Instant:
    return Instant(START_NS + second * SECOND_NS, START_WALL_NS + second * SECOND_NS, ClockQuality.NTP)

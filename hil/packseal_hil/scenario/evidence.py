"""Evidence: all that a scenario leaves behind: the device's journal, what the sink holds and shows, and the truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packseal.core import cose, record
from packseal.core.bodies import Event, Gap, Kind, Lifecycle, Telemetry
from packseal.core.chain import verify_log
from packseal.core.errors import PacksealError
from packseal.core.passport import Field
from packseal.core.record import Record
from packseal.demo.audit import LogAudit, audit
from packseal.journal.store import Journal, LogKind
from packseal_hil.rig.protocols import RigError
from packseal_hil.scenario.gateway import BATTERY
from packseal_hil.scenario.services import Operator
from packseal_hil.scenario.told import Told

NOT_REFUSALS = {"ahead", "busy"}
"""The sink asks for something earlier, or for patience; nothing is wrong with the record."""


@dataclass(slots=True)
class Evidence:
    """What was found. `records` are the battery's, oldest first; `trouble` says what the journal's own check found."""

    audits: Sequence[LogAudit] = ()
    records: Sequence[Record] = ()
    trouble: str = ""
    snapshot: Mapping[str, Any] | None = None
    logs_shown: int = 0
    counted: int = 0
    """Records of all logs that the sink says it has taken."""
    refused: Counter[str] = field(default_factory=Counter)
    page: str = ""
    said: str = ""
    truth: Mapping[Field, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    told: Told | None = None
    others: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    """The records of other batteries of this gateway, by their identifiers."""

    @property
    def events(self) -> Counter[str]:
        """How often each event is in the battery's log."""
        return _events(self.records)

    @property
    def lifecycle(self) -> Counter[str]:
        """How often each lifecycle entry is in the battery's log."""
        return Counter(r.body.code.name.lower() for r in self.records if isinstance(r.body, Lifecycle))

    @property
    def gaps(self) -> dict[str, tuple[int, float]]:
        """Each gap cause with its count and its seconds in all."""
        found: dict[str, tuple[int, float]] = {}
        for entry in self.records:
            if isinstance(entry.body, Gap):
                name = entry.body.cause.name.lower()
                count, seconds = found.get(name, (0, 0.0))
                found[name] = count + 1, seconds + (entry.body.to_wall_ms - entry.body.from_wall_ms) / 1000
        return found

    @property
    def samples(self) -> int:
        """Samples in all telemetry."""
        return _samples(self.records)

    @property
    def last_snapshot(self) -> int | None:
        """The sequence number of the newest snapshot that was sealed."""
        found = [r.header.sequence for r in self.records if r.kind is Kind.SNAPSHOT]
        return found[-1] if found else None

    def reading(self, name: str) -> Mapping[str, Any] | None:
        """Return the sink's newest reading of a field."""
        readings = () if self.snapshot is None else self.snapshot["readings"]
        return next((reading for reading in readings if reading["field"] == name), None)

    def of_others(self) -> dict[str, float]:
        """Return the samples and events of the other batteries, as figures; the last part of their ids names them."""
        figures: dict[str, float] = {}
        for subject, records in self.others.items():
            unit = subject.rpartition(":")[2]
            figures[f"samples_of_{unit}"] = _samples(records)
            figures[f"events_of_{unit}"] = _events(records).total()
        return figures


async def gather(journal: Path, operator: Operator, gateway_pem: bytes) -> Evidence:
    """Return what journal and sink say; raises RigError when one of them cannot be read or asked."""
    gateway, sink = cose.public_key_from_pem(gateway_pem), operator.places.public_key("sink")
    found = Evidence()
    try:
        by_battery, found.trouble = read_journal(journal, gateway)
        found.records = by_battery.pop(BATTERY, ())
        found.others = by_battery
        found.audits = audit(journal, operator.places.sink_database, gateway, sink)
    except PacksealError as error:
        found.trouble = found.trouble or str(error)
    found.counted, _ = operator.counts()
    subject = quote(BATTERY, safe="")
    found.snapshot = await operator.ask(f"/batteries/{subject}/snapshot")
    found.page = await operator.page(f"/battery/{subject}")
    for battery in await operator.ask("/batteries") or ():
        if battery["id"] == BATTERY:
            found.logs_shown = len(battery["logs"])
            found.refused = Counter({k: v for k, v in battery["refused"].items() if k not in NOT_REFUSALS})
    return found


def _samples(records: Sequence[Record]) -> int:
    return sum(r.body.count for r in records if isinstance(r.body, Telemetry))


def _events(records: Sequence[Record]) -> Counter[str]:
    return Counter(r.body.code.name.lower() for r in records if isinstance(r.body, Event))


def read_journal(path: Path, key: cose.PublicKey) -> tuple[dict[str, list[Record]], str]:
    """Return each battery's records, by its identifier, and what is wrong with any log's chain or signatures.

    Raises:
        RigError: there is no journal.
    """
    records: dict[str, list[Record]] = {}
    trouble = ""
    if not path.exists():
        raise RigError(f"there is no journal at {path}")
    with Journal.open_to_read(path) as journal:
        for log in journal.logs():
            raws = [entry.raw for entry in journal.records(log.log_id)]
            try:
                if verify_log(raws, lambda _: key) != journal.head(log.log_id):
                    trouble = trouble or f"log {log.log_id.hex()[:8]} does not end where the journal says"
            except PacksealError as error:
                trouble = trouble or f"log {log.log_id.hex()[:8]}: {error}"
            if log.kind is LogKind.BATTERY:
                records.setdefault(log.subject, []).extend(map(record.parse, raws))
    return records, trouble

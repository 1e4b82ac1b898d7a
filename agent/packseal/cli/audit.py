"""Audit: records in any number of logs, each verified, and what was found told per log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packseal.cli.present import duration, safe, utc, word
from packseal.cli.record_text import summary
from packseal.core import chain, cose, record
from packseal.core.bodies import Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import Head
from packseal.core.errors import FormatError, PacksealError, VerifyError
from packseal.core.holes import Hole, covers, hole_of, merged
from packseal.core.record import Record

SHOWN = 20
"""Faults, gaps and clock steps that are told one by one; beyond it they are counted."""

MOST_JUMPS = 1_000_000
"""Missing stretches for which a record that names them is awaited to the end: thinning leaves one per window."""


@dataclass(slots=True)
class Bounded:
    """The first few lines of what may be very many."""

    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: str) -> None:
        """Count a line, and keep it while there are few."""
        self.count += 1
        if len(self.lines) < SHOWN:
            self.lines.append(line)

    def told(self) -> list[str]:
        """Return what was kept and how much more there was."""
        more = self.count - len(self.lines)
        return [*self.lines, f"… and {more} more"] if more else self.lines


@dataclass(slots=True)
class LogAudit:
    """What was found in one log. `unbroken`: from where on no link of the chain is missing.

    `removed`: how many records are missing that the log itself says it has removed.
    """

    first: Record
    last: Record
    unbroken: Record
    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    gaps: Bounded = field(default_factory=Bounded)
    steps: Bounded = field(default_factory=Bounded)
    lost: Bounded = field(default_factory=Bounded)
    removed: int = 0

    def lines(self) -> list[str]:
        """Return what a person is told of this log."""
        first, last = self.first.header, self.last.header
        span = f"{utc(first.wall_ms)} to {utc(last.wall_ms)}, {duration(last.wall_ms - first.wall_ms)}"
        begun = "" if first.sequence == 0 else f"; what was before record {first.sequence} is not here"
        kinds = ", ".join(f"{count} {name}" for name, count in self.kinds.most_common())
        return [
            f"log       {first.log_id.hex()}",
            f"battery   {safe(self.first.subject)}",
            f"gateway   {safe(self.first.issuer)}",
            *(f"key       {key}" for key in sorted(self.keys)),
            f"records   {self.records}, from {first.sequence} to {last.sequence}: {kinds}{begun}",
            f"time      {span}",
            f"end       hash {self.last.hash.hex()}",
            *([f"removed   {self.removed} records, as the log's own gap records say"] if self.removed else []),
            *(f"LOST      {line}" for line in self.lost.told()),
            *(f"gap       {line}" for line in self.gaps.told()),
            *(f"clock     {line}" for line in self.steps.told()),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "log": self.first.header.log_id.hex(),
            "subject": self.first.subject,
            "issuer": self.first.issuer,
            "keys": sorted(self.keys),
            "records": self.records,
            "first": {"sequence": self.first.header.sequence, "wall_ms": self.first.header.wall_ms},
            "last": {
                "sequence": self.last.header.sequence,
                "wall_ms": self.last.header.wall_ms,
                "hash": self.last.hash.hex(),
            },
            "kinds": dict(self.kinds),
            "gaps": self.gaps.count,
            "lost": self.lost.count,
            "removed": self.removed,
            "clock_steps": self.steps.count,
        }

    def note(self, entry: Record) -> None:
        """Take a verified record into account."""
        self.records += 1
        self.kinds[entry.kind.name.lower()] += 1
        self.keys.add(entry.kid.hex())
        self.last = entry
        match entry.body:
            case Gap() as body:
                self.gaps.add(f"{utc(body.from_wall_ms)} to {utc(body.to_wall_ms)}: {summary(entry)}")
            case Lifecycle(code=LifecycleCode.CLOCK_STEPPED, attributes=facts):
                step_ms = facts.get("step_ms")
                by = f"by {duration(step_ms)}" if isinstance(step_ms, int) else "by an unknown span"
                self.steps.add(f"record {entry.header.sequence}: {by}, then {word(entry.header.quality)}")


@dataclass(frozen=True, slots=True)
class _Jump:
    """Records of a log that are not there, from `first` to `last`."""

    where: str
    first: int
    last: int
    log_id: bytes


class Audit:
    """Verifies records one by one: signature, canonical form, telemetry columns, and the chain of each log.

    Args:
        keys: the public keys that count, by thumbprint.
    """

    def __init__(self, keys: Mapping[bytes, cose.PublicKey]) -> None:
        self._keys = keys
        self._heads: dict[bytes, Head] = {}
        self.logs: dict[bytes, LogAudit] = {}
        self.newest: LogAudit | None = None  # the log of the last sound record
        self._jumps: list[_Jump] = []
        self._holes: dict[bytes, list[Hole]] = {}
        self._named: dict[tuple[object, ...], Record] = {}  # by what a damage has cost, the record that says so
        self.faults = Bounded()
        self.verified = 0

    def take(self, raw: bytes, where: str) -> Record | None:
        """Verify the next record; return it, or None after noting what is wrong with it.

        A log goes on from whatever record is sound in itself, so that one damage is told once.
        """
        try:
            entry = self._sound(raw)
        except PacksealError as error:
            self.faults.add(f"{where}: {error}")
            return None
        try:
            self._follow(entry, where)
        except VerifyError as error:
            self.faults.add(f"{where}: {error}")
        self._heads[entry.header.log_id] = Head(entry.header.sequence + 1, entry.hash)
        log = self.logs.setdefault(entry.header.log_id, LogAudit(entry, entry, entry))
        log.note(entry)
        if isinstance(entry.body, Gap) and entry.body.cause is GapCause.DAMAGED:
            facts = entry.body.attributes
            self._named[entry.issuer, entry.subject, facts.get("log"), facts.get("first"), facts.get("last")] = entry
        hole = hole_of(entry)
        if hole is not None:
            self._holes.setdefault(entry.header.log_id, []).append(hole)
        self.newest = log
        self.verified += 1
        return entry

    def finish(self) -> None:
        """Judge the records that are missing: no fault where the gateway has signed that it removed or lost them."""
        holes = {log_id: merged(named) for log_id, named in self._holes.items()}
        for jump in self._jumps:
            log, last = self.logs[jump.log_id], jump.last
            says = self._named.get((log.first.issuer, log.first.subject, jump.log_id, jump.first, last))
            if says is not None:
                where = f"record {says.header.sequence} of log {says.header.log_id.hex()[:8]}"
                log.lost.add(f"records {jump.first} to {last}, by a damage, as {where} says")
            elif covers(holes.get(jump.log_id, ()), jump.first, last):
                log.removed += last + 1 - jump.first
            else:
                self.faults.add(f"{jump.where}: record {last + 1} stands where {jump.first} must follow")
        self._jumps = []

    def _sound(self, raw: bytes) -> Record:
        claimed = record.parse(raw)
        key = self._keys.get(claimed.kid)
        if key is None:
            raise VerifyError(
                f"record {claimed.header.sequence} is signed by key {claimed.kid.hex()[:16]}…, which is not given"
            )
        try:
            entry = record.verify(raw, key)
            if isinstance(entry.body, Telemetry):
                entry.body.rows()
        except (FormatError, VerifyError) as error:
            raise type(error)(f"record {claimed.header.sequence}: {error}") from error
        return entry

    def _follow(self, entry: Record, where: str) -> None:
        log = self.logs.get(entry.header.log_id)
        if log is None:
            return
        if (log.first.issuer, log.first.subject) != (entry.issuer, entry.subject):
            raise VerifyError(f"record {entry.header.sequence} speaks of another battery or gateway than its log")
        head = self._heads[entry.header.log_id]
        if entry.header.sequence > head.next_sequence and len(self._jumps) < MOST_JUMPS:
            last = entry.header.sequence - 1
            self._jumps.append(_Jump(where, head.next_sequence, last, entry.header.log_id))
            log.unbroken = entry
            return
        chain.advance(head, entry)

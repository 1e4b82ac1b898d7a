"""What the JSON API and the page show: one dataclass each, encoded as it stands. Times are UTC with Z."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Counts = Mapping[str, int]


def utc_text(ms: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 with Z (RFC 3339)."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The log that a log's first record says it continues, and what this sink knows of that.

    `proof` is stored (its last record, with that hash, is stored here), refused (that very record was refused here as
    part of another history), branch (other records of that history were), removed, ahead (not come yet), contradicts,
    unknown (no such log here) or nothing (no record is named).
    """

    log_id: str
    sequence: int | None
    reason: str
    proof: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Something that no fault of a link explains: `code` is fork, rollback, foreign, two_boots or two_logs."""

    code: str
    kid: str
    at: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Records that the gateway removed, as record `sequence` of the log says: thinned, or dropped."""

    log_id: str
    sequence: int
    cause: str
    first: int
    last: int
    records: int
    from_time: str
    to_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log of a battery. `records` are stored: up to `verified_up_to` chained, those `held_early` not yet.

    `verified_up_to` is -1 while the log's first record has not come. `removed` is how many records the gateway says
    that it has removed.
    """

    log_id: str
    gateway: str
    gateway_name: str
    kid: str
    records: int
    verified_up_to: int
    held_early: int
    removed: int
    continues: Continuation | None
    last_received: str
    last_wall: str
    duplicates: int
    refused: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """One battery in the list. `logs` are all that speak of it, the newest first.

    A log that another one continues is older than that, whenever it was heard. Its values are from `present_log`, the
    newest that has a snapshot. `health` is what the newest event says of its wire: ok, or the event's name.
    """

    id: str
    health: str
    health_since: str | None
    state_of_charge_pct: float | None
    state_of_health_bms_pct: float | None
    snapshot: int | None
    to_come: int
    """Records before the newest snapshot that have not come yet."""
    refused: Counts
    signs: Sequence[Sign]
    present_log: str
    logs: Sequence[Log]

    @property
    def newest(self) -> Log:
        """The log that goes on."""
        return self.logs[0]

    @property
    def present(self) -> Log:
        """The log that its values are from."""
        return next(log for log in self.logs if log.log_id == self.present_log)

    @property
    def records(self) -> int:
        """Records stored, of all its logs."""
        return sum(log.records for log in self.logs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingView:
    """One field. `value` and `uncertainty` (one standard deviation) are in `unit`; else `missing` says why.

    `in_passport` is whether the passport asks for it; `word` is what a value that is a code stands for.
    """

    field: str
    title: str
    in_passport: bool
    word: str | None
    unit: str
    decimals: int
    value: float | None
    missing: str | None
    uncertainty: float | None
    originator: str | None
    method: str | None
    last_update: str | None
    age_s: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A value that the battery stated last."""

    quantity: str
    title: str
    unit: str
    decimals: int
    index: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked of the record, again when it was read: `state` is verified or damaged."""

    state: str
    text: str
    verified_up_to: int
    gateway: str
    kid: str
    algorithm: str
    record_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotView:
    """The newest snapshot record of a battery, complete; `to_come` records before it have not come yet."""

    battery: str
    log_id: str
    sequence: int
    time: str
    clock_quality: str
    received: str
    age_s: float
    to_come: int
    verification: Verification
    readings: Sequence[ReadingView]
    present: Sequence[Present]
    cells_v: Sequence[float | None]
    """By the cells' numbers; None for one that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a field; `log` is the place of its log in the history's `logs`."""

    log: int
    sequence: int
    time: str
    wall_ms: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A field over time, in the order of the logs. With more than `limit` values, each stretch keeps its extremes.

    `log_id` is the newest log, `logs` are those of the points, each continued by the next.
    """

    battery: str
    log_id: str
    logs: Sequence[str]
    field: str
    title: str
    unit: str
    decimals: int
    stored: int
    downsampled: bool
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notable:
    """An event, gap or lifecycle record."""

    log_id: str
    sequence: int
    time: str
    kind: str
    code: str
    attributes: Mapping[str, int | str]
    record_hash: str
    from_time: str | None = None
    to_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalView:
    """Something that was not stored, and why."""

    at: str
    code: str
    log_id: str
    sequence: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """A gateway key. What a `removed` one sends is refused."""

    id: str
    name: str
    kid: str
    algorithm: str
    added: str
    removed: str | None
    logs: int
    records: int
    last_received: str | None
    refused: Counts
    signs: Sequence[Sign]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """All gateways, and what nobody enrolled sent."""

    gateways: Sequence[GatewayView]
    unknown_refused: Counts
    refusals: Sequence[RefusalView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What this sink has taken and refused since it was made. `verified` records are all that are stored.

    `questions`: asked by gateways after a fork, how far both histories are the same.
    """

    records: Counts
    verified: int
    bytes: int
    receipts: int
    duplicates: int
    questions: int
    refused: Counts
    batteries: int
    gateways: int

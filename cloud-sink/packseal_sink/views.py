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
class Log:
    """One log of a battery. Everything stored is verified and unbroken, so `records` are verified from 0 on."""

    log_id: str
    gateway: str
    gateway_name: str
    kid: str
    records: int
    verified_up_to: int
    last_received: str
    last_wall: str
    duplicates: int
    refused: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """One battery in the list. `logs` are all that speak of it, the newest first; its values are from that one.

    `health` is what the newest event says of its wire: ok, or the event's name in lower case.
    """

    id: str
    health: str
    health_since: str | None
    state_of_charge_pct: float | None
    state_of_health_bms_pct: float | None
    snapshot: int | None
    refused: Counts
    logs: Sequence[Log]

    @property
    def newest(self) -> Log:
        """The log that its values are from."""
        return self.logs[0]


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
    """The newest snapshot record of a battery, complete."""

    battery: str
    log_id: str
    sequence: int
    time: str
    clock_quality: str
    received: str
    age_s: float
    verification: Verification
    readings: Sequence[ReadingView]
    present: Sequence[Present]
    cells_v: Sequence[float | None]
    """By the cells' numbers; None for one that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a field."""

    sequence: int
    time: str
    wall_ms: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A field over time, in the order of the log. With more than `limit` values, each stretch keeps its extremes."""

    battery: str
    log_id: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """All gateways, and what nobody enrolled sent."""

    gateways: Sequence[GatewayView]
    unknown_refused: Counts
    refusals: Sequence[RefusalView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What this sink has taken and refused since it was made. `verified` records are all that are stored."""

    records: Counts
    verified: int
    bytes: int
    receipts: int
    duplicates: int
    refused: Counts
    batteries: int
    gateways: int

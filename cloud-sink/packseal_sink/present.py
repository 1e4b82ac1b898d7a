"""Records as views: a snapshot with its verification, and the entries of the events list."""

from collections.abc import Mapping

from packseal.core import cose, record
from packseal.core.bodies import Attributes, Event, Gap, Lifecycle
from packseal.core.errors import FormatError, VerifyError
from packseal.core.passport import Reading, Snapshot
from packseal.core.record import Record
from packseal_sink.views import Battery, Notable, Present, ReadingView, SnapshotView, Verification, utc_text

MS_PER_S = 1000
MV_PER_V = 1000


def verify_again(raw: bytes, digest: bytes, key: cose.PublicKey) -> str:
    """Return what is wrong with a stored record, or nothing: a database can be changed behind the sink's back."""
    try:
        entry = record.verify(raw, key)
    except (FormatError, VerifyError) as error:
        return str(error)
    return "" if entry.hash == digest else "it is not the record that its successor names"


def snapshot_view(entry: Record, battery: Battery, received_ms: int, now_ms: int, trouble: str) -> SnapshotView:
    """Return a stored snapshot record as it is shown; `trouble` is `verify_again`'s word on it."""
    body, header = entry.body, entry.header
    if not isinstance(body, Snapshot):
        raise FormatError(f"record {header.sequence} is no snapshot")
    ordered = sorted(body.present.items(), key=lambda item: (item[0].quantity.code, item[0].index))
    return SnapshotView(
        battery=entry.subject,
        log_id=header.log_id.hex(),
        sequence=header.sequence,
        time=utc_text(header.wall_ms),
        clock_quality=header.quality.name.lower(),
        received=utc_text(received_ms),
        age_s=(now_ms - header.wall_ms) / MS_PER_S,
        to_come=battery.to_come,
        verification=_verification(entry, battery, trouble),
        readings=[_reading(reading, now_ms) for reading in body.readings],
        present=[
            Present(
                quantity=channel.quantity.key,
                title=channel.quantity.value.title,
                unit=channel.quantity.unit,
                decimals=channel.quantity.decimals,
                index=channel.index,
                value=value,
            )
            for channel, value in ordered
        ],
        cells_v=[None if mv is None else mv / MV_PER_V for mv in body.cells_mv],
    )


def notable_view(entry: Record) -> Notable:
    """Return an event, gap or lifecycle record as it is shown."""
    body = entry.body
    match body:
        case Event() | Lifecycle():
            code, start, end = body.code.name, None, None
        case Gap():
            code, start, end = body.cause.name, utc_text(body.from_wall_ms), utc_text(body.to_wall_ms)
        case _:
            raise FormatError(f"record {entry.header.sequence} is no event, gap or lifecycle entry")
    return Notable(
        log_id=entry.header.log_id.hex(),
        sequence=entry.header.sequence,
        time=utc_text(entry.header.wall_ms),
        kind=entry.kind.name.lower(),
        code=code.lower(),
        attributes=_facts(body.attributes),
        record_hash=entry.hash.hex(),
        from_time=start,
        to_time=end,
    )


def _facts(attributes: Attributes) -> Mapping[str, int | str]:
    return {name: fact.hex() if isinstance(fact, bytes) else fact for name, fact in attributes.items()}


def _verification(entry: Record, battery: Battery, trouble: str) -> Verification:
    log = battery.present
    good = f"the signature holds, chain unbroken from record 0 to {log.verified_up_to}"
    if log.removed:
        good += f", but for {log.removed} records that the gateway has removed and says so"
    if entry.header.sequence > log.verified_up_to:
        good = f"the signature holds; {battery.to_come} records before it are still to come"
    return Verification(
        state="damaged" if trouble else "verified",
        text=trouble or good,
        verified_up_to=log.verified_up_to,
        gateway=entry.issuer,
        kid=entry.kid.hex(),
        algorithm=cose.Algorithm(entry.algorithm).name,
        record_hash=entry.hash.hex(),
    )


def _reading(reading: Reading, now_ms: int) -> ReadingView:
    field, has_value = reading.field, reading.value is not None
    return ReadingView(
        field=field.key,
        title=field.value.title,
        in_passport=field.in_passport,
        word=field.word(reading.value) if reading.value is not None else None,
        unit=field.unit,
        decimals=field.decimals,
        value=reading.value,
        missing=None if reading.missing is None else reading.missing.name.lower(),
        uncertainty=reading.uncertainty,
        originator=reading.originator.name.lower() if has_value else None,
        method=reading.method.name.lower() if has_value else None,
        last_update=utc_text(reading.last_update_ms) if has_value else None,
        age_s=(now_ms - reading.last_update_ms) / MS_PER_S if has_value else None,
        coverage=reading.coverage,
    )

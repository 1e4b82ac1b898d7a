"""Windows, events, gaps and clock steps as they stand in the log."""

from collections.abc import Callable

import pytest

from packseal.core import record
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import Pen, SealedRecord, verify_log
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Instant, Notice, Sample
from packseal.core.sealer import Sealer
from packseal.keys.file import FileSigner

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
DELIVERS = frozenset({V.quantity, A.quantity})
At = Callable[[float], Instant]


@pytest.fixture
def sealer(pen: Pen) -> Sealer:
    return Sealer(pen, Meter(Declared(rated_capacity_ah=60), DELIVERS), 60, None)


def run(sealer: Sealer, instants: list[Instant]) -> list[SealedRecord]:
    return [r for at in instants for s in sealer.feed(Sample(at, {V: 400.0, A: -36.0})) for r in s.records]


def bodies(records: list[SealedRecord]) -> list[Body]:
    return [record.parse(r.raw).body for r in records]


def test_a_window_is_one_telemetry_and_one_snapshot_record(sealer: Sealer, at: At, signer: FileSigner) -> None:
    records = run(sealer, [at(t) for t in range(181)])
    assert [r.kind for r in records] == [Kind.TELEMETRY, Kind.SNAPSHOT] * 3
    first = bodies(records)[0]
    assert isinstance(first, Telemetry)
    assert (first.count, first.span_ms) == (60, 59_000)
    assert verify_log([r.raw for r in records], lambda _: signer.public).next_sequence == 6


def test_a_snapshot_holds_what_its_window_led_to(sealer: Sealer, at: At) -> None:
    snapshot = bodies(run(sealer, [at(t) for t in range(61)]))[1]
    assert isinstance(snapshot, Snapshot)
    values = {r.field: r.value for r in snapshot.readings}
    assert values[Field.CAPACITY_DISCHARGED] == pytest.approx(0.59)
    assert values[Field.STATE_OF_CHARGE] is None


def test_a_window_of_nothing_seals_every_sample_at_once(pen: Pen, at: At) -> None:
    sealer = Sealer(pen, Meter(Declared(), DELIVERS), 0, None)
    for second in range(3):
        (sealed,) = sealer.feed(Sample(at(second), {V: 400.0, A: -36.0}))
        assert [record.kind for record in sealed.records] == [Kind.TELEMETRY, Kind.SNAPSHOT]
        assert sealer.open_samples == 0


def test_an_event_seals_at_once_after_its_window(sealer: Sealer, at: At) -> None:
    run(sealer, [at(t) for t in range(10)])
    sealed = sealer.note(Notice(EventCode.BUS_OFF, at(9.5), {"errors": 255}))
    assert sealed is not None
    assert [r.kind for r in sealed.records] == [Kind.TELEMETRY, Kind.SNAPSHOT, Kind.EVENT]
    assert bodies(list(sealed.records))[2] == Event(EventCode.BUS_OFF, {"errors": 255})
    assert sealer.open_samples == 0


def test_a_quiet_bus_seals_by_the_clock(sealer: Sealer, at: At) -> None:
    run(sealer, [at(t) for t in range(10)])
    assert sealer.tick(at(59)) is None
    sealed = sealer.tick(at(60))
    assert sealed is not None
    assert [r.kind for r in sealed.records] == [Kind.TELEMETRY, Kind.SNAPSHOT]


def test_a_silence_leaves_a_gap_record(sealer: Sealer, at: At) -> None:
    found = bodies(run(sealer, [at(0), at(1), at(50), at(51)]))
    gaps = [b for b in found if isinstance(b, Gap)]
    start = at(0).wall_ns // 10**6
    assert gaps == [Gap(GapCause.NO_SAMPLES, start + 1000, start + 50_000)]


def test_a_clock_step_leaves_a_lifecycle_record_and_right_counters(sealer: Sealer, at: At) -> None:
    year_ns = 365 * 86_400 * 10**9
    stepped = [at(t)._replace(wall_ns=at(t).wall_ns + (year_ns if t >= 30 else 0)) for t in range(61)]
    records = run(sealer, stepped)
    records += sealer.end(LifecycleCode.AGENT_STOPPED, stepped[-1]).records
    steps = [b for b in bodies(records) if isinstance(b, Lifecycle) and b.code is LifecycleCode.CLOCK_STEPPED]
    assert [s.attributes["step_ms"] for s in steps] == [365 * 86_400 * 1000]
    assert [r.sequence for r in records] == list(range(len(records)))
    last = [b for b in bodies(records) if isinstance(b, Snapshot)][-1]
    assert {r.field: r.value for r in last.readings}[Field.CAPACITY_DISCHARGED] == pytest.approx(0.6)


def test_a_killed_run_is_named_by_the_next(pen: Pen, at: At) -> None:
    first = Sealer(pen, Meter(Declared(), DELIVERS), 60, None)
    sealed = [s for t in range(100) for s in first.feed(Sample(at(t), {V: 400.0, A: -36.0}))]
    second = Sealer(pen, Meter(Declared(), DELIVERS, state=sealed[-1].state), 60, GapCause.UNCLEAN_STOP)
    found = bodies(run(second, [at(t) for t in range(100, 161)]))
    start = at(0).wall_ns // 10**6
    assert found[0] == Gap(GapCause.UNCLEAN_STOP, start + 59_000, start + 100_000)
    snapshot = [b for b in found if isinstance(b, Snapshot)][-1]
    # 59 s were sealed before the kill and 59 s after it; the 41 s between are in no counter
    assert {r.field: r.value for r in snapshot.readings}[Field.CAPACITY_DISCHARGED] == pytest.approx(1.18)

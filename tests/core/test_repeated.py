"""A storm of events: the first of a window seals at once, the others with it, and of very many the number is told."""

from collections.abc import Callable

import pytest

from packseal.core import record
from packseal.core.bodies import Event, Kind
from packseal.core.chain import Pen, SealedRecord, verify_log
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.repeated import MOST
from packseal.core.sample import EventCode, Instant, Notice, Sample
from packseal.core.sealer import Sealed, Sealer
from packseal.keys.file import FileSigner

V = Channel(Quantity.PACK_VOLTAGE_V)
WINDOW_S = 60
At = Callable[[float], Instant]


@pytest.fixture
def sealer(pen: Pen) -> Sealer:
    return Sealer(pen, Meter(Declared(), frozenset({V.quantity})), WINDOW_S, None)


def fell(at: Instant, number: int) -> Notice:
    return Notice(EventCode.COUNTER_WENT_BACK, at, {"n": number})


def events(records: list[SealedRecord]) -> list[Event]:
    found = (record.parse(r.raw).body for r in records)
    return [body for body in found if isinstance(body, Event)]


def test_a_storm_seals_twice_in_a_window_and_nothing_of_it_is_uncounted(
    sealer: Sealer, at: At, signer: FileSigner
) -> None:
    sealed: list[Sealed | None] = []
    for second in range(10 * WINDOW_S):
        sealed += sealer.feed(Sample(at(second), {V: 400.0}))
        sealed.append(sealer.note(fell(at(second), second)))
    sealed.append(sealer.cut(at(10 * WINDOW_S)))
    stored = [s for s in sealed if s is not None]
    records = [r for s in stored for r in s.records]
    assert len(stored) <= 2 * 10 + 1
    told = events(records)
    assert len(told) + sum(int(e.attributes.get("more", 0)) for e in told) == 10 * WINDOW_S
    assert len(told) <= 11 * (MOST + 1)
    times = [r.wall_ms for r in records]
    assert times == sorted(times)
    assert verify_log([r.raw for r in records], lambda _: signer.public).next_sequence == len(records)


def test_another_code_does_not_wait(sealer: Sealer, at: At) -> None:
    assert sealer.note(fell(at(0), 0)) is not None
    assert sealer.note(fell(at(1), 1)) is None
    sealed = sealer.note(Notice(EventCode.BUS_OFF, at(2)))
    assert sealed is not None
    assert [r.kind for r in sealed.records] == [Kind.EVENT, Kind.EVENT], "what waited goes with it"
    assert [e.code for e in events(list(sealed.records))] == [EventCode.COUNTER_WENT_BACK, EventCode.BUS_OFF]


def test_what_waits_is_sealed_by_the_clock_when_no_sample_comes(sealer: Sealer, at: At) -> None:
    sealer.note(fell(at(0), 0))
    sealer.note(fell(at(5), 1))
    assert sealer.tick(at(5 + WINDOW_S - 1)) is None
    sealed = sealer.tick(at(5 + WINDOW_S))
    assert sealed is not None
    assert [e.attributes for e in events(list(sealed.records))] == [{"n": 1}]


def test_with_a_window_of_nothing_none_waits(pen: Pen, at: At) -> None:
    sealer = Sealer(pen, Meter(Declared(), frozenset({V.quantity})), 0, None)
    assert all(sealer.note(fell(at(second), second)) is not None for second in range(5))

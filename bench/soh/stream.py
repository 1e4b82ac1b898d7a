"""Stream: rows of a recorded battery with what is known of it, and the noise of a BMS on top."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from packseal.core.capacity import Session
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Notice, Sample

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
T, SOC, SOH = (
    Channel(Quantity.TEMPERATURE_C),
    Channel(Quantity.STATE_OF_CHARGE_PCT),
    Channel(Quantity.STATE_OF_HEALTH_PCT),
)
GAIN, OFFSET_A, OFFSET_V, STEP_V = 0.005, 0.004, 0.003, 0.001
START_S = 1_200_000_000

Row = tuple[int, float, float, float, float | None]
"""Number of the cycle or test, s, V, A, °C."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`truth_ah` by number of cycle: what that cycle's discharge gave. `first_ah` is what errors are relative to."""

    name: str
    rows: list[Row]
    truth_ah: dict[int, float]
    first_ah: float
    declared: Declared
    period_s: float


@dataclass(slots=True)
class Point:
    """One session, the estimate after it and the truth then, Ah."""

    number: int
    t_s: float
    session: Session
    estimate_ah: float | None
    sd_ah: float | None
    truth_ah: float | None


@dataclass(slots=True)
class Outcome:
    """What the meter said of a stream."""

    meter: Meter
    points: list[Point]
    notices: list[Notice] = field(default_factory=list)
    samples: int = 0


def noisy(stream: Stream, seed: int) -> Stream:
    """Return the stream as a BMS would give it: gain and offset of the current, offset and steps of the voltage.

    Odd seeds read too much current, even ones too little; the size of all errors is fixed, their signs are not.
    """
    chance = random.Random(seed)
    gain = 1 + (GAIN if seed % 2 else -GAIN)
    offset_a, offset_v = chance.choice((-OFFSET_A, OFFSET_A)), chance.choice((-OFFSET_V, OFFSET_V))
    rows = [
        (n, t, round((v + offset_v) / STEP_V) * STEP_V, i * gain + offset_a, warm) for n, t, v, i, warm in stream.rows
    ]
    return replace(stream, name=f"{stream.name} seed {seed}", rows=rows)


def fed(
    stream: Stream, quantities: Iterable[Channel] = (V, A, T), claim: Callable[[int], float | None] | None = None
) -> Outcome:
    """Return what the meter says of `stream`, its claim of health by number of cycle being `claim`."""
    delivers = {c.quantity for c in quantities} | ({SOH.quantity} if claim else set())
    meter = Meter(stream.declared, frozenset(delivers), stream.period_s)
    outcome = Outcome(meter, [])
    at = [0, 0.0]

    def keep(session: Session) -> None:
        estimator = meter.health.estimator
        estimate_ah, sd_ah = (estimator.capacity_ah() if estimator is not None else None) or (None, None)
        number, t_s = int(at[0]), at[1]
        outcome.points.append(Point(number, t_s, session, estimate_ah, sd_ah, _truth(stream.truth_ah, number)))

    meter.health.on_session = keep
    number_before = 0
    for sample, number in samples(stream, claim):
        at[0], at[1] = number_before, (sample.at.mono_ns - 1) / 1e9
        outcome.notices += meter.feed(sample)
        number_before = number
        outcome.samples += 1
    return outcome


def samples(stream: Stream, claim: Callable[[int], float | None] | None = None) -> Iterator[tuple[Sample, int]]:
    """Return the rows as samples, each with the number of its cycle."""
    for number, t_s, volts, amps, warm in stream.rows:
        at = Instant(round(t_s * 1e9) + 1, round((START_S + t_s) * 1e9), ClockQuality.NTP)
        values = {V: volts, A: amps}
        if warm is not None:
            values[T] = warm
        said = claim(number) if claim else None
        if said is not None:
            values[SOH] = said
        yield Sample(at, values), number


def _truth(truth_ah: dict[int, float], number: int) -> float | None:
    """Return the truth of the cycle or, of a test without one, of the nearest within two."""
    for near in (number, number - 1, number + 1, number - 2, number + 2):
        if near in truth_ah:
            return truth_ah[near]
    return None

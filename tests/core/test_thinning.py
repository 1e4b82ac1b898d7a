"""Thinning: least, mean and most of every channel against the raw rows, once and twice."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from packseal.core import columns, record
from packseal.core.bodies import Body, Telemetry
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import Header, Record
from packseal.core.sample import ClockQuality, Flaw, Instant, Sample
from packseal.core.thinning import thin

VOLTAGE, CURRENT, CELL = (
    Channel(Quantity.PACK_VOLTAGE_V),
    Channel(Quantity.PACK_CURRENT_A),
    Channel(Quantity.CELL_VOLTAGE_V, 3),
)
WALL_MS = 1_800_000_003_000
VALUES = st.dictionaries(st.sampled_from([VOLTAGE, CURRENT, CELL]), st.integers(-50_000, 50_000), max_size=3)
ROWS = st.lists(st.tuples(st.integers(1, 9_000), VALUES), min_size=1, max_size=40)


def entry(number: int, body: Body, boot: bytes = bytes(8), quality: ClockQuality = ClockQuality.NTP) -> Record:
    header = Header(b"L" * 16, number, bytes(32), boot, 0, WALL_MS, quality)
    _, kind, read = record.parse_payload(record.encode_payload(header, body))
    return Record(b"", "", "", -8, b"", header, kind, read)


def window(samples: Sequence[Sample], offset_ms: int = WALL_MS) -> Telemetry:
    first, last = (s.at.mono_ns // 1_000_000 for s in (samples[0], samples[-1]))
    return Telemetry(first, offset_ms + first, len(samples), last - first, columns.pack(samples))


def samples_of(rows: Sequence[tuple[int, dict[Channel, int]]]) -> list[Sample]:
    found, mono_ms = [], 0
    for step_ms, numbers in rows:
        mono_ms += step_ms
        values = {c: n / 10**c.quantity.decimals for c, n in numbers.items()}
        found.append(Sample(Instant(mono_ms * 1_000_000, 0, ClockQuality.NTP), values))
    return found


@given(ROWS, st.integers(1, 39), st.sampled_from([10_000, 60_000]))
def test_every_row_has_the_least_mean_and_most_of_its_samples(
    rows: list[tuple[int, dict[Channel, int]]], cut: int, period_ms: int
) -> None:
    samples = samples_of(rows)
    parts = [part for part in (samples[:cut], samples[cut:]) if part]
    (made,) = thin([entry(2 * n + 1, window(part)) for n, part in enumerate(parts)], period_ms)
    assert (made.first, made.last, made.samples) == (1, 2 * len(parts) - 1, len(samples))
    assert entry(9, made).body == made
    for row in made.rows():
        inside = [
            s.values for s in samples if (WALL_MS + s.at.mono_ns // 1_000_000) // period_ms * period_ms == row.wall_ms
        ]
        assert row.samples == len(inside)
        for channel in (VOLTAGE, CURRENT, CELL):
            said = [values[channel] for values in inside if channel in values]
            spread = row.values.get(channel)
            assert (spread is not None) == bool(said)
            if spread is not None:
                assert (spread.minimum, spread.maximum, spread.said) == (min(said), max(said), len(said))
                assert abs(spread.mean - sum(said) / len(said)) <= 0.51 / 10**channel.quantity.decimals


@given(ROWS)
def test_thinned_twice_is_thinned_once_but_for_the_rounding_of_the_mean(
    rows: list[tuple[int, dict[Channel, int]]],
) -> None:
    telemetry = [entry(1, window(samples_of(rows)))]
    (once,) = thin(telemetry, 60_000)
    (first,) = thin(telemetry, 10_000)
    (twice,) = thin([entry(7, first)], 60_000)
    assert (twice.first, twice.last, twice.samples, twice.count) == (once.first, once.last, once.samples, once.count)
    for one, other in zip(once.rows(), twice.rows(), strict=True):
        assert (one.wall_ms, one.samples, one.values.keys()) == (other.wall_ms, other.samples, other.values.keys())
        for channel, spread in one.values.items():
            again = other.values[channel]
            assert (spread.minimum, spread.maximum, spread.said) == (again.minimum, again.maximum, again.said)
            assert abs(spread.mean - again.mean) <= 1.01 / 10**channel.quantity.decimals


def test_flaws_are_counted() -> None:
    at = [Instant(n * 10**9, 0, ClockQuality.NTP) for n in range(1, 4)]
    flawed = [Sample(t, {}, {VOLTAGE: Flaw.NOT_AVAILABLE}) for t in at]
    (made,) = thin([entry(1, window(flawed))], 10_000)
    assert [row.flaws for row in made.rows()] == [{(VOLTAGE, Flaw.NOT_AVAILABLE): 3}]


def test_another_boot_clock_quality_or_a_clock_step_begins_another_summary() -> None:
    body = window(samples_of([(1000, {VOLTAGE: 1}), (1000, {VOLTAGE: 2})]))
    later = window([Sample(Instant(5 * 10**9, 0, ClockQuality.NTP), {VOLTAGE: 1.0})])
    stepped = window([Sample(Instant(5 * 10**9, 0, ClockQuality.NTP), {VOLTAGE: 1.0})], WALL_MS + 1001)
    assert len(thin([entry(1, body), entry(3, later)], 10_000)) == 1
    assert len(thin([entry(1, body), entry(3, later, boot=b"8" * 8)], 10_000)) == 2
    assert len(thin([entry(1, body), entry(3, later, quality=ClockQuality.RTC)], 10_000)) == 2
    assert len(thin([entry(1, body), entry(3, stepped)], 10_000)) == 2

"""The meters against direct integration, over gaps, flaws, restarts and thresholds."""

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.declared import Declared
from packseal.core.errors import FormatError
from packseal.core.meter import Meter
from packseal.core.passport import Field, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Sample

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
T, SOC = Channel(Quantity.TEMPERATURE_C), Channel(Quantity.STATE_OF_CHARGE_PCT)
CELL_MIN, FULL = Channel(Quantity.CELL_VOLTAGE_MIN_V), Channel(Quantity.FULL_CHARGE_CAPACITY_AH)
DECLARED = Declared(
    rated_capacity_ah=60,
    cells_in_series=96,
    temperature_min_c=0,
    temperature_max_c=30,
    cell_voltage_min_v=2.8,
    cell_voltage_max_v=4.2,
)
DELIVERS = frozenset({V.quantity, A.quantity, T.quantity, SOC.quantity})
WALL_NS = 1_800_000_000_000_000_000
TRIPS = Path(__file__).parents[2] / "../shared/data/bmw_i3_trips/trips_1hz.csv.gz"


def sample(t_s: float, flaws: dict[Channel, Flaw] | None = None, /, **values: float) -> Sample:
    names = {"v": V, "a": A, "t": T, "soc": SOC, "cell": CELL_MIN, "full": FULL}
    ns = round(t_s * 1e9)
    return Sample(Instant(ns, WALL_NS + ns, ClockQuality.NTP), {names[k]: v for k, v in values.items()}, flaws or {})


def readings(meter: Meter) -> dict[Field, Reading]:
    return {r.field: r for r in meter.snapshot().readings}


def value(meter: Meter, field: Field) -> float:
    found = readings(meter)[field].value
    assert found is not None
    return found


def test_constant_current_gives_the_charge_and_energy_of_the_textbook() -> None:
    meter = Meter(DECLARED, DELIVERS)
    for t in range(3601):
        meter.feed(sample(t, v=400, a=-60))
    assert value(meter, Field.CAPACITY_DISCHARGED) == pytest.approx(60)
    assert value(meter, Field.CAPACITY_CHARGED) == 0
    assert value(meter, Field.ENERGY_DISCHARGED) == pytest.approx(24)
    assert value(meter, Field.FULL_EQUIVALENT_CYCLES) == pytest.approx(1)
    assert readings(meter)[Field.CAPACITY_THROUGHPUT].coverage == 1
    assert readings(meter)[Field.CAPACITY_THROUGHPUT].uncertainty == pytest.approx(0.6)


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(-500, 500), st.floats(200, 450)), min_size=2, max_size=60))
def test_any_sampling_agrees_with_the_trapezoid(steps: list[tuple[float, float, float]]) -> None:
    meter = Meter(DECLARED, DELIVERS)
    now_s, charge_as, energy_ws = 0.0, 0.0, 0.0
    last: tuple[float, float] | None = None
    for dt, current, voltage in steps:
        now_s = round(now_s + dt, 9)
        meter.feed(sample(now_s, v=voltage, a=current))
        if last is not None:
            charge_as += dt * (abs(current) + last[0]) / 2
            energy_ws += dt * (abs(current * voltage) + last[1]) / 2
        last = abs(current), abs(current * voltage)
    assert value(meter, Field.CAPACITY_THROUGHPUT) == pytest.approx(charge_as / 3600, rel=1e-6, abs=1e-9)
    assert value(meter, Field.ENERGY_THROUGHPUT) == pytest.approx(energy_ws / 3.6e6, rel=1e-6, abs=1e-9)
    parts = value(meter, Field.CAPACITY_CHARGED) + value(meter, Field.CAPACITY_DISCHARGED)
    assert value(meter, Field.CAPACITY_THROUGHPUT) == pytest.approx(parts)


def test_a_gap_is_not_integrated_and_shows_in_the_coverage() -> None:
    meter = Meter(DECLARED, DELIVERS)
    for t in (0, 10, 20, 100, 110):
        meter.feed(sample(t, v=400, a=36))
    assert value(meter, Field.CAPACITY_THROUGHPUT) == pytest.approx(0.3)
    assert readings(meter)[Field.CAPACITY_THROUGHPUT].coverage == pytest.approx(30 / 110)


def test_a_flawed_value_is_not_integrated_and_not_bridged() -> None:
    meter = Meter(DECLARED, DELIVERS)
    meter.feed(sample(0, v=400, a=36))
    meter.feed(sample(1, v=400, a=36))
    meter.feed(sample(2, {A: Flaw.OUT_OF_RANGE}, v=400))
    meter.feed(sample(3, v=400, a=36))
    meter.feed(sample(4, v=400, a=36))
    assert value(meter, Field.CAPACITY_THROUGHPUT) == pytest.approx(0.02)
    assert readings(meter)[Field.CAPACITY_THROUGHPUT].coverage == pytest.approx(0.5)


def test_a_wall_clock_that_steps_changes_no_duration() -> None:
    straight, stepped = Meter(DECLARED, DELIVERS), Meter(DECLARED, DELIVERS)
    year_ns = 365 * 86_400 * 10**9
    for t in range(100):
        one = sample(t, v=400, a=-20, t=35)
        straight.feed(one)
        shift = year_ns if 30 < t < 60 else -year_ns if t >= 60 else 0
        stepped.feed(Sample(one.at._replace(wall_ns=one.at.wall_ns + shift), one.values))
    for field in (Field.CAPACITY_THROUGHPUT, Field.ENERGY_THROUGHPUT, Field.TIME_EXTREME_HIGH):
        assert value(stepped, field) == value(straight, field)


def test_time_in_extreme_temperature_in_total_and_while_charging() -> None:
    meter = Meter(DECLARED, DELIVERS)
    for t in range(61):
        meter.feed(sample(t, a=30 if t <= 30 else -30, v=400, t=35))
    for t in range(61, 122):
        meter.feed(sample(t, a=-30, v=400, t=-5))
    assert value(meter, Field.TIME_EXTREME_HIGH) == pytest.approx(60.5 / 60)
    assert value(meter, Field.TIME_EXTREME_HIGH_CHARGING) == pytest.approx(30.5 / 60)
    assert value(meter, Field.TIME_EXTREME_LOW) == pytest.approx(60.5 / 60)
    assert value(meter, Field.TIME_EXTREME_LOW_CHARGING) == 0


def test_a_temperature_near_its_limit_is_as_doubtful_as_its_sensor() -> None:
    clear, close = Meter(DECLARED, DELIVERS), Meter(DECLARED, DELIVERS)
    for t in range(601):
        clear.feed(sample(t, a=0, v=400, t=25))
        close.feed(sample(t, a=0, v=400, t=29.5))
    assert readings(clear)[Field.TIME_EXTREME_HIGH].uncertainty == 0
    within = readings(close)[Field.TIME_EXTREME_HIGH]
    assert within.value == 0
    assert within.uncertainty == pytest.approx(10 / 3**0.5, rel=0.01)
    assert readings(close)[Field.TIME_EXTREME_HIGH_CHARGING].uncertainty == 0
    for t in range(601, 2402):
        close.feed(sample(t, a=0, v=400, t=30.5))
    beyond = readings(close)[Field.TIME_EXTREME_HIGH]
    assert beyond.value == pytest.approx(30, rel=0.01)
    assert beyond.uncertainty == pytest.approx(30 / 3**0.5, rel=0.01)


def test_a_deep_discharge_counts_once_until_the_cell_has_recovered() -> None:
    meter = Meter(DECLARED, DELIVERS | {CELL_MIN.quantity})
    notices = []
    voltages = [3.0] * 5 + [2.7] * 5 + [3.0] * 5 + [2.7] * 20 + [2.85] * 5 + [2.7] * 20 + [3.0] * 5 + [2.7] * 15
    for t, volts in enumerate(voltages):
        notices += meter.feed(sample(t, cell=volts))
    assert [n.code for n in notices] == [EventCode.DEEP_DISCHARGE] * 2
    assert notices[0].attributes == {"cell_mv": 2700, "limit_mv": 2800}
    assert value(meter, Field.DEEP_DISCHARGE_EVENTS) == 2
    assert value(meter, Field.OVERCHARGE_EVENTS) == 0


def test_what_is_missing_says_why() -> None:
    bare = readings(Meter(Declared(), frozenset({A.quantity, FULL.quantity})))
    assert bare[Field.STATE_OF_CHARGE].missing is Missing.NOT_REPORTED
    assert bare[Field.REMAINING_CAPACITY].missing is Missing.NO_DATA
    assert bare[Field.ENERGY_THROUGHPUT].missing is Missing.NOT_REPORTED
    meter = Meter(Declared(), frozenset({A.quantity, FULL.quantity, T.quantity}))
    meter.feed(sample(0, {SOC: Flaw.NOT_AVAILABLE}, a=1, full=55, t=20))
    assert readings(meter)[Field.FULL_EQUIVALENT_CYCLES].missing is Missing.NOT_DECLARED
    assert readings(meter)[Field.CAPACITY_FADE].missing is Missing.NOT_DECLARED
    assert readings(meter)[Field.TIME_EXTREME_LOW].missing is Missing.NOT_DECLARED


def test_capacity_and_fade_come_from_the_bms_and_say_so() -> None:
    meter = Meter(DECLARED, DELIVERS | {FULL.quantity})
    meter.feed(sample(0, full=54.0, soc=80))
    found = readings(meter)
    assert (found[Field.REMAINING_CAPACITY].value, found[Field.REMAINING_CAPACITY].originator) == (54.0, Originator.BMS)
    assert found[Field.CAPACITY_FADE].value == pytest.approx(10)
    assert found[Field.CAPACITY_FADE].originator is Originator.DERIVED


def test_a_restart_goes_on_from_the_saved_state_and_integrates_nothing_between() -> None:
    whole, first = Meter(DECLARED, DELIVERS), Meter(DECLARED, DELIVERS)
    for t in range(50):
        whole.feed(sample(t, v=400, a=-20))
        first.feed(sample(t, v=400, a=-20))
    second = Meter(DECLARED, DELIVERS, state=first.save())
    second.resume(5 * 10**9)
    for t in range(54, 104):
        second.feed(sample(t, v=400, a=-20))
    assert value(second, Field.CAPACITY_DISCHARGED) == pytest.approx(2 * value(whole, Field.CAPACITY_DISCHARGED))
    assert readings(second)[Field.CAPACITY_THROUGHPUT].coverage == pytest.approx(98 / 103)


def test_a_damaged_or_newer_state_is_refused() -> None:
    with pytest.raises(FormatError, match="damaged"):
        Meter(DECLARED, DELIVERS, state=b"\x00\x01")
    newer = Meter(DECLARED, DELIVERS).save().replace(b"version\x02", b"version\x03")
    with pytest.raises(FormatError, match="version 3; this program knows up to 2"):
        Meter(DECLARED, DELIVERS, state=newer)


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        yield from csv.DictReader(file)


@pytest.mark.skipif(not TRIPS.is_file(), reason="the BMW i3 trips are not beside this checkout")
def test_real_drives_agree_with_a_direct_integration(at: Callable[[float], Instant]) -> None:
    meter = Meter(DECLARED, DELIVERS)
    charge_as, energy_ws, base_s, now_s, trip = 0.0, 0.0, 0.0, 0.0, ""
    last: tuple[float, float, float] | None = None
    for row in rows(TRIPS):
        if row["trip"] != trip:
            trip, base_s, last = row["trip"], now_s + 60, None
        now_s, current, voltage = base_s + float(row["t_s"]), float(row["i_a"]), float(row["v_v"])
        meter.feed(Sample(at(now_s), {V: voltage, A: current, T: float(row["temp_c"])}))
        if last is not None:
            charge_as += (now_s - last[0]) * (abs(current) + last[1]) / 2
            energy_ws += (now_s - last[0]) * (abs(current * voltage) + last[2]) / 2
        last = now_s, abs(current), abs(current * voltage)
    assert value(meter, Field.CAPACITY_THROUGHPUT) == pytest.approx(charge_as / 3600, rel=1e-6)
    assert value(meter, Field.ENERGY_THROUGHPUT) == pytest.approx(energy_ws / 3.6e6, rel=1e-6)
    assert len(meter.save()) < 64 * 1024

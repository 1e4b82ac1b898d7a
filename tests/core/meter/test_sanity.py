"""What a battery cannot do is told, and what it can do is not: on real trips as recorded and as manipulated."""

import csv
import gzip
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.core.meter.feeding import ALL, sample

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.sample import EventCode, Notice, Sample

TRIPS = Path(__file__).parents[3] / "../shared/data/bmw_i3_trips/trips_1hz.csv.gz"
DOUBTS = {EventCode.CURRENT_SIGN_DOUBTED, EventCode.SENSOR_STUCK, EventCode.CHARGE_STATE_JUMPED}
I3 = Declared(rated_capacity_ah=60, cells_in_series=96)
SIMPLE = Declared(rated_capacity_ah=50, cells_in_series=16)


def trips() -> Iterator[dict[str, float]]:
    """The 60 trips, an hour of silence between each."""
    if not TRIPS.exists():
        pytest.skip("the recorded trips (data set bmw_i3_trips) are not on this machine")
    start_s, now_s, trip = 0.0, 0.0, ""
    with gzip.open(TRIPS, "rt") as file:
        for row in csv.DictReader(file):
            if row["trip"] != trip:
                start_s, trip = now_s + 3600 - float(row["t_s"]), row["trip"]
            now_s = start_s + float(row["t_s"])
            named = {"v": row["v_v"], "a": row["i_a"], "soc": row["soc_pct"], "t": row["temp_c"]}
            yield {"at_s": now_s} | {name: float(text) for name, text in named.items() if text}


def doubts(samples: Iterable[Sample], declared: Declared = I3, period_s: float = 1) -> list[Notice]:
    meter = Meter(declared, ALL, period_s)
    return [n for s in samples for n in meter.feed(s) if n.code in DOUBTS]


def of(row: dict[str, float]) -> Sample:
    return sample(row["at_s"], **{k: v for k, v in row.items() if k != "at_s"})


def test_twenty_two_hours_of_real_driving_raise_no_doubt() -> None:
    assert doubts(of(row) for row in trips()) == []


def test_nor_do_they_in_the_coarse_steps_of_a_cheap_bms() -> None:
    coarse = {"v": 1.0, "a": 1.0, "soc": 1.0, "t": 1.0, "at_s": 1.0}
    assert doubts(of({k: round(v / coarse[k]) * coarse[k] for k, v in row.items()}) for row in trips()) == []


def test_a_current_the_wrong_way_round_is_told_once_and_soon() -> None:
    told = doubts(of(row | {"a": -row["a"]}) for row in trips() if "a" in row)
    assert [n.code for n in told] == [EventCode.CURRENT_SIGN_DOUBTED]
    assert (told[0].at.mono_ns / 1e9 - 3600) < 600


def test_a_stuck_state_of_charge_is_told_with_what_moved() -> None:
    told = doubts(of(row | {"soc": 50.0}) for row in trips())
    assert [n.code for n in told] == [EventCode.SENSOR_STUCK]
    assert told[0].attributes["moved_ah"] == "-15.01"


def test_a_stuck_voltage_is_told() -> None:
    told = doubts(of(row | {"v": 370.0}) for row in trips())
    assert [n.code for n in told] == [EventCode.SENSOR_STUCK]
    assert told[0].attributes["quantity"] == "pack_voltage_v"


def test_a_calibration_is_told_with_its_size() -> None:
    def jumping() -> Iterator[Sample]:
        for t in range(7200):
            soc = 50 - t / 7200 * 20 + (8 if t >= 4000 else 0)
            yield sample(t, v=52 - t / 7200, a=-5, soc=round(soc))

    told = doubts(jumping(), SIMPLE)
    assert [n.code for n in told] == [EventCode.CHARGE_STATE_JUMPED]
    assert float(told[0].attributes["to_pct"]) - float(told[0].attributes["from_pct"]) == pytest.approx(8, abs=1)


def test_a_dithering_state_of_charge_does_not_fill_the_log() -> None:
    rng = random.Random(1)
    noisy = (sample(t, v=52, a=-5, soc=rng.choice([40.0, 60.0])) for t in range(36_000))
    told = doubts(noisy, SIMPLE)
    assert 0 < len(told) <= 11
    assert int(told[-1].attributes["jumps"]) > 10_000


@pytest.mark.parametrize("every_s", [0.1, 1, 60])
def test_charging_through_the_night_raises_no_doubt_at_any_rate(every_s: float) -> None:
    steps = (
        sample(i * every_s, v=round(51 + i * every_s / 18000, 2), a=10, soc=i * every_s / 180)
        for i in range(round(18_000 / every_s))
    )
    assert doubts(steps, SIMPLE, every_s) == []


def test_nothing_is_said_over_a_gap() -> None:
    before = [sample(t, v=52, a=-5, soc=50) for t in range(5)]
    after = [sample(5000 + t, v=52, a=-5, soc=20) for t in range(5)]
    assert doubts([*before, *after], SIMPLE) == []

"""What a log is told of declared data and of what happened: each once, in order, with what stood before."""

from dataclasses import dataclass

import msgspec
import pytest

from packseal.core.bodies import MAX_ATTRIBUTES, Kind, Lifecycle, LifecycleCode, decode_body, encode_body
from packseal.core.changes import NOT_SAID, Change, Happening, Told, as_said, told_by, untold
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.recovery import recovered
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample

WALL_MS = 1_800_000_000_000
STATED = Channel(Quantity.FULL_CHARGE_CAPACITY_AH)
DELIVERS = frozenset({STATED.quantity})
LMT = Declared(category="lmt", rated_capacity_ah=60, status="original", initial_power_at_80_w=900)
REPURPOSED = Declared(category="lmt", rated_capacity_ah=60, status="repurposed", initial_power_at_80_w=900)


def change(kind: Happening, number: int, **more: str) -> Change:
    return Change(id=f"c{number}", kind=kind, entered_ms=WALL_MS + number, **more)


STATUS = change(Happening.STATUS, 1, before="original", after="repurposed", text="home storage")
MODULE = change(Happening.MODULE_REPLACED, 2)
BMS = change(Happening.BMS_REPLACED, 3)


def at(t_s: float) -> Instant:
    return Instant(round(t_s * 1e9), (WALL_MS + round(t_s * 1000)) * 1_000_000, ClockQuality.NTP)


@dataclass
class Run:
    """A meter as the agent starts it: told of what is new, then fed."""

    meter: Meter
    records: list[Lifecycle]

    def says(self, field: Field) -> Reading:
        return next(r for r in self.meter.snapshot().readings if r.field is field)


def start(declared: Declared, changes: tuple[Change, ...] = (), state: bytes | None = None, t_s: float = 0) -> Run:
    meter = Meter(declared, DELIVERS, state=state)
    records = meter.untold(changes)
    for record in records:
        meter.mark(record.code, at(t_s), record.attributes)
    return Run(meter, records)


def test_what_is_declared_is_told_once_and_its_correction_with_what_stood_before() -> None:
    first = start(LMT)
    assert [r.code for r in first.records] == [LifecycleCode.DECLARED_CHANGED]
    assert first.records[0].attributes["rated_capacity_ah"] == "60"
    assert start(LMT, state=first.meter.save()).records == []
    corrected = msgspec.structs.replace(LMT, rated_capacity_ah=58.5, initial_power_at_80_w=None)
    (record,) = start(corrected, state=first.meter.save()).records
    assert record.attributes == {
        "rated_capacity_ah": "58.5",
        "rated_capacity_ah_before": "60",
        "initial_power_at_80_w": NOT_SAID,
        "initial_power_at_80_w_before": "900",
    }


def test_nothing_declared_is_nothing_told() -> None:
    assert start(Declared()).records == []


def test_a_change_of_everything_fits_into_records() -> None:
    whole = Declared(
        category="ev", chemistry="nmc", rated_capacity_ah=1, rated_energy_kwh=1, certified_energy_kwh=1,
        nominal_voltage_v=1, cells_in_series=1, temperature_min_c=-1, temperature_max_c=1, cell_voltage_min_v=1,
        cell_voltage_max_v=2, max_charge_current_a=1, max_discharge_current_a=1, initial_resistance_ohm=1,
        initial_power_at_80_w=1, initial_power_at_20_w=1, initial_round_trip_efficiency_pct=1,
        initial_self_discharge_pct_month=1, expected_life_cycles=1, expected_life_years=1,
        date_into_service="2027-01", date_of_manufacture="2027-01", accidents=1, current_uncertainty=0.1,
        voltage_uncertainty=0.1,
    )  # fmt: skip
    first = start(whole)
    second = start(Declared(), state=first.meter.save())
    names = [n for n in Declared.__struct_fields__ if n != "status"]
    assert sorted(n for r in first.records for n in r.attributes) == sorted(names)
    assert sum(len(r.attributes) for r in second.records) == 2 * len(names)
    for record in (*first.records, *second.records):
        assert len(record.attributes) <= MAX_ATTRIBUTES
        body = encode_body(record, WALL_MS)
        assert decode_body(Kind.LIFECYCLE, body, WALL_MS) == record


def test_changes_are_told_once_in_order_over_restarts() -> None:
    first = start(LMT)
    second = start(REPURPOSED, (STATUS, MODULE), first.meter.save())
    assert [r.code for r in second.records] == [LifecycleCode.STATUS_CHANGED, LifecycleCode.MODULE_REPLACED]
    assert second.records[0].attributes == {
        "change": "c1",
        "entered_ms": WALL_MS + 1,
        "status": "repurposed",
        "status_before": "original",
        "text": "home storage",
    }
    third = start(REPURPOSED, (STATUS, MODULE, BMS), second.meter.save())
    assert [r.attributes["change"] for r in third.records] == ["c3"]
    assert start(REPURPOSED, (STATUS, MODULE, BMS), third.meter.save()).records == []


def test_a_registry_that_was_begun_anew_goes_on_by_time() -> None:
    told = start(REPURPOSED, (STATUS, MODULE), start(LMT).meter.save()).meter.save()
    assert [r.attributes["change"] for r in start(REPURPOSED, (BMS,), told).records] == ["c3"]


def test_a_status_that_was_written_by_hand_is_told_too() -> None:
    by_hand = start(REPURPOSED, (), start(LMT).meter.save())
    assert [r.code for r in by_hand.records] == [LifecycleCode.STATUS_CHANGED]
    assert by_hand.records[0].attributes == {"status_before": "original", "status": "repurposed"}


def test_an_accident_is_told_with_its_text_and_counted() -> None:
    accident = change(Happening.ACCIDENT, 4, text="dropped")
    hurt = msgspec.structs.replace(LMT, accidents=1)
    run = start(hurt, (accident,), start(LMT).meter.save())
    assert [(r.code, r.attributes["text"]) for r in run.records] == [(LifecycleCode.ACCIDENT, "dropped")]
    assert run.says(Field.ACCIDENTS).value == 1
    assert start(hurt, (accident,), run.meter.save()).records == []
    two_more = msgspec.structs.replace(hurt, accidents=3)
    (corrected,) = start(two_more, (accident,), run.meter.save()).records
    assert corrected.attributes == {"accidents": "3", "accidents_before": "1"}


def test_what_is_entered_is_read_with_who_said_it_and_when() -> None:
    declared = Declared(status="re-used", date_into_service="2027-03", expected_life_years=12.5)
    run = start(declared, t_s=5)
    run.meter.feed(Sample(at(9), {STATED: 50}))
    status, month, years = (
        run.says(f) for f in (Field.BATTERY_STATUS, Field.DATE_INTO_SERVICE, Field.EXPECTED_LIFE_YEARS)
    )
    assert (status.value, status.originator, status.method) == (3, Originator.OPERATOR, Method.ENTERED)
    assert (month.value, month.last_update_ms) == (202703, WALL_MS + 5000)
    assert (years.value, years.originator) == (12.5, Originator.DECLARED)
    assert run.says(Field.EXPECTED_LIFE_CYCLES).missing is Missing.NOT_DECLARED
    assert run.says(Field.ACCIDENTS).value == 0


def test_without_any_declaration_there_is_no_word_of_accidents() -> None:
    assert start(Declared()).says(Field.ACCIDENTS).missing is Missing.NOT_DECLARED


def test_at_begin_of_life_the_declared_values_stand() -> None:
    run = start(LMT)
    run.meter.feed(Sample(at(1), {STATED: 50}))
    assert (run.says(Field.RATED_CAPACITY).value, run.says(Field.RATED_CAPACITY).method) == (60, Method.ENTERED)
    assert run.says(Field.POWER_AT_80).originator is Originator.DECLARED
    assert run.says(Field.POWER_AT_20).missing is Missing.NOT_DECLARED


def test_a_change_of_status_keeps_the_capacity_of_that_moment_and_the_counters() -> None:
    before = start(LMT)
    before.meter.feed(Sample(at(1), {STATED: 50}))
    run = start(REPURPOSED, (STATUS,), before.meter.save(), t_s=2)
    run.meter.feed(Sample(at(3), {STATED: 48}))
    kept = run.says(Field.RATED_CAPACITY)
    assert (kept.value, kept.method, kept.originator) == (50, Method.AT_STATUS_CHANGE, Originator.BMS)
    assert kept.last_update_ms == WALL_MS + 1000
    assert run.says(Field.POWER_AT_80).missing is Missing.NO_EVIDENCE
    again = start(REPURPOSED, (STATUS,), run.meter.save(), t_s=4)
    assert again.says(Field.RATED_CAPACITY).value == 50


def test_what_was_not_known_at_the_change_is_what_is_known_first_afterwards() -> None:
    run = start(REPURPOSED, (STATUS,), start(LMT).meter.save())
    assert run.says(Field.RATED_CAPACITY).missing is Missing.NO_EVIDENCE
    run.meter.feed(Sample(at(3), {STATED: 48}))
    assert run.says(Field.RATED_CAPACITY).value == 48
    run.meter.feed(Sample(at(4), {STATED: 47}))
    assert run.says(Field.RATED_CAPACITY).value == 48


def test_after_a_module_was_replaced_the_bms_s_old_capacity_does_not_count() -> None:
    before = start(LMT)
    before.meter.feed(Sample(at(1), {STATED: 50}))
    run = start(LMT, (MODULE,), before.meter.save(), t_s=2)
    run.meter.feed(Sample(at(3), {STATED: 50}))
    assert run.says(Field.RATED_CAPACITY).missing is Missing.NO_EVIDENCE


def test_a_module_replaced_and_then_a_new_status_do_not_bring_the_old_module_back() -> None:
    before = start(LMT)
    before.meter.feed(Sample(at(1), {STATED: 50}))
    later = change(Happening.STATUS, 5, before="original", after="remanufactured")
    remade = msgspec.structs.replace(LMT, status="remanufactured")
    run = start(remade, (MODULE, later), before.meter.save(), t_s=2)
    assert run.says(Field.RATED_CAPACITY).missing is Missing.NO_EVIDENCE


def test_a_state_made_of_a_snapshot_knows_the_baseline_and_what_was_told() -> None:
    before = start(LMT)
    before.meter.feed(Sample(at(1), {STATED: 50}))
    run = start(REPURPOSED, (STATUS,), before.meter.save(), t_s=2)
    run.meter.feed(Sample(at(3), {STATED: 48}))
    state = recovered(Snapshot(run.meter.snapshot().readings, began_ms=WALL_MS))
    meter = Meter(REPURPOSED, DELIVERS, state=state)
    assert [r.code for r in meter.untold((STATUS,))] == [LifecycleCode.DECLARED_CHANGED]
    kept = next(r for r in meter.snapshot().readings if r.field is Field.RATED_CAPACITY)
    assert (kept.value, kept.method) == (50, Method.AT_STATUS_CHANGE)


def test_how_far_a_log_is_can_be_read_from_its_records() -> None:
    accident = change(Happening.ACCIDENT, 4, text="fell")
    corrected = msgspec.structs.replace(REPURPOSED, initial_power_at_80_w=None, accidents=1)
    first = start(LMT)
    second = start(corrected, (STATUS, MODULE, accident), state=first.meter.save(), t_s=60)
    records = [(r, WALL_MS) for r in first.records] + [(r, WALL_MS + 60_000) for r in second.records]
    told = told_by(records)
    assert told == Told(as_said(corrected), WALL_MS + 60_000, "c4", WALL_MS + 4)
    assert untold(told, corrected, (STATUS, MODULE, accident)) == []
    assert told_by([]) == Told()


def test_the_state_stays_small_over_many_changes() -> None:
    state = start(LMT).meter.save()
    changes: tuple[Change, ...] = ()
    size = len(state)
    for number in range(1, 200):
        changes = (*changes, change(Happening.BMS_REPLACED, number))
        run = start(LMT, changes, state, t_s=number)
        assert len(run.records) == 1
        state = run.meter.save()
    assert len(state) < size + 100


@pytest.mark.parametrize("text", ["x" * 1001, "ß" * 501])
def test_a_text_that_no_record_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1000 bytes"):
        change(Happening.ACCIDENT, 1, text=text)

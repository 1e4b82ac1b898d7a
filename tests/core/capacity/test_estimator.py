from collections.abc import Callable

import msgspec
import pytest
from tests.core.capacity.cell import EMPTY_V, FULL_V, Cell, instants

from packseal.core.capacity import Grade, Session
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field, Missing, Originator, Reading, Verdict
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Flaw, Notice, Sample

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
T, SOH = Channel(Quantity.TEMPERATURE_C), Channel(Quantity.STATE_OF_HEALTH_PCT)
FULL_AH = Channel(Quantity.FULL_CHARGE_CAPACITY_AH)
DECLARED = Declared(
    category="ev",
    rated_capacity_ah=10.0,
    cells_in_series=1,
    cell_voltage_max_v=FULL_V,
    cell_voltage_min_v=EMPTY_V,
    nominal_voltage_v=3.7,
    certified_energy_kwh=0.037,
)
DELIVERS = frozenset(c.quantity for c in (V, A, T, SOH))


def run(meter: Meter, cell: Cell, soh: float | Flaw | None = None) -> tuple[list[Session], list[Notice]]:
    sessions: list[Session] = []
    meter.health.on_session = sessions.append
    notices: list[Notice] = []
    for at, (_, volts, amps, warm) in instants(cell.rows):
        values = {V: volts, A: amps, T: warm}
        flaws = {SOH: soh} if isinstance(soh, Flaw) else {}
        if isinstance(soh, float):
            values[SOH] = soh
        notices += meter.feed(Sample(at, values, flaws))
    cell.rows.clear()
    return sessions, notices


def meter() -> Meter:
    return Meter(DECLARED, DELIVERS, period_s=10.0)


def readings(of: Meter) -> dict[Field, Reading]:
    return {r.field: r for r in of.snapshot().readings}


def cycle(cell: Cell) -> Cell:
    return cell.charge().rest(600).discharge().rest(600)


def test_a_full_discharge_tells_what_it_gave() -> None:
    one, cell = meter(), Cell(8.0)
    sessions, notices = run(one, cycle(cell.charge().rest(600).discharge().rest(600)))
    graded = [s for s in sessions if not s.reason]
    assert [s.grade for s in graded] == [Grade.A] * 3
    gave = -graded[0].charge_ah
    assert gave == pytest.approx(8.0, abs=0.25)
    estimate = readings(one).get(Field.REMAINING_CAPACITY)
    health = readings(one)[Field.STATE_OF_HEALTH_ESTIMATE]
    assert estimate is None  # an EV's passport does not carry it
    assert health.value == pytest.approx(10 * gave, abs=0.3)
    assert health.uncertainty == pytest.approx(1, abs=0.5)
    measured = [n for n in notices if n.code is EventCode.CAPACITY_MEASURED]
    assert measured[0].attributes["grade"] == "A"
    assert readings(one)[Field.CERTIFIED_ENERGY_ESTIMATE].value == pytest.approx(80, abs=3)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda c: c.charge().rest(600).discharge(to_soc=0.55).rest(2400).charge(), "40%", id="top"),
        pytest.param(lambda c: cycle(c.charge().rest(600)), "outside 10 to 60", id="cold"),
    ],
)
def test_sessions_outside_the_limits_give_no_update(make: Callable[[Cell], Cell], reason: str) -> None:
    one, cell = meter(), Cell(8.0)
    if "outside" in reason:
        cell.warm_c = -5.0
    else:
        run(one, cycle(cell))
    before = readings(one)[Field.STATE_OF_HEALTH_ESTIMATE]
    sessions, notices = run(one, make(cell))
    assert any(reason in s.reason for s in sessions if s.grade is Grade.D)
    later = [s for s in sessions if s.soc_from is not None and min(s.soc_from, s.soc_to or 0) > 0.4]
    assert all(s.reason for s in later)
    if "outside" in reason:
        assert readings(one)[Field.STATE_OF_HEALTH_ESTIMATE].missing is Missing.NO_EVIDENCE
        assert not [n for n in notices if n.code is EventCode.CAPACITY_MEASURED]
    else:
        assert before.value is not None


def test_partial_sessions_follow_the_fade_with_the_curve_that_was_learnt() -> None:
    one, cell = meter(), Cell(10.0)
    run(one, cycle(cycle(cell)))
    for step in range(1, 17):
        cell.charge().rest(3600)
        cell.capacity_ah = 10 - 0.05 * step
        run(one, cell.discharge(to_soc=0.15).rest(3600))
    health = readings(one)[Field.STATE_OF_HEALTH_ESTIMATE]
    # Of 92 % a tenth of a point each: the discharge goes from the full to the cut-off voltage, a little beyond 0 to 1.
    assert health.value == pytest.approx(92.9, abs=2)
    assert abs((health.value or 0) - 92.9) < 2 * (health.uncertainty or 0)


def test_a_claim_five_points_too_high_is_contradicted_by_the_third_session() -> None:
    one, cell = meter(), Cell(8.0)
    told = run(one, cycle(cycle(cell)), soh=87.0)[1]
    codes = [n.code for n in told if n.code.name.startswith("HEALTH_CLAIM")]
    assert codes == [EventCode.HEALTH_CLAIM_DOUBTFUL, EventCode.HEALTH_CLAIM_CONTRADICTED]
    verdict = readings(one)[Field.HEALTH_CLAIM_VERDICT]
    assert verdict.value == Verdict.CONTRADICTED
    told = run(one, cycle(cell), soh=80.0)[1]
    assert EventCode.HEALTH_CLAIM_CONSISTENT in [n.code for n in told]
    told = run(one, cell.charge(), soh=95.0)[1]
    assert [n.attributes["to_pct"] for n in told if n.code is EventCode.HEALTH_CLAIM_ROSE] == ["95.00"]


def test_a_placeholder_is_never_judged_and_never_passes() -> None:
    one = meter()
    told = run(one, cycle(cycle(Cell(8.0))), soh=Flaw.PLACEHOLDER)[1]
    assert not [n for n in told if n.code.name.startswith("HEALTH_CLAIM")]
    assert readings(one)[Field.HEALTH_CLAIM_VERDICT].missing is Missing.PLACEHOLDER


def test_a_gap_ends_a_session_unless_the_voltage_says_that_nothing_happened() -> None:
    one, cell = meter(), Cell(8.0)
    sessions = run(one, cell.charge().rest(600).away(86_400).rest(60).discharge().rest(600))[0]
    assert [s.grade for s in sessions if not s.reason] == [Grade.A]
    cell = Cell(8.0)
    cell.charge().rest(600).away(3600)
    cell.soc = 0.6
    sessions = run(meter(), cell.rest(60).discharge().rest(600))[0]
    assert all(s.grade is not Grade.A for s in sessions)


def test_until_there_is_evidence_the_bms_speaks_and_is_named() -> None:
    declared = msgspec.structs.replace(DECLARED, category="lmt")
    one = Meter(declared, DELIVERS | {FULL_AH.quantity}, period_s=10.0)
    at = next(instants([(1.0, 3.7, 0.0, 25.0)]))[0]
    one.feed(Sample(at, {V: 3.7, A: 0.0, FULL_AH: 9.9}))
    found = readings(one)
    assert (found[Field.REMAINING_CAPACITY].value, found[Field.REMAINING_CAPACITY].originator) == (9.9, Originator.BMS)
    assert found[Field.STATE_OF_HEALTH_ESTIMATE].value is None
    run(one, cycle(Cell(8.0)))
    found = readings(one)
    assert found[Field.REMAINING_CAPACITY].originator is Originator.DERIVED
    assert found[Field.REMAINING_CAPACITY_BMS].value == 9.9
    assert found[Field.CAPACITY_FADE].value == pytest.approx(20, abs=3)


def test_a_restart_keeps_the_capacity_and_the_curve_and_forgets_where_it_was() -> None:
    one, cell = meter(), Cell(8.0)
    run(one, cycle(cycle(cell)))
    whole = readings(one)[Field.STATE_OF_HEALTH_ESTIMATE]
    again = Meter(DECLARED, DELIVERS, period_s=10.0, state=one.save())
    again.resume(10**12)
    assert readings(again)[Field.STATE_OF_HEALTH_ESTIMATE].value == pytest.approx(whole.value, abs=0.05)
    assert again.health.knowledge.ocv_v(0.5) == pytest.approx(3.68, abs=0.02)
    assert not [s for s in run(again, cell.charge())[0] if s.grade is Grade.A]


def test_what_it_keeps_does_not_grow() -> None:
    one, cell, sizes = meter(), Cell(8.0, step_s=60.0), []
    for _ in range(30):
        run(one, cycle(cell))
        sizes.append(len(msgspec.msgpack.encode(one.health.state)))
    assert max(sizes) < 8192
    assert sizes[-1] <= max(sizes[5:15]) + 64


def test_what_is_given_past_the_declared_cut_off_is_no_capacity() -> None:
    """The same discharges, of a battery whose manufacturer declares a higher cut-off."""
    low, high, given = meter(), Meter(msgspec.structs.replace(DECLARED, cell_voltage_min_v=3.2), DELIVERS, 10.0), []
    cell = Cell(8.0)
    cycle(cell.charge().rest(600))
    began_ah = None
    for _, volts, amps, _ in cell.rows:
        if amps < 0:
            began_ah = (began_ah or 0.0) - amps * cell.step_s / 3600
            if volts >= 3.2:
                given = [began_ah]
    for one in (low, high):
        rows = list(cell.rows)
        run(one, cell)
        cell.rows = rows
    whole = low.health.estimator
    less = high.health.estimator
    assert whole is not None
    assert less is not None
    found, other = less.capacity_ah(), whole.capacity_ah()
    assert found is not None
    assert other is not None
    assert found[0] == pytest.approx(given[0], abs=0.02)
    assert other[0] > found[0] + 0.1


def test_where_discharges_usually_end_is_the_cut_off_of_a_battery_declared_by_its_data_sheet() -> None:
    """The cell is cut off at 2.8 V and declared with 2.5 V, where there would be 3 % more."""
    one, cell = Meter(msgspec.structs.replace(DECLARED, cell_voltage_min_v=2.5), DELIVERS, 10.0), Cell(8.0)
    whole = [s for _ in range(5) for s in run(one, cycle(cell))[0] if s.anchors == "full-empty" and not s.reason]
    assert len(whole) == 3
    given_ah = -whole[-1].charge_ah
    assert whole[-1].capacity_ah == pytest.approx(given_ah, abs=0.02)
    estimator = one.health.estimator
    assert estimator is not None
    found = estimator.capacity_ah()
    assert found is not None
    assert found[0] == pytest.approx(given_ah, rel=0.01)


def test_short_trips_that_end_in_a_peak_of_current_are_no_cut_off() -> None:
    """Near full the voltage falls steeply as well when the current rises; each of these trips ends alike."""
    one, cell = meter(), Cell(8.0)
    run(one, cell.charge().rest(600))
    for _ in range(4):
        trip = cell.discharge(2.0, to_soc=0.97).discharge(5.0, to_soc=0.95).discharge(20.0, to_soc=0.93)
        run(one, trip.rest(600).charge().rest(600))
    sessions, _ = run(one, cell.discharge().rest(600))
    whole = next(s for s in sessions if s.anchors == "full-empty")
    assert whole.soc_to == pytest.approx(0.0, abs=0.01)
    assert whole.capacity_ah == pytest.approx(-whole.charge_ah, rel=0.01)


def test_a_cut_off_that_was_learnt_gives_way_to_deeper_discharges() -> None:
    one, cell = Meter(msgspec.structs.replace(DECLARED, cell_voltage_min_v=2.78), DELIVERS, 10.0), Cell(8.0)
    for _ in range(4):
        run(one, cell.charge().rest(600).discharge(to_soc=0.02).rest(600))
    estimator = one.health.estimator
    assert estimator is not None
    short = estimator.capacity_ah()
    for _ in range(5):
        run(one, cycle(cell))
    deep = estimator.capacity_ah()
    assert short is not None
    assert deep is not None
    assert deep[0] - short[0] > 0.1


def test_a_resistance_that_has_grown_since_the_curve_was_learnt_moves_no_capacity() -> None:
    one, cell = meter(), Cell(9.0)
    run(one, cycle(cycle(cell.charge().rest(600))))
    run(one, cell.charge().rest(600))
    estimator = one.health.estimator
    assert estimator is not None
    whole = estimator.capacity_ah()
    assert whole is not None
    cell.ohm *= 2
    off = []
    for _ in range(12):
        sessions, _ = run(one, cell.discharge(to_soc=0.2).away(4000).charge().rest(600))
        off.append([abs((s.capacity_ah or 0.0) - whole[0]) for s in sessions if "load" in s.anchors])
    assert estimator.curve.state.grown_ohm == pytest.approx(0.01, rel=0.2)
    assert [len(each) for each in off] == [2] * 12
    assert max(off[0]) > 0.03 * whole[0]
    assert max(off[-1]) < 0.015 * whole[0]


def test_a_whole_charge_that_takes_much_less_than_was_given_is_doubted() -> None:
    """A cell that recovers in a long rest gives more in the next discharge than it takes afterwards."""
    one, cell = meter(), Cell(9.0)
    run(one, cycle(cycle(cycle(cell.charge().rest(600)))))
    cell.capacity_ah = 9.8
    run(one, cell.charge().rest(600).discharge().rest(600))
    cell.capacity_ah = 9.0
    sessions, _ = run(one, cell.charge().rest(600))
    charge = sessions[-1]
    assert charge.anchors == "empty-full"
    assert (charge.sd_ah or 0.0) > 0.035 * (charge.capacity_ah or 1.0)
    sessions, _ = run(one, cell.discharge().rest(600).charge().rest(600))
    assert (sessions[-1].sd_ah or 1.0) < 0.025 * (sessions[-1].capacity_ah or 0.0)

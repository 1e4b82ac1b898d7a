"""A table through the meter: the same families as on the gateway, with every session kept."""

from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from packseal.cli.table_source import ALLOWED, Table
from packseal.core.capacity import Session
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Notice, Sample

QUANTITIES = {
    "v_v": Quantity.PACK_VOLTAGE_V,
    "i_a": Quantity.PACK_CURRENT_A,
    "temp_c": Quantity.TEMPERATURE_C,
    "soc_pct": Quantity.STATE_OF_CHARGE_PCT,
    "soh_pct": Quantity.STATE_OF_HEALTH_PCT,
}
CALENDAR_S = 1e8
"""Times above are seconds since 1970; others count from the beginning of the table, shown from 2000 on."""
FROM_2000_S = 946_684_800
ONE_CELL_V = 5.0
LEAST_STEPS, AGAINST, LONG_STRETCH = 6, 0.8, 20
STEP_SHARE = 0.1
NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Told:
    """A session, when it ended in the table's own time, and the estimate after it."""

    t_s: float
    session: Session
    capacity_ah: float | None
    sd_ah: float | None


@dataclass(slots=True)
class Report:
    """What came of a table."""

    declared: Declared
    period_s: float
    snapshot: Snapshot
    use: dict[str, object]
    sessions: list[Told]
    notices: list[Notice]
    flipped: bool
    state_bytes: int
    shift_s: float
    notes: list[str] = field(default_factory=list)


def sign_is_wrong(table: Table) -> bool:
    """Return whether voltage steps say that discharge, not charge, is positive: the voltage follows the current."""
    volts, amps, times = (table.columns[name] for name in ("v_v", "i_a", "t_s"))
    least_a = STEP_SHARE * max(map(abs, amps))
    period_s = table.period_s()
    steps = (
        (w - v) * (j - i)
        for (v, w), (i, j), (s, t) in zip(pairwise(volts), pairwise(amps), pairwise(times), strict=True)
        if abs(j - i) >= least_a and v != w and t - s <= 3 * period_s
    )
    votes = [step > 0 for step in steps] + _drifts(table, period_s)
    return len(votes) >= LEAST_STEPS and votes.count(False) >= AGAINST * len(votes)


def _drifts(table: Table, period_s: float) -> list[bool]:
    """Return for each long charge or discharge whether the voltage went with the current after its first third."""
    volts, amps, times = (table.columns[name] for name in ("v_v", "i_a", "t_s"))
    drifts, began = [], 0
    for k in range(1, len(times) + 1):
        if k < len(times) and amps[k] * amps[began] > 0 and times[k] - times[k - 1] <= 3 * period_s:
            continue
        if k - began >= LONG_STRETCH and amps[began]:
            rise_v = volts[k - 1] - volts[began + (k - began) // 3]
            if rise_v:
                drifts.append((rise_v > 0) == (amps[began] > 0))
        began = k
    return drifts


def estimate(table: Table, declared: Declared, period_s: float | None = None, *, keep_sign: bool = False) -> Report:
    """Return what the meter says after every row of `table`.

    Without declared cells in series, a table below 5 V is taken for one cell. A current of the wrong sign is turned
    unless `keep_sign`. Without a `period_s` it is taken from the table.
    """
    notes: list[str] = []
    if declared.cells_in_series is None:
        volts = sorted(table.columns["v_v"])
        if volts[len(volts) // 2] < ONE_CELL_V:
            declared = msgspec.structs.replace(declared, cells_in_series=1)
            notes.append("cells_in_series is not declared; below 5 V it is taken for one cell")
        else:
            notes.append("cells_in_series is not declared, so no capacity is estimated: add it to the declared data")
    flipped = sign_is_wrong(table)
    if flipped:
        turned = "it was read as charging" if keep_sign else "it was turned"
        notes.append(f"the current's sign is the wrong way round: voltage falls as it rises; {turned}")
    if table.skipped:
        notes.append(f"{table.skipped} rows without time, voltage or current were left out")
    if table.restarts:
        notes.append(f"t_s begins anew {table.restarts} times: each is taken for a recording two hours after the last")
    if table.unordered:
        notes.append(f"{table.unordered} rows not later than the one before were left out")
    sign = -1.0 if flipped and not keep_sign else 1.0
    return _run(table, declared, period_s or table.period_s(), sign, notes, flipped=flipped)


def _run(table: Table, declared: Declared, period_s: float, sign: float, notes: list[str], *, flipped: bool) -> Report:
    delivers = frozenset(QUANTITIES[name] for name in table.columns if name in QUANTITIES)
    meter = Meter(declared, delivers, period_s)
    told: list[Told] = []
    began_s = table.columns["t_s"][0]
    shift_s = 0.0 if began_s >= CALENDAR_S else FROM_2000_S
    now_s = began_s
    meter.health.on_session = lambda session: told.append(
        Told(now_s, session, *((meter.health.estimator and meter.health.estimator.capacity_ah()) or (None, None)))
    )
    notices: list[Notice] = []
    channels = [(Channel(QUANTITIES[name]), ALLOWED.index(name)) for name in table.columns if name in QUANTITIES]
    for row in table.rows():
        now_s = row[0]
        at = Instant(round((now_s - began_s + 1) * NS_PER_S), round((now_s + shift_s) * NS_PER_S), ClockQuality.NTP)
        values = {channel: row[i] for channel, i in channels if row[i] == row[i]}
        if sign < 0:
            values[channels[1][0]] = -row[2]
        notices += meter.feed(Sample(at, values))
    size = len(meter.save())
    return Report(declared, period_s, meter.snapshot(), meter.use(), told, notices, flipped, size, shift_s, notes)

"""Print every figure with its gate, and end with 1 if one does not hold."""

import sys
from collections import defaultdict
from dataclasses import replace

import msgspec

from bench.row import Gate, Row, once
from bench.soh import claims, cost, counters, growth, mixed, recorded, score
from bench.soh.stream import fed, noisy
from bench.table import show

SEEDS = (1, 2, 3, 4, 5)
EVERY_SIGN = (1, 2, 4, 5, 7, 12, 21, 24)
"""Seeds of all eight combinations of the signs of a BMS's errors."""
DATASHEET_CUT_OFF_V = 2.5
"""Of the 18650 cells of the NASA set, where B0005 was cut off at 2.7 V."""
LIE_FROM = (101, 305, 455)
JULY_AH, JULY_SEGMENT, RATED_AH = 2.434, 164, 2.9
Triples = list[tuple[float, float, float]]
ByCell = defaultdict[str, Triples]


def main() -> int:
    """Measure everything; returns 1 when a gate does not hold."""
    lacking = recorded.missing()
    if lacking:
        print(f"bench-soh: {lacking}; nothing was measured")
        return 0
    rows: list[Row] = []
    every: ByCell = defaultdict(list)
    for part in (whole_sessions, partial_sessions, drives, resistance, honesty, costs):
        print(f"… {part.__name__.replace('_', ' ')}", file=sys.stderr)
        rows += part(every)
    rows += _covered(every)
    print(show(rows))
    outside = [row.name for row in rows if row.verdict == "FAIL"]
    print(f"\noutside: {'; '.join(outside) or 'nothing'}")
    return int(bool(outside))


def _covered(every: ByCell) -> list[Row]:
    """How often the truth lay inside the stated interval, by cell over all seeds, and altogether."""
    pooled = [triple for triples in every.values() for triple in triples]
    shares = [(f"truth inside 95 %, {name}", triples) for name, triples in every.items()]
    return [
        _row(name, score.share_inside(triples), 0.9, at_least=True, unit="share", note=f"{len(triples)} values")
        for name, triples in [*shares, ("truth inside 95 %, all", pooled)]
    ]


def whole_sessions(every: ByCell) -> list[Row]:
    """Sessions of 80 % or more between anchors, NASA; and cells outside the temperature gate."""
    squares, most, count = 0.0, 0.0, 0
    rows = []
    for cell in ("B0005", "B0006"):
        for seed in SEEDS:
            stream = noisy(recorded.nasa(cell), seed)
            pairs = score.anchored(fed(stream))
            found = score.scored(pairs, stream.first_ah)
            rows.append(_row(f"whole, {stream.name}: RMSE", found.rmse, note=_words(found)))
            squares, count, most = squares + found.count * found.rmse**2, count + found.count, max(most, found.most)
            every[f"whole {cell}"] += pairs
    return [
        *rows,
        _row("whole sessions: RMSE", (squares / count) ** 0.5, 1.0),
        _row("whole sessions: greatest error", most, 3.5),
        _row("updates of a cell at 4 °C", _updates("B0047"), 0, unit="sessions"),
        *(row for cell in ("B0029", "B0030") for row in _warm(cell, every)),
        _by_data_sheet("B0005"),
    ]


def _warm(cell: str, every: ByCell) -> list[Row]:
    """A cell that is used at 45 to 60 °C."""
    stream = noisy(recorded.nasa(cell), 1)
    pairs = score.anchored(fed(stream))
    found = score.scored(pairs, stream.first_ah)
    every[f"whole {cell}"] += pairs
    return [_row(f"whole, {cell} at 45 to 60 °C: RMSE", found.rmse, 2.0, note=_words(found))]


def _by_data_sheet(cell: str) -> Row:
    """A cell that is declared with a cut-off below the one at which its discharges are ended."""
    stream = noisy(recorded.nasa(cell), 1)
    declared = msgspec.structs.replace(stream.declared, cell_voltage_min_v=DATASHEET_CUT_OFF_V)
    found = score.scored(score.anchored(fed(replace(stream, declared=declared))), stream.first_ah)
    return _row(f"whole, {cell} declared with {DATASHEET_CUT_OFF_V} V: RMSE", found.rmse, 1.0, note=_words(found))


def _updates(cell: str) -> int:
    return sum(not p.session.reason for p in fed(recorded.nasa(cell)).points)


def partial_sessions(every: ByCell) -> list[Row]:
    """One whole cycle in 25, NASA and CAMP."""
    ours: list[float] = []
    held: list[float] = []
    rows = []
    for name in ("B0005", "B0006", "CAMP"):
        plain = recorded.camp() if name == "CAMP" else recorded.nasa(name)
        cycles = mixed.camp_cycles(plain) if name == "CAMP" else mixed.nasa_cycles(plain)
        squares, against, count = 0.0, 0.0, 0
        for seed in SEEDS:
            stream, whole = mixed.partial(plain, cycles, seed)
            pairs, holding = score.between(stream, fed(noisy(stream, seed)), [c[2] for c in cycles], whole)
            found, hold = score.scored(pairs, plain.first_ah), score.scored(holding, plain.first_ah)
            squares, against = squares + found.count * found.rmse**2, against + hold.count * hold.rmse**2
            count += found.count
            every[f"mixed {name}"] += pairs
            rows.append(
                _row(f"mixed, {name} seed {seed}: RMSE", found.rmse, note=f"{_words(found)}, held {hold.rmse:.2f}")
            )
        ours.append(squares / count)
        held.append(against / count)
    rmse, hold_rmse = (sum(ours) / len(ours)) ** 0.5, (sum(held) / len(held)) ** 0.5
    return [
        *rows,
        _row("mixed: RMSE, the cells alike", rmse, 2.0),
        _row("mixed: better than the last whole one", 100 * (1 - rmse / hold_rmse), 20, at_least=True, unit="%"),
    ]


def drives(every: ByCell) -> list[Row]:
    """The Panasonic cell under drive cycles until its July check, no warm whole cycle after May; counters."""
    plain = recorded.panasonic()
    rows, squares = [], 0.0
    for seed in (0, *EVERY_SIGN):
        outcome = fed(noisy(plain, seed) if seed else plain)
        last = [p for p in outcome.points if p.number < JULY_SEGMENT and p.estimate_ah is not None][-1]
        every["Panasonic"].append((last.estimate_ah or 0.0, last.sd_ah or 0.0, JULY_AH))
        off = 100 * ((last.estimate_ah or 0.0) - JULY_AH) / RATED_AH
        name = f"Panasonic: July check, seed {seed}" if seed else "Panasonic: July check"
        limit = None if seed else 2.5
        squares += off * off if seed else 0.0
        rows.append(_row(name, abs(off), limit, note=f"{off:+.2f} % of rated, own sd {last.sd_ah:.3f} Ah"))
        size = len(msgspec.msgpack.encode(outcome.meter.health.state))
    return [
        *rows,
        _row("Panasonic: July check, all signs: RMSE", (squares / len(EVERY_SIGN)) ** 0.5, 2.5),
        _row("throughput, Panasonic", abs(counters.panasonic_off(plain)), 0.2, unit="%"),
        _row("throughput, BMW i3", abs(counters.trips_off()), 0.2, unit="%"),
        _row("state of capacity and claim", size, 8192, unit="bytes"),
    ]


def resistance(every: ByCell) -> list[Row]:  # noqa: ARG001 - every part is called alike
    """Growth of the resistance on CAMP, the worst of a reading without errors and of those with a BMS's."""
    found = [growth.compared(seed) for seed in (0, *SEEDS)]
    note = f"{found[0].tests} pulse tests, grown by {found[0].grown_pct:.0f} %"
    return [
        _row(
            "resistance, CAMP: correlation", min(g.correlated for g in found), 0.95, at_least=True, unit="1", note=note
        ),
        _row("resistance, CAMP: growth apart by", max(g.apart for g in found), 5.0),
    ]


def honesty(every: ByCell) -> list[Row]:  # noqa: ARG001
    """The check of the BMS's claim."""
    alarms, sessions, slowest = 0, 0, 0
    for seed in SEEDS:
        for cell in ("B0005", "B0006"):
            raised, seen = claims.false_alarms(noisy(recorded.nasa(cell), seed))
            alarms, sessions = alarms + raised, sessions + seen
        for number in LIE_FROM:
            stream = noisy(recorded.nasa("B0005"), seed)
            _, contradicted = claims.sessions_until_flagged(stream, claims.LIE_POINTS, number)
            slowest = max(slowest, 99 if contradicted is None else contradicted)
    return [
        _row(
            "honest claim: contradicted",
            100 * alarms / sessions,
            1.0,
            unit="% of sessions",
            note=f"{sessions} sessions",
        ),
        _row("5 points too high: contradicted after", slowest, 3, unit="sessions"),
    ]


def costs(every: ByCell) -> list[Row]:  # noqa: ARG001
    """CPU time and memory."""
    year, decade = cost.state_bytes()
    return [
        _row("the whole meter, CPU time", cost.median_micros(), 10.0, unit="µs/sample"),
        _row("state of the whole meter after a year", year, 65536, unit="bytes"),
        _row("state of the whole meter after ten years", decade, 65536, unit="bytes"),
    ]


def _row(
    name: str, value: float, limit: float | None = None, *, at_least: bool = False, unit: str = "points", note: str = ""
) -> Row:
    gate = None if limit is None else Gate(limit, at_least=at_least)
    return Row(name=name, unit=unit, ours=once(value), gate=gate, note=note)


def _words(found: score.Score) -> str:
    return f"{found.count} sessions, greatest {found.most:.1f}, mean {found.bias:+.2f}, inside 95 % {found.covered:.0%}"


if __name__ == "__main__":
    sys.exit(main())

"""Print every figure with its gate, and end with 1 if one does not hold."""

import sys
import time

import msgspec

from bench.row import Gate, Row, once
from bench.soh import claims, counters, mixed, recorded, score
from bench.soh.stream import fed, noisy
from bench.table import show

SEEDS = (1, 2)
LIE_FROM = (101, 305, 455)
JULY_AH, JULY_SEGMENT, RATED_AH = 2.434, 164, 2.9
Triples = list[tuple[float, float, float]]


def main() -> int:
    """Measure everything; returns 1 when a gate does not hold."""
    lacking = recorded.missing()
    if lacking:
        print(f"bench-soh: {lacking}; nothing was measured")
        return 0
    rows: list[Row] = []
    every: Triples = []
    for part in (whole_sessions, partial_sessions, drives, honesty):
        print(f"… {part.__name__.replace('_', ' ')}", file=sys.stderr)
        rows += part(every)
    inside = sum(abs(e - t) <= score.COVERED * sd for e, sd, t in every) / len(every)
    rows.append(Row(name="truth inside 95 %", unit="share", ours=once(inside), gate=Gate(0.9, at_least=True)))
    print(show(rows))
    return int(any(row.verdict == "FAIL" for row in rows))


def whole_sessions(every: Triples) -> list[Row]:
    """Sessions of 80 % or more between anchors, NASA."""
    squares, most, count, cold = 0.0, 0.0, 0, 0
    rows = []
    for cell in ("B0005", "B0006"):
        for seed in SEEDS:
            stream = noisy(recorded.nasa(cell), seed)
            pairs = score.anchored(fed(stream))
            found = score.scored(pairs, stream.first_ah)
            rows.append(_row(f"whole, {stream.name}: RMSE", found.rmse, note=_words(found)))
            squares, count, most = squares + found.count * found.rmse**2, count + found.count, max(most, found.most)
            every += pairs
    cold = sum(not p.session.reason for p in fed(recorded.nasa("B0047")).points)
    return [
        *rows,
        _row("whole sessions: RMSE", (squares / count) ** 0.5, 1.0),
        _row("whole sessions: greatest error", most, 3.5),
        _row("updates of a cell at 4 °C", cold, 0, unit="sessions"),
    ]


def partial_sessions(every: Triples) -> list[Row]:
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
            every += pairs
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


def drives(every: Triples) -> list[Row]:
    """The Panasonic cell under drive cycles until its July check, no warm whole cycle after May; and what it costs."""
    plain = recorded.panasonic()
    began = time.thread_time()
    outcome = fed(plain)
    micros = (time.thread_time() - began) / outcome.samples * 1e6
    before = [p for p in outcome.points if p.number < JULY_SEGMENT and p.estimate_ah is not None]
    last = before[-1]
    every.append((last.estimate_ah or 0.0, last.sd_ah or 0.0, JULY_AH))
    off = 100 * ((last.estimate_ah or 0.0) - JULY_AH) / RATED_AH
    size = len(msgspec.msgpack.encode(outcome.meter.health.state))
    return [
        _row("Panasonic: July check", abs(off), 2.5, note=f"{off:+.2f} % of rated, own sd {last.sd_ah:.3f} Ah"),
        _row("throughput, Panasonic", abs(counters.panasonic_off(plain)), 0.2, unit="%"),
        _row("throughput, BMW i3", abs(counters.trips_off()), 0.2, unit="%"),
        _row("all families, feeding included", micros, unit="µs/sample"),
        _row("state of capacity and claim", size, 8192, unit="bytes"),
        _row("state of the whole meter", len(outcome.meter.save()), 65536, unit="bytes"),
    ]


def honesty(every: Triples) -> list[Row]:  # noqa: ARG001 - every part is called alike
    """The check of the BMS's claim."""
    alarms, sessions, slowest = 0, 0, 0
    for cell in ("B0005", "B0006"):
        stream = noisy(recorded.nasa(cell), 2)
        raised, seen = claims.false_alarms(stream)
        alarms, sessions = alarms + raised, sessions + seen
    for number in LIE_FROM:
        _, contradicted = claims.sessions_until_flagged(noisy(recorded.nasa("B0005"), 2), claims.LIE_POINTS, number)
        slowest = max(slowest, 99 if contradicted is None else contradicted)
    return [
        _row("honest claim: contradicted", 100 * alarms / sessions, 1.0, unit="% of sessions"),
        _row("5 points too high: contradicted after", slowest, 3, unit="sessions"),
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

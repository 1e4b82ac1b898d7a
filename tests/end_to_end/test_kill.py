"""The agent killed twenty times in mid-replay: one unbroken chain, and nothing lost but what gap records name."""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.tables import Direct, Line

from packseal.core.bodies import Gap, GapCause, Telemetry
from packseal.core.passport import Field, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import Record, parse
from packseal.core.sample import NS_PER_S
from packseal.demo import plan as plans
from packseal.demo.audit import audit
from packseal.demo.feeder import START_NS
from packseal.demo.options import DemoOptions
from packseal.demo.stage import Stage
from packseal.demo.watch import Glance
from packseal_sink.database import Database

log = logging.getLogger(__name__)

KILLS = 20
ROWS = 5000
SPEED = 400.0
WINDOW_S = 60.0
STEP_S = 0.01
VOLTS, AMPERES = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
CELSIUS = Channel(Quantity.TEMPERATURE_C)


def lines() -> list[Line]:
    chance = random.Random(4711)
    return [Line("", n, 340 + chance.random() * 40, chance.uniform(-200, 120), 18 + n // 100 % 9) for n in range(ROWS)]


def write(path: Path) -> Path:
    rows = (f"{line.t_s},{line.voltage_v!r},{line.current_a!r},{line.temperature_c}" for line in lines())
    path.write_text("t_s,v_v,i_a,temp_c\n" + "\n".join(rows) + "\n")
    return path


def wait_for_samples(stage: Stage) -> Glance:
    """Return when the agent records, or the recording is over."""
    end_s = time.monotonic() + 20
    while True:
        stage.check()
        glance = stage.glance()
        if glance.agent and (glance.battery["samples"] or glance.has_ended):
            return glance
        assert time.monotonic() < end_s
        time.sleep(STEP_S)


def wait_for_end(stage: Stage) -> None:
    end_s = time.monotonic() + 60
    while not stage.glance().has_ended:
        stage.check()
        assert time.monotonic() < end_s
        time.sleep(STEP_S)


def kill_often(stage: Stage) -> int:
    """Kill and restart the agent at random moments; return how often it was in the middle of the recording."""
    chance = random.Random()
    seed = chance.randrange(1 << 32)
    chance.seed(seed)
    log.info("seed %d", seed)
    kills = 0
    for _ in range(KILLS):
        kills += not wait_for_samples(stage).has_ended
        time.sleep(chance.uniform(0, 0.6))
        stage.children["agent"].kill()
        stage.start_agent()
    return kills


def records(path: Path) -> Iterator[Record]:
    database = Database(path, write=False)
    with database.reading() as connection:
        raws = [raw for (raw,) in connection.execute("SELECT raw FROM record ORDER BY id")]
    database.close()
    return (parse(raw) for raw in raws)


def kept(stored: list[Record]) -> tuple[list[Line], list[Gap]]:
    """Return the rows that the sink holds, each stretch between unclean stops a trip of its own, and the gaps."""
    rows: list[Line] = []
    gaps: list[Gap] = []
    for entry in stored:
        if isinstance(entry.body, Gap) and entry.body.cause is GapCause.UNCLEAN_STOP:
            gaps.append(entry.body)
        elif isinstance(entry.body, Telemetry):
            for mono_ms, values, _ in entry.body.rows():
                t_s = mono_ms / 1000 - START_NS / NS_PER_S
                rows.append(Line(str(len(gaps)), t_s, values[VOLTS], values[AMPERES], values[CELSIUS]))
    return rows, gaps


@pytest.mark.timeout(180)
def test_twenty_kills_cost_the_open_windows_that_gap_records_name_and_nothing_else(tmp_path: Path) -> None:
    options = DemoOptions(
        replay=write(tmp_path / "table.csv"), speed=SPEED, window_s=WINDOW_S, directory=tmp_path / "d"
    )
    plan = plans.make(options)
    where = plan.places
    with Stage(plan) as stage:
        kills = kill_often(stage)
        wait_for_end(stage)
        assert stage.children["agent"].end(60) == 0
        logs = audit(where.journal, where.sink_database, where.public_key("gateway"), where.public_key("sink"))
    assert [log.complaint for log in logs] == ["", ""]
    assert kills == KILLS
    stored = [entry for entry in records(where.sink_database) if entry.subject.endswith("battery:demo")]
    rows, gaps = kept(stored)
    check_what_is_lost(rows, gaps, stored)
    check_counters(rows, stored)


def check_what_is_lost(rows: list[Line], gaps: list[Gap], stored: list[Record]) -> None:
    """Every row of the table is there, once and in order, or lies in a named gap."""
    seen = [round(row.t_s) for row in rows]
    assert seen == sorted(set(seen))
    shift_ms = stored[-1].header.wall_ms - (ROWS - 1) * 1000
    named = [((gap.from_wall_ms - shift_ms) / 1000, (gap.to_wall_ms - shift_ms) / 1000) for gap in gaps]
    lost = set(range(ROWS)) - set(seen)
    assert lost
    assert all(any(start - 0.01 < t_s < end + 0.01 for start, end in named) for t_s in lost)
    assert KILLS / 2 < len(gaps) <= KILLS  # an agent killed before its first record leaves the gap to the next one
    log.info("%d gaps, %d rows lost, longest gap %.0f s", len(gaps), len(lost), max(e - s for s, e in named))
    assert len(lost) < KILLS * 2 * WINDOW_S  # the open window, and what was sealed but not yet on the disk


def check_counters(rows: list[Line], stored: list[Record]) -> None:
    last = [entry.body for entry in stored if isinstance(entry.body, Snapshot)][-1]
    values = {reading.field: reading.value for reading in last.readings}
    direct = Direct(hot_c=40, cold_c=0, charging_above_a=1.2).integrate(rows)
    whole = Direct(hot_c=40, cold_c=0, charging_above_a=1.2).integrate(lines())
    assert values[Field.CAPACITY_CHARGED] == pytest.approx(direct.charged_ah, abs=2e-3)
    assert values[Field.CAPACITY_DISCHARGED] == pytest.approx(direct.discharged_ah, abs=2e-3)
    assert values[Field.ENERGY_THROUGHPUT] == pytest.approx(direct.energy_kwh, abs=5e-4)
    assert 0.5 * whole.throughput_ah < direct.throughput_ah < whole.throughput_ah

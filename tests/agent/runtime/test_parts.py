"""A system of packs of modules in the real agent: every log whole and verified, and no part waits for another."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.runtime.scripted import A, ScriptedClock, ScriptedDriver, V, sample

from packseal import cli, config
from packseal.cli.status import _lines
from packseal.core.bodies import Event, Lifecycle, LifecycleCode, Telemetry
from packseal.core.combining import Arrangement, Combiner, Part
from packseal.core.passport import Field, Missing, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import parse
from packseal.core.sample import EventCode, LinkState, Notice, Sample
from packseal.demo.frames import Framing
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal.runtime import parts
from packseal.runtime.agent import opened
from packseal.runtime.parts import PartDriver, WholeDriver
from packseal.runtime.status import describe

pytestmark = pytest.mark.timeout(120)

SYSTEM, PACK, STRING = "urn:example:system", "urn:example:pack", "urn:example:string"
ONE, TWO = "urn:example:module:1", "urn:example:module:2"
SENSOR, SOC = Channel(Quantity.TEMPERATURE_C), Channel(Quantity.STATE_OF_CHARGE_PCT)
BEGUN_S = 1_795_000_000
SECONDS = 600

FILE = f"""
[gateway]
id = "urn:example:gateway:1"
socket = "{{socket}}"
[[battery]]
id = "{SYSTEM}"
parts = ["{PACK}", "{STRING}"]
arrangement = "parallel"
[[battery]]
id = "{PACK}"
parts = ["{ONE}", "{TWO}"]
arrangement = "series"
[battery.declared]
rated_capacity_ah = 100
"""

LEAF = """
[[battery]]
id = "{id}"
profile = "bmw/i3_replay"
link = {{ kind = "recording", path = "{path}" }}
declared = {{ rated_capacity_ah = {ah} }}
"""


Says = Callable[[int], dict[Channel, float | None] | None]


def record(path: Path, says: Says) -> None:
    """Write a candump log: what a battery says, once a second."""
    framing = Framing("bmw/i3_replay")
    with path.open("w") as log:
        for second in range(SECONDS):
            for address, data in framing.frames(says(second) or {}):
                log.write(f"({BEGUN_S + second}.000000) can0 {address:03X}#{data.hex().upper()}\n")


def module(volts: float, amperes: float, celsius: float, soc: float) -> dict[Channel, float | None]:
    return {V: volts, A: amperes, SENSOR: celsius, SOC: soc}


def second_module(second: int) -> dict[Channel, float | None] | None:
    """It is silent from 200 s to 300 s."""
    return None if 200 < second < 300 else module(210, -36, 25, 70)


def prepare(folder: Path) -> Path:
    text = FILE.format(socket=folder / "s")
    for name, ah, says in (
        (ONE, 100, lambda _: module(190, -36, 20, 60)),
        (TWO, 100, second_module),
        (STRING, 50, lambda _: module(402, 18, 30, 90)),
    ):
        path = folder / f"{name.rpartition(':')[2]}.log"
        record(path, says)
        text += LEAF.format(id=name, path=path.name, ah=ah)
    key_file.create(folder / "gateway.key")
    (folder / "packseal.toml").write_text(text)
    return folder / "packseal.toml"


def telemetry(journal: Journal, subject: str) -> tuple[list[dict[Channel, float]], list[object]]:
    """All rows and all bodies of a log."""
    (log,) = [entry for entry in journal.logs() if entry.subject == subject]
    bodies = [parse(entry.raw).body for entry in journal.records(log.log_id)]
    rows = [dict(values) for body in bodies if isinstance(body, Telemetry) for _, values, _ in body.rows()]
    return rows, list(bodies)


def last_reading(bodies: list[object], field: Field) -> float | Missing | None:
    last = [body for body in bodies if isinstance(body, Snapshot)][-1]
    reading = next(r for r in last.readings if r.field is field)
    return reading.missing if reading.value is None else reading.value


def test_a_system_of_recorded_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepare(tmp_path)
    command = [sys.executable, "-m", "packseal", "run", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert cli.main(["journal", "verify", "--config", str(path), "--key", str(tmp_path / "gateway.pub")]) == 0
    capsys.readouterr()
    with Journal.open_to_read(tmp_path / "journal.db") as journal:
        logs = {subject: telemetry(journal, subject) for subject in (SYSTEM, PACK, STRING, ONE, TWO)}
    assert [len(logs[name][0]) for name in (ONE, TWO, STRING)] == [SECONDS, SECONDS - 99, SECONDS], "parts keep theirs"

    rows, bodies = logs[PACK]
    assert len(rows) == SECONDS
    whole = {V: 400, A: -36, SOC: 60, SENSOR: 20, Channel(SENSOR.quantity, 1): 25}
    whole |= {Channel(Quantity.TEMPERATURE_MAX_C): 25, Channel(Quantity.TEMPERATURE_MIN_C): 20}
    assert [row for row in rows if V in row] == [whole] * (SECONDS - 99)
    assert [row for row in rows if V not in row] == [{A: -36}] * 99
    events = [(body.code, body.attributes.get("part")) for body in bodies if isinstance(body, Event)]
    assert events == [(EventCode.BUS_SILENT, TWO), (EventCode.BUS_RECOVERED, None)]
    assert last_reading(bodies, Field.CAPACITY_DISCHARGED) == pytest.approx(36 * (SECONDS - 1) / 3600, abs=1e-3)
    covered_s = SECONDS - 1 - 100
    assert last_reading(bodies, Field.ENERGY_THROUGHPUT) == pytest.approx(0.4 * 36 * covered_s / 3600, rel=1e-2)
    assert last_reading(bodies, Field.STATE_OF_CHARGE) is Missing.NOT_REPORTED, "no BMS says it of the whole"

    rows, bodies = logs[SYSTEM]
    assert [row[A] for row in rows if A in row] == [-18] * SECONDS, "the pack's current needs one module only"
    assert [row[V] for row in rows].count(401) == SECONDS - 99
    assert [row[V] for row in rows].count(402) == 99
    assert {row[SOC] for row in rows if SOC in row} == {70}
    assert sum(SOC in row for row in rows) == SECONDS - 99
    ends = [body.code for body in bodies if isinstance(body, Lifecycle)]
    assert ends == [LifecycleCode.LOG_BEGUN, LifecycleCode.SOURCE_ENDED]


def test_status_tells_what_a_battery_is_made_of(tmp_path: Path) -> None:
    path = prepare(tmp_path)

    async def run() -> dict[str, object]:
        async with opened(config.load(path)) as agent:
            return describe(agent)

    status = json.loads(json.dumps(asyncio.run(run())))
    assert set(status["batteries"][0]["use"]) == {"hours_by_charge_and_temperature", "cycles_by_depth"}
    assert [battery["parts"] for battery in status["batteries"]] == [[PACK, STRING], [ONE, TWO], [], [], []]
    status["batteries"][1]["silent_parts"] = [TWO]
    told = "\n".join(_lines(status))
    assert f"battery   {PACK} (series of 2 parts): " in told
    assert f"made of {ONE}, {TWO}; not heard: {TWO}" in told
    assert f"made of {PACK}, {STRING}\n" in told


def test_doctor_tries_the_wires_of_the_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepare(tmp_path)
    text = path.read_text().replace("declared = { rated_capacity_ah = 50 }", "")
    path.write_text(text)
    assert cli.main(["doctor", "--config", str(path)]) == 0
    told = capsys.readouterr().out
    assert f"ok   battery {PACK}: series of {ONE}, {TWO}" in told
    assert f"note battery {SYSTEM}: no state of charge without rated_capacity_ah of each part: {STRING}" in told
    assert told.count("samples") == 3


def whole_of(*drivers: ScriptedDriver, clock: ScriptedClock | None = None) -> tuple[WholeDriver, list[PartDriver]]:
    made = [Part(f"urn:part:{i}", 10.0, driver.delivers, {}) for i, driver in enumerate(drivers)]
    combiner = Combiner(Arrangement.PARALLEL, made)
    whole = WholeDriver("parallel", combiner, 1.0, clock or ScriptedClock(), replayed=False)
    return whole, [PartDriver(driver, whole, number) for number, driver in enumerate(drivers)]


def test_a_dead_part_delays_neither_the_others_nor_the_whole() -> None:
    async def run() -> None:
        alive, dead, clock = ScriptedDriver(), ScriptedDriver(), ScriptedClock()
        whole, (first, second) = whole_of(alive, dead, clock=clock)
        own, of_whole, none = first.batches(), whole.batches(), asyncio.ensure_future(anext(second.batches()))
        for t in range(1, 40):
            alive.say(sample(t))
            async with asyncio.timeout(1):
                assert await anext(own) == (sample(t),)
        clock.at = sample(39).at
        got = list(await anext(of_whole))
        assert [item.code for item in got if isinstance(item, Notice)] == [EventCode.BUS_SILENT]
        assert [item.values for item in got if isinstance(item, Sample)] == [{V: 400.0}] * 39
        assert whole.counts.state is LinkState.SILENT
        assert whole.silent == ["urn:part:1"]
        none.cancel()

    asyncio.run(run())


def test_the_clock_tells_when_no_part_says_anything() -> None:
    async def run() -> None:
        clock = ScriptedClock()
        whole, (first, second) = whole_of(one := ScriptedDriver(), two := ScriptedDriver(), clock=clock)
        one.say(sample(1))
        two.say(sample(1))
        await anext(first.batches())
        await anext(second.batches())
        clock.at = sample(1).at
        said = whole.batches()
        (item,) = await anext(said)
        assert isinstance(item, Sample)
        assert item.values == {V: 400.0, A: 20.0}
        clock.at = sample(30).at
        async with asyncio.timeout(20):
            notices = await anext(said)
        assert [(n.code, n.attributes["silent_ms"]) for n in notices if isinstance(n, Notice)] == [
            (EventCode.BUS_SILENT, 29_000)
        ] * 2

    asyncio.run(run())


def test_the_whole_ends_with_its_last_part() -> None:
    async def run() -> None:
        one, two = ScriptedDriver(), ScriptedDriver()
        whole, made = whole_of(one, two)
        one.say(sample(1))
        two.say(sample(1), sample(1.5))
        one.end()
        two.end()
        for part in made:
            async for _ in part.batches():
                pass
        got = [item async for batch in whole.batches() for item in batch]
        assert [(i.at.mono_ns, i.values[V]) for i in got if isinstance(i, Sample)] == [(10**9, 400), (2 * 10**9, 400)]
        assert one.closed
        assert two.closed

    asyncio.run(run())


def test_a_lost_wire_of_a_part_is_known_at_once() -> None:
    async def run() -> None:
        whole, (first, second) = whole_of(one := ScriptedDriver(), two := ScriptedDriver())
        one.say(sample(1), sample(2))
        two.say(sample(1), Notice(EventCode.LINK_LOST, sample(1.5).at))
        await anext(first.batches())
        await anext(second.batches())
        got = await anext(whole.batches())
        assert [(i.code, i.at) for i in got if isinstance(i, Notice)] == [(EventCode.BUS_SILENT, sample(2).at)]
        assert [i.values for i in got if isinstance(i, Sample)] == [{V: 400.0, A: 20.0}, {V: 400.0}]

    asyncio.run(run())


def test_what_a_slow_recorder_does_not_take_is_bounded_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_WAITING", 10)

    async def run() -> None:
        whole, _ = whole_of(ScriptedDriver(), ScriptedDriver())
        for t in range(1, 31):
            for number in (0, 1):
                whole.hear(number, [sample(t)])
        missing, *rest = await anext(whole.batches())
        assert isinstance(missing, Notice)
        assert (missing.code, dict(missing.attributes)) == (EventCode.FRAMES_DROPPED, {"samples": 20})
        assert [item.at for item in rest] == [sample(t).at for t in range(21, 31)]
        assert whole.counts.dropped == 20

    asyncio.run(run())

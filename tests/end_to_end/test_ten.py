"""Ten batteries on three roads in one agent, one of them dead and one slow: the others are as often as ever."""

import asyncio
import tempfile
import time
from pathlib import Path

import pytest
from bench import ten
from bench.ten_batteries import Ten, on_their_wires, subject
from bench.ten_bluez import why_not
from bench.ten_rates import Rates, taken

from packseal.keys import file as key_file

SETTLE_S, MEASURED_S = 8, 12
MARGIN_S = 4
"""Beyond a battery's period, for a machine that is busy with other tests."""
CONFIGURATION = """
[gateway]
id = "urn:packseal:gateway:ten"
socket = "{folder}/status"
window_s = 2
"""


async def measured(folder: Path, dead: str, slow: str) -> tuple[Ten, dict[str, Rates]]:
    """Return what was sealed by the battery's name. The dead one never says a word, the slow one takes its time."""
    async with on_their_wires(folder) as batteries:
        for name, part in (batteries.units | batteries.peripherals).items():
            part.delay_s = 0.8 if name == slow else 0.0
        if dead in batteries.units:
            batteries.units[dead].is_dead = True
        else:
            batteries.peripherals[dead].is_there = False
        key_file.create(folder / "gateway.key")
        (folder / "packseal.toml").write_text(CONFIGURATION.format(folder=folder) + batteries.toml())
        async with ten.agent(folder, batteries):
            await asyncio.sleep(SETTLE_S)
            begin_s = time.monotonic()
            await asyncio.sleep(MEASURED_S)
            end_s = time.monotonic()
    ids = {subject(name): profile for name, profile in batteries.profiles.items()}
    found = taken(folder / "journal.db", ids, begin_s, end_s)
    return batteries, {name: found[subject(name)] for name in batteries.profiles}


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize(("dead", "slow"), [("modbus-2", "ble-1"), ("ble-2", "modbus-1")])
def test_a_dead_and_a_slow_battery_delay_no_other(dead: str, slow: str) -> None:
    # The path of a Unix socket may have 107 bytes, so not pytest's folder.
    with tempfile.TemporaryDirectory() as name:
        batteries, rates = asyncio.run(measured(Path(name), dead, slow))
        said = (Path(name) / "agent.log").read_text()
    assert "Traceback" not in said
    assert len(batteries.profiles) == 10
    assert not rates[dead].found
    assert rates[slow].found, "it is slow, not dead"
    for key, found in rates.items():
        if key != dead:
            assert not found.missing, key
            assert found.longest_s <= 1 / found.expected + MARGIN_S, key
        if key not in (dead, slow):
            assert found.least_pct >= 70, (key, found)

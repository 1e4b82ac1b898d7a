"""Ten batteries in one agent: whether every quantity comes as often as it should, and what that costs.

The agent is `packseal run` in a process of its own, its decoders from the cache, with a broker and a sink; the
batteries are served from here.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.installation import AGENT, GATEWAY_ID, operator, process
from bench.row import Effort, Gate, Row, Spread, once
from bench.ten_batteries import Ten, on_their_wires, subject
from bench.ten_rates import Rates, taken
from packseal.core.errors import InputError

SECONDS, QUICK_S = 600, 20
SETTLE_S = 20
"""To be found and connected, and for what is doubted at first."""
COLD_S = 15
STEPS = 10
WINDOW_S = 60
MEMORY, RATE = Gate(60, at_least=False), Gate(98, at_least=True)
KIB_PER_MIB = 1024
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TOML = """
[gateway]
id = "{gateway}"
socket = "{folder}/status"
window_s = {window_s}
[uplink]
kind = "mqtt"
sink_key = "sink/sink.pub"
host = "127.0.0.1"
port = {port}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the agent's process took. Memory in MB of 1024² bytes; CPU in seconds, user and system."""

    resident: float
    peak: float
    cpu_s: float


def measure(effort: Effort) -> list[Row]:
    """Let them run for ten minutes."""
    return asyncio.run(_measure(effort.of(SECONDS, QUICK_S), effort))


async def _measure(seconds: float, effort: Effort) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name, ExitStack() as stack:
        folder = Path(name)
        port = stack.enter_context(operator(folder))
        async with on_their_wires(folder) as ten:
            text = TOML.format(gateway=GATEWAY_ID, folder=folder, window_s=min(WINDOW_S, seconds / 4), port=port)
            (folder / "packseal.toml").write_text(text + ten.toml())
            async with agent(folder, ten) as pid:
                await asyncio.sleep(COLD_S)
                cold = cost(pid)
            async with agent(folder, ten) as pid:
                await asyncio.sleep(SETTLE_S)
                begin_s, before = time.monotonic(), cost(pid)
                course = await _wait(seconds, effort, pid)
                end_s, after = time.monotonic(), cost(pid)
            ids = {subject(key): name for key, name in ten.profiles.items()}
            rates = taken(folder / "journal.db", ids, begin_s, end_s)
    cpu_pct = 100 * (after.cpu_s - before.cpu_s) / (end_s - begin_s)
    return [*_costs(cold, course, after, cpu_pct, ten, seconds), *_rates(ten, rates)]


async def _wait(seconds: float, effort: Effort, pid: int) -> list[float]:
    """Wait; return the memory in ten equal steps."""
    course: list[float] = []
    for step in range(STEPS):
        await asyncio.sleep(seconds / STEPS)
        course.append(cost(pid).resident)
        effort.tell((step + 1) / STEPS)
    return course


@asynccontextmanager
async def agent(folder: Path, ten: Ten) -> AsyncIterator[int]:
    """Run the agent with the configuration in `folder`; gives its process id, and stops it in good order."""
    command = (sys.executable, "-c", AGENT, "run", "--config", str(folder / "packseal.toml"))
    log = folder / "agent.log"
    running = process(command, log, environment={"DBUS_SYSTEM_BUS_ADDRESS": ten.dbus})
    started = running.__enter__()
    try:
        yield started.pid
        if started.poll() is not None:
            raise InputError(f"the agent has ended: {log.read_text()[-800:]}")
    finally:
        # In a thread, since the batteries have to answer until it is gone.
        await asyncio.to_thread(running.__exit__, None, None, None)


def cost(pid: int) -> Cost:
    """Return what a process has taken so far."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {words[0].rstrip(":"): words[1] for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(behind_name[11]) + int(behind_name[12])  # proc(5): utime and stime, fields 14 and 15
    return Cost(int(found["VmRSS"]) / KIB_PER_MIB, int(found["VmHWM"]) / KIB_PER_MIB, ticks / TICKS_PER_S)


def _costs(cold: Cost, course: Sequence[float], after: Cost, cpu_pct: float, ten: Ten, seconds: float) -> list[Row]:
    note = (
        f"VmRSS of `packseal run` with 4 batteries on CAN ({ten.medium}), 3 on Modbus, 3 over Bluetooth (bleak's BlueZ "
        f"backend on a D-Bus of its own) after {seconds:g} s, windows of {min(WINDOW_S, seconds / 4):g} s, MQTT; "
        f"in ten steps {', '.join(f'{step:.1f}' for step in course)}; peak (VmHWM) {after.peak:.1f} MB"
    )
    return [
        Row(name="ten memory", unit="MB", ours=once(after.resident), gate=MEMORY, note=note),
        Row(name="ten memory first start", unit="MB", ours=once(cold.resident), note="decoders made by cantools first"),
        Row(name="ten CPU", unit="% of a core", ours=once(cpu_pct), note="user and system, over the same time"),
    ]


def _rates(ten: Ten, rates: dict[str, Rates]) -> list[Row]:
    rows = []
    for key, name in ten.profiles.items():
        found = rates.get(subject(key))
        if found is None:
            rows.append(Row(name=f"ten {key}", unit="%", trouble="it has no log"))
            continue
        shares = sorted(100 * rate / found.expected for rate in found.found.values()) or [0.0]
        each = ", ".join(f"{quantity} {rate:.3f}" for quantity, rate in sorted(found.found.items()))
        rows.append(
            Row(
                name=f"ten {key}",
                unit="% of rate",
                ours=Spread(shares[0], found.least_pct, shares[-1]),
                gate=RATE,
                note=f"{name}, the worst of {len(shares)} quantities, each expected {found.expected:g} times a second: "
                f"{each}; {found.samples} samples, {found.records} records with those of the first start, at most "
                f"{found.longest_s:.1f} s apart",
                trouble=f"never came: {', '.join(sorted(found.missing))}" if found.missing else "",
            )
        )
    return rows

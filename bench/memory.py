"""Memory of the running agent after half a minute of work: one CAN battery, MQTT uplink, decoders from the cache."""

import time
from pathlib import Path

from bench.installation import CYCLE_FRAMES, CYCLE_S, Installation, installed
from bench.row import Effort, Gate, Row, once
from packseal.core.errors import InputError

GATE = Gate(45, at_least=False)
WORK_S = 30
WINDOW_S, PERIOD_S = 5, 1
KIB_PER_MIB = 1024


def measure(effort: Effort) -> list[Row]:
    """Let it work with an empty cache, then with what that run left in it."""
    work_s = effort.of(WORK_S, 8)
    with installed(WINDOW_S, PERIOD_S) as installation:
        cold = _work(installation, work_s)
        effort.tell(0.5)
        warm = _work(installation, work_s)
        effort.tell(1)
    rate = round(CYCLE_FRAMES / CYCLE_S)
    note = (
        f"VmRSS in MB of 1024² bytes of `packseal run` after {work_s} s: stream link at {rate} frames/s, reference96 "
        f"every {PERIOD_S} s, {WINDOW_S} s windows, MQTT to mosquitto and a sink; peak (VmHWM) {warm['VmHWM']:.1f} MB"
    )
    cold_note = f"the same when the decoders are first made by cantools; peak {cold['VmHWM']:.1f} MB"
    return [
        Row(name="memory", unit="MB", ours=once(warm["VmRSS"]), gate=GATE, note=note),
        Row(name="memory first start", unit="MB", ours=once(cold["VmRSS"]), note=cold_note),
    ]


def _work(installation: Installation, work_s: int) -> dict[str, float]:
    with installation.agent() as process:
        time.sleep(work_s)
        status = installation.status() or {}
        uplink = status.get("uplink") or {}
        if not uplink.get("connected") or not status["batteries"][0]["windows"]:
            raise InputError(f"the agent does not work: {status or (installation.folder / 'agent.log').read_text()}")
        return _mebibytes(process.pid)


def _mebibytes(pid: int) -> dict[str, float]:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / KIB_PER_MIB for words in lines if words[0].startswith("Vm")}

"""From the start of `packseal run` to the first sample in its status socket, decoders from the cache."""

import time

from bench.installation import Installation, installed
from bench.row import Effort, Gate, Row, spread
from packseal.core.errors import InputError

GATE = Gate(1.5, at_least=False)
WINDOW_S, PERIOD_S = 60, 0.1
LOOK_S = 0.005
PATIENCE_S = 20.0


def measure(effort: Effort) -> list[Row]:
    """Start it once with an empty cache, then some times with a full one."""
    rounds = effort.of(5, 2)
    with installed(WINDOW_S, PERIOD_S) as installation:
        cold_s = _first_sample_s(installation)
        warm_s = []
        for number in range(rounds):
            warm_s.append(_first_sample_s(installation))
            effort.tell((number + 1) / rounds)
    note = f"elapsed, median of {rounds} starts; a sample every {PERIOD_S} s, so that much of it is waiting for one"
    cold_note = "once, with an empty cache: cantools reads the DBC and the decoders are made"
    return [
        Row(name="first sample", unit="s", ours=spread(warm_s), gate=GATE, note=note),
        Row(name="first sample first start", unit="s", ours=spread([cold_s]), note=cold_note),
    ]


def _first_sample_s(installation: Installation) -> float:
    began = time.perf_counter()
    with installation.agent():
        while time.perf_counter() < began + PATIENCE_S:
            status = installation.status()
            if status is not None and status["batteries"][0]["samples"]:
                return time.perf_counter() - began
            time.sleep(LOOK_S)
    raise InputError(f"no sample within {PATIENCE_S:g} s: {(installation.folder / 'agent.log').read_text()[-500:]}")

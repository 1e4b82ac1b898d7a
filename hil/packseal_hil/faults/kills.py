"""Kills: SIGKILL at random moments, of the agent while it records and sends, of the sink while it takes batches."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from packseal_hil.faults.station import START_S, STOP_S, Station

LONGEST_S = 1.2
EARLY = 0.3
"""The share of kills that do not wait until the agent has said that it records."""
CHECK_EVERY = 10


@dataclass(slots=True)
class Tally:
    """What a run has shown. `acknowledged` and `receipted` are records, `lost` of either; `complaints` is anything."""

    agent_kills: int = 0
    sink_kills: int = 0
    early_kills: int = 0  # before the agent had said that it records
    acknowledged: int = 0
    receipted: int = 0
    lost: int = 0
    gaps: int = 0
    complaints: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is lost and every chain is whole."""
        return not self.lost and not self.complaints

    def text(self) -> str:
        """Return it as one line."""
        whole = "; ".join(self.complaints) or "every chain verifies"
        return (
            f"{self.agent_kills} kills of the agent ({self.early_kills} of them while it started) and "
            f"{self.sink_kills} of the sink: {self.acknowledged} records acknowledged as stored, {self.receipted} "
            f"receipted, {self.lost} lost; {self.gaps} gap records; {whole}"
        )


def run(station: Station, agent: int, sink: int, seed: int, tell: Callable[[str], None]) -> Tally:
    """Kill the agent and then the sink so often, check all the time, end in good order and compare both.

    Raises:
        RigError: one of them does not start again.
    """
    chance, tally = random.Random(seed), Tally()
    for number in range(agent):
        station.launch()
        if chance.random() >= EARLY:
            station.until(lambda: bool(station.status()), START_S, "it does not record")
        _wait(station, chance.uniform(0, LONGEST_S))
        tally.early_kills += not station.status()
        station.kill()
        tally.agent_kills += 1
        if number % CHECK_EVERY == 0 or number == agent - 1:
            _check(station, tally, f"kill {number + 1} of the agent")
            tell(tally.text())
    station.start()
    for number in range(sink):
        before = received(station)
        station.until(lambda before=before: received(station) > before, START_S, "the sink receives nothing")  # type: ignore[misc]
        _wait(station, chance.uniform(0, LONGEST_S / 2))
        station.sink.kill()
        station.sink.start()
        tally.sink_kills += 1
        if number % CHECK_EVERY == 0 or number == sink - 1:
            _check(station, tally, f"kill {number + 1} of the sink")
            tell(tally.text())
    return _finish(station, tally)


def received(station: Station) -> int:
    """Return how many records the sink holds."""
    return sum(count for _, _, count in station.sink.positions())


def _wait(station: Station, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while (left := end_s - time.monotonic()) > 0:
        station.status()  # what it acknowledges until just before the end counts
        time.sleep(min(left, 0.02))


def _check(station: Station, tally: Tally, when: str) -> None:
    tally.complaints += tuple(f"{when}: {one}" for one in station.complaints())
    tally.acknowledged = sum(station.promised.values())


def _finish(station: Station, tally: Tally) -> Tally:
    """Stop in good order, wait for the receipts, and compare journal and sink."""
    _check(station, tally, "at the end")
    station.until(lambda: bool(station.status().get("uplink", {}).get("last_receipt")), STOP_S, "no receipt comes")
    if code := station.stop():
        tally.complaints += (f"the agent ended with code {code}",)
    station.sink.stop()
    logs = station.audit()
    tally.complaints += tuple(log.complaint for log in logs if log.complaint)
    tally.receipted = sum(log.receipted for log in logs)
    tally.gaps = sum(count for log in logs for count, _ in log.gaps.values())
    held = {bytes.fromhex(log.log_id): log.received for log in logs}
    tally.lost = sum(max(0, count - held.get(log_id, 0)) for log_id, count in station.promised.items())
    return tally

"""Watch: notes, while agents run, which records somebody was told are stored, and how long each disk's log was then."""

import asyncio
from collections.abc import Mapping, Sequence

from packseal_hil.powercut.gateway import Station
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.powercut.trail import Ack

STEP_S = 0.005  # a fifth of the time between two commits


class Watch:
    """Asks the sink, and the agents themselves, over and over.

    Args:
        sink: what it has received is promised.
        stations: what they say they have stored is promised too.
    """

    def __init__(self, sink: LocalSink, stations: Sequence[Station]) -> None:
        self._sink = sink
        self._stations = {station.issuer: station for station in stations}
        self._numbers: dict[bytes, int] = {}  # by log: how many records are promised
        self._bases: dict[bytes, int] = {}  # the same when the agent was started
        self._acks: dict[str, list[Ack]] = {issuer: [] for issuer in self._stations}

    def restarted(self) -> None:
        """Take note that agents begin to count anew: what was promised until now is there at least."""
        self._bases = dict(self._numbers)

    def promise(self, issuer: str, numbers: Mapping[bytes, int]) -> None:
        """Take so many records of each log as promised from the beginning."""
        self._numbers |= numbers
        self._acks[issuer] += [Ack(0, log_id, count - 1) for log_id, count in numbers.items() if count]

    def received(self, issuer: str) -> int:
        """Return how many records of this gateway the sink holds."""
        return sum(count for name, _, count in self._sink.positions() if name == issuer)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.look()
            for station in self._stations.values():
                bases = self._bases  # an answer may come when the agent that gave it has been followed by another
                for log_id, count in (await station.stored()).items():
                    self._note(station, log_id, bases.get(log_id, 0) + count)
            await asyncio.sleep(STEP_S)

    def look(self) -> None:
        """Ask the sink once."""
        for issuer, log_id, count in self._sink.positions():
            if station := self._stations.get(issuer):
                self._note(station, log_id, count)

    def finish(self, issuer: str) -> list[Ack]:
        """Return what was promised of this gateway, in order, with the hashes of all that the sink has received."""
        acks = sorted(self._acks[issuer], key=lambda ack: ack.position)
        return [Ack(a.position, a.log_id, a.sequence, self._sink.hash_of(a.log_id, a.sequence)) for a in acks]

    def _note(self, station: Station, log_id: bytes, count: int) -> None:
        if count > self._numbers.get(log_id, 0):
            self._numbers[log_id] = count
            # The log is measured after the word came: it may only be too long.
            self._acks[station.issuer].append(Ack(station.log_bytes, log_id, count - 1))

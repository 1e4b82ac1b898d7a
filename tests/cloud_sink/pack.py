"""A small pack that is driven and charged: real meter, sealer and pen make its records."""

import math
from collections.abc import Iterator

from packseal.core.bodies import GapCause, LifecycleCode
from packseal.core.chain import Head, Pen
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, EventCode, Instant, Notice, Sample
from packseal.core.sealer import Sealed, Sealer
from packseal.keys.file import FileSigner

GATEWAY = "urn:example:gateway:1"
BATTERY = "urn:example:battery:1"
LOG_ID = bytes(range(16))
DECLARED = Declared(category="ev", rated_capacity_ah=60, temperature_min_c=-20, temperature_max_c=28)
DELIVERS = frozenset(Quantity) - {Quantity.FULL_CHARGE_CAPACITY_AH}
START_MS = 1_790_000_000_000
CELLS = 24


class Pack:
    """Writes one log.

    Args:
        signer: the gateway's key.
        start_ms: wall time of the first sample.
        window_s: seconds per window.
    """

    def __init__(
        self,
        signer: FileSigner,
        *,
        log_id: bytes = LOG_ID,
        battery: str = BATTERY,
        gateway: str = GATEWAY,
        start_ms: int = START_MS,
        window_s: float = 60,
    ) -> None:
        self._start_ns = start_ms * 1_000_000
        pen = Pen(signer, gateway, battery, log_id, bytes(8), Head())
        self.sealer = Sealer(pen, Meter(DECLARED, DELIVERS), window_s, None)
        self.second = 0

    def begin(self) -> list[bytes]:
        return _raws([self.sealer.begin(LifecycleCode.LOG_BEGUN, self.now(), {"rated_capacity_mah": 60_000})])

    def drive(self, seconds: int) -> list[bytes]:
        """Return what is sealed in so many seconds."""
        sealed: list[Sealed] = []
        for _ in range(seconds):
            sealed += self.sealer.feed(Sample(self.now(), self._values()))
            self.second += 1
        return _raws(sealed)

    def silence(self, seconds: int) -> list[bytes]:
        """Return what is sealed when the bus falls silent; the gap record comes with the next sample."""
        sealed = self.sealer.note(Notice(EventCode.BUS_SILENT, self.now(), {"silent_ms": 5000}))
        self.second += seconds
        recovered = self.sealer.note(Notice(EventCode.BUS_RECOVERED, self.now()))
        return _raws([told for told in (sealed, recovered) if told is not None])

    def restart(self) -> list[bytes]:
        self.second += 90
        return _raws([self.sealer.lose(GapCause.UNCLEAN_STOP, self.now(), {"windows": 1})])

    def end(self) -> list[bytes]:
        return _raws([self.sealer.end(LifecycleCode.AGENT_STOPPED, self.now())])

    def now(self) -> Instant:
        ns = self.second * NS_PER_S
        return Instant(10 * NS_PER_S + ns, self._start_ns + ns, ClockQuality.NTP)

    def _values(self) -> dict[Channel, float]:
        t = self.second
        current_a = 35 * math.sin(t / 300) - 22 + 12 * math.sin(t / 23)
        soc_pct = 82 - 30 * (1 - math.cos(t / 4000)) / 2
        cell_v = 3.4 + soc_pct / 200 + current_a / 2000
        cells = {
            Channel(Quantity.CELL_VOLTAGE_V, i): round(cell_v + 0.006 * math.sin(1.7 * i) - 0.02 * (i == 17), 4)
            for i in range(CELLS)
        }
        return cells | {
            Channel(Quantity.PACK_VOLTAGE_V): round(cell_v * CELLS, 2),
            Channel(Quantity.PACK_CURRENT_A): round(current_a, 2),
            Channel(Quantity.TEMPERATURE_C): round(24 + 6 * math.sin(t / 2500), 1),
            Channel(Quantity.STATE_OF_CHARGE_PCT): round(soc_pct, 2),
            Channel(Quantity.STATE_OF_HEALTH_PCT): 93.5,
        }


def _raws(sealed: list[Sealed]) -> list[bytes]:
    return [record.raw for entry in sealed for record in entry.records]


def hour(pack: Pack) -> Iterator[bytes]:
    """An eventful hour."""
    yield from pack.begin()
    yield from pack.drive(1500)
    yield from pack.silence(240)
    yield from pack.drive(1000)
    yield from pack.restart()
    yield from pack.drive(770)

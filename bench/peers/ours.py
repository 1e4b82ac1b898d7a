"""packseal as a contender: a real agent that reads the numbered samples off a stream, and a real sink."""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path

from bench import installation
from bench.peers.contender import Arrival
from bench.peers.source import DBC, PER_AH, PROFILE
from packseal.core import record
from packseal.core.bodies import Gap, GapCause, Kind, Telemetry
from packseal.core.quantities import Channel, Quantity

WINDOW_S = 1.0
NUMBER = Channel(Quantity.CHARGE_CHARGED_AH)
CONFIG = """
[gateway]
id = "{gateway}"
window_s = {window_s}
[uplink]
kind = "mqtt"
sink_key = "sink/sink.pub"
host = "127.0.0.1"
port = {port}
[[battery]]
id = "urn:packseal:battery:bench"
profile = "numbered.toml"
period_s = 0
[battery.link]
kind = "stream"
path = "{bus}"
"""


class Packseal:
    """The agent with a sealed window per second."""

    name = "packseal"

    def __init__(self) -> None:
        self._database = Path()

    async def enter(self, folder: Path, stack: AsyncExitStack) -> int:
        """Start mosquitto and a sink."""
        port = stack.enter_context(installation.operator(folder))
        (self._database,) = (folder / "sink").glob("*.db")
        return port

    def configure(self, folder: Path, port: int, bus: Path) -> Sequence[str]:
        """Write the profile and the configuration."""
        (folder / "numbered.dbc").write_text(DBC)
        (folder / "numbered.toml").write_text(PROFILE)
        places = {"gateway": installation.GATEWAY_ID, "window_s": WINDOW_S, "port": port, "bus": bus}
        (folder / "packseal.toml").write_text(CONFIG.format(**places))
        return sys.executable, "-c", installation.AGENT, "run", "--config", str(folder / "packseal.toml")

    def arrivals(self) -> list[Arrival]:
        """Unfold every telemetry record in the sink's database, in the order in which it was stored."""
        found = []
        for raw, received_ms in self._records(Kind.TELEMETRY):
            body = record.parse(raw).body
            if isinstance(body, Telemetry):
                rows = (row[1].get(NUMBER) for row in body.rows())
                found += [Arrival(round(n * PER_AH), received_ms / 1000) for n in rows if n is not None]
        return found

    def named_missing(self) -> int:
        """Return how many gap records say that the agent was killed."""
        bodies = (record.parse(raw).body for raw, _ in self._records(Kind.GAP))
        return sum(isinstance(body, Gap) and body.cause is GapCause.UNCLEAN_STOP for body in bodies)

    def _records(self, kind: Kind) -> list[tuple[bytes, int]]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            question = "SELECT raw, received_ms FROM record WHERE kind = ? ORDER BY received_ms, id"
            return connection.execute(question, (int(kind),)).fetchall()

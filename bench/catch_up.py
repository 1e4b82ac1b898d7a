"""Catching up after an outage: a real agent with a month's journal, against one message per record.

Ours is the whole: the agent's process from its start until the sink, which verifies and stores, has receipted the last
record. The peer publishes the same records one by one with QoS 1, 20 in flight, to a receiver.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import backlog
from bench.delayed import Road, road
from bench.installation import AGENT_TOML, GATEWAY_ID, PROFILE, Installation, free_port, mosquitto, operator, process
from bench.row import Effort, Gate, Row, spread
from packseal.core.errors import InputError

DAYS, QUICK_DAYS = 30, 1
ROUND_TRIP_S = 0.08
PATIENCE_S = 600.0
LOOK_S = 0.02
PEER_RECORDS, PEER_RECORDS_FAR = 5_000, 1_500
"""Enough for a steady rate: 15 s and 8 s."""

BROKER = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
"""By default mosquitto drops what is more than 1,000 messages ahead of a receiver (mosquitto.conf(5))."""

LOOPBACK_GATE, FAR_GATE = Gate(10, at_least=True), Gate(50, at_least=True)


def measure(effort: Effort) -> list[Row]:
    """Fill a journal once, then let both send it, near and far, in turns."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        template = Path(name) / "template"
        template.mkdir()
        days = effort.of(DAYS, QUICK_DAYS)
        count = backlog.fill(template, days)
        effort.tell(0.3)
        rounds = effort.of(3, 1)
        near = [_round(template, Path(name) / f"near{i}", count, 0.0, PEER_RECORDS) for i in range(rounds)]
        effort.tell(0.6)
        far = [_round(template, Path(name) / f"far{i}", count, ROUND_TRIP_S, PEER_RECORDS_FAR) for i in range(rounds)]
        plain = _peer(template, 0.0, min(PEER_RECORDS, count), "-")
    said = f"{days} days of sealed minutes, {count:,} records, agent started to last receipt"
    near_note = (
        f"{said}; the peer's receiver verifies and commits each record; one that only counts them: {plain:,.0f}/s"
    )
    far_note = f"{said}, {ROUND_TRIP_S * 1e3:.0f} ms round trip; the peer's receiver only counts"
    return [_row("catch-up", near, LOOPBACK_GATE, near_note), _row("catch-up far", far, FAR_GATE, far_note)]


def _row(name: str, rates: list[tuple[float, float]], gate: Gate, note: str) -> Row:
    ours, peer = zip(*rates, strict=True)
    ratio = spread([mine / theirs for mine, theirs in rates])
    return Row(name=name, unit="records/s", ours=spread(ours), peer=spread(peer), ratio=ratio, gate=gate, note=note)


def _round(template: Path, folder: Path, count: int, round_trip_s: float, peer_records: int) -> tuple[float, float]:
    shutil.copytree(template, folder)
    with operator(folder) as port, road(port, round_trip_s) as way:
        seconds = caught_up(folder, way, count)
    peer = _peer(template, round_trip_s, min(peer_records, count), "-" if round_trip_s else "peer.db")
    return count / seconds, peer


def caught_up(folder: Path, way: Road, count: int) -> float:
    """Start an agent with the journal in `folder` on this road; return the seconds until all is receipted.

    Raises:
        InputError: it is not done in ten minutes.
    """
    places = {"gateway": GATEWAY_ID, "folder": folder, "profile": PROFILE, "port": way.port}
    (folder / "packseal.toml").write_text(AGENT_TOML.format(window_s=60, period_s=1, **places))
    installation, began = Installation(folder), time.monotonic()
    with installation.agent():
        while time.monotonic() - began < PATIENCE_S:
            uplink = (installation.status() or {}).get("uplink") or {}
            if uplink.get("records_sent", 0) >= count and not uplink.get("records_outstanding"):
                return time.monotonic() - began
            time.sleep(LOOK_S)
    raise InputError(f"not caught up within {PATIENCE_S:g} s: {(folder / 'agent.log').read_text()[-300:]}")


def _peer(template: Path, round_trip_s: float, count: int, file: str) -> float:
    """Return the peer's records per second."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        shutil.copy(template / "gateway.pub", folder)
        port = free_port()
        (folder / "mosquitto.conf").write_text(BROKER.format(port=port))
        broker = process((mosquitto(), "-c", str(folder / "mosquitto.conf")), folder / "mosquitto.log", "running")
        with broker, road(port, round_trip_s) as way:
            target = file if file == "-" else str(folder / file)
            with _running("receive", str(port), target, str(count)) as receiver:
                if receiver.stdout is None or receiver.stdout.readline() != "ready\n":
                    raise InputError("the peer's receiver does not start")
                with _running("send", str(way.port), str(template / "journal.db"), str(count)):
                    return count / float(receiver.stdout.readline())


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.per_record", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process

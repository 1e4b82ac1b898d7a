"""Catching up after an outage: a real agent with a month's journal, against one message for each thing sent.

Ours is the whole: the agent's process from its start until the sink, which verifies and stores, has receipted the last
record. The peers publish with QoS 1, 20 in flight, to a receiver. Two of them, for "a record" has two meanings: one
signs and sends each sample, as gateways without sealed windows do; the other sends our own sealed records, a minute of
samples or a snapshot each, one by one.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import backlog
from bench.delayed import road
from bench.installation import (
    AGENT_TOML,
    GATEWAY_ID,
    PROFILE,
    Installation,
    cpu_of,
    free_port,
    mosquitto,
    operating,
    process,
)
from bench.row import Effort, Gate, Row, Spread, once, spread
from packseal.core.errors import InputError

DAYS, QUICK_DAYS = 30, 1
ROUND_TRIP_S = 0.08
PATIENCE_S = 600.0
LOOK_S = 0.02
PEER_COUNT, PEER_COUNT_FAR, QUICK_PEER_COUNT = 3_000, 1_200, 400
"""Enough for a steady rate: some eight seconds each."""

BROKER = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
"""By default mosquitto drops what is more than 1,000 messages ahead of a receiver (mosquitto.conf(5))."""

LOOPBACK_GATE, FAR_GATE, CPU_GATE = (Gate(limit, at_least=True) for limit in (10, 50, 8))


@dataclass(frozen=True, slots=True)
class Ours:
    """One run: what was sent, how long it took, CPU seconds, and bytes on the road."""

    records: int
    samples: int
    seconds: float
    agent_s: float
    sink_s: float
    up: int
    down: int


@dataclass(frozen=True, slots=True)
class Peer:
    """One run of a peer: messages a second, and CPU seconds a message of its sender and its receiver."""

    rate: float
    sender_s: float
    receiver_s: float


def measure(effort: Effort) -> list[Row]:
    """Fill a journal once, then let both send it, near and far, in turns."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        template = Path(name) / "template"
        template.mkdir()
        days = effort.of(DAYS, QUICK_DAYS)
        count = backlog.fill(template, days)
        effort.tell(0.3)
        rows = []
        for far in (False, True):
            messages = effort.of(PEER_COUNT_FAR if far else PEER_COUNT, QUICK_PEER_COUNT)
            peers = {kind: [_peer(template, kind, messages, far=far)] for kind in ("sample", "record")}
            ours = _ours(template, Path(name) / f"far{far}", days, count, far=far)
            for kind, found in peers.items():
                found.append(_peer(template, kind, messages, far=far))
            rows += _rates(ours, peers, far=far)
            rows += [] if far else _costs(ours, peers)
            effort.tell(0.95 if far else 0.65)
    return rows


def _rates(ours: Ours, peers: dict[str, list[Peer]], *, far: bool) -> list[Row]:
    where = f"at {ROUND_TRIP_S * 1e3:.0f} ms" if far else "on the loopback"
    said = (
        f"{ours.records:,} records of {ours.samples:,} samples in {ours.seconds:.0f} s, agent started to last receipt, "
        f"{ours.up / 1e6:.1f} MB up; the peer's receiver {'only counts' if far else 'verifies and commits each'}"
    )
    gate = FAR_GATE if far else LOOPBACK_GATE
    strict = "our sealed records, one message each; not gated: a record has a minute of samples or 51 readings"
    rates = (("sample", ours.samples, gate, "one signed message per sample"), ("record", ours.records, None, strict))
    return [
        _row(f"catch-up {where}, by the {kind}", f"{kind}s/s", count / ours.seconds,
             [peer.rate for peer in peers[kind]], (gated, f"{note}; {said}"))
        for kind, count, gated, note in rates
    ]  # fmt: skip


def _costs(ours: Ours, peers: dict[str, list[Peer]]) -> list[Row]:
    """Return the rows of CPU time, in which less is better."""
    rows = []
    sides: Sequence[tuple[str, float, Callable[[Peer], float]]] = (
        ("agent", ours.agent_s, lambda peer: peer.sender_s),
        ("sink", ours.sink_s, lambda peer: peer.receiver_s),
    )
    for who, taken_s, of in sides:
        for kind, count in (("sample", ours.samples), ("record", ours.records)):
            mine, theirs = taken_s / count * 1e6, spread([of(peer) * 1e6 for peer in peers[kind]])
            gate = CPU_GATE if (who, kind) == ("sink", "sample") else None
            note = "user and system, of the process; " + (
                "its start included; the peer's is that of publishing"
                if who == "agent"
                else "verified, unfolded, stored, with the readings of each snapshot; the peer's verifies and commits"
            )
            ratio = Spread(theirs.low / mine, theirs.median / mine, theirs.high / mine)
            rows.append(Row(name=f"CPU of the {who}, by the {kind}", unit="µs", ours=once(mine), peer=theirs,
                            ratio=ratio, gate=gate, note=note))  # fmt: skip
    return rows


def _row(name: str, unit: str, mine: float, theirs: list[float], judged: tuple[Gate | None, str]) -> Row:
    ratio = spread([mine / rate for rate in theirs])
    gate, note = judged
    return Row(name=name, unit=unit, ours=once(mine), peer=spread(theirs), ratio=ratio, gate=gate, note=note)


def _ours(template: Path, folder: Path, days: float, count: int, *, far: bool) -> Ours:
    """Start an agent with the journal, and return when all is receipted; raises InputError after ten minutes."""
    shutil.copytree(template, folder)
    with operating(folder) as made, road(made.port, ROUND_TRIP_S if far else 0.0) as way:
        places = {"gateway": GATEWAY_ID, "folder": folder, "profile": PROFILE, "port": way.port}
        (folder / "packseal.toml").write_text(AGENT_TOML.format(window_s=60, period_s=1, **places))
        installation, began, sink_s = Installation(folder), time.monotonic(), cpu_of(made.sink.pid)
        with installation.agent() as agent:
            while time.monotonic() - began < PATIENCE_S:
                uplink = (installation.status() or {}).get("uplink") or {}
                if uplink.get("records_sent", 0) >= count and not uplink.get("records_outstanding"):
                    seconds = time.monotonic() - began
                    cpu = cpu_of(agent.pid), cpu_of(made.sink.pid) - sink_s
                    samples = round(days * backlog.MINUTES_PER_DAY * backlog.WINDOW_S)
                    return Ours(count, samples, seconds, *cpu, way.up, way.down)
                time.sleep(LOOK_S)
    raise InputError(f"not caught up within {PATIENCE_S:g} s: {(folder / 'agent.log').read_text()[-300:]}")


def _peer(template: Path, kind: str, count: int, *, far: bool) -> Peer:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder, port = Path(name), free_port()
        (folder / "mosquitto.conf").write_text(BROKER.format(port=port))
        broker = process((mosquitto(), "-c", str(folder / "mosquitto.conf")), folder / "mosquitto.log", "running")
        with broker, road(port, ROUND_TRIP_S if far else 0.0) as way:
            target = "-" if far else str(folder / "peer.db")
            with _running("receive", kind, str(port), str(template), target, str(count)) as receiver:
                if _line(receiver) != "ready":
                    raise InputError("the peer's receiver does not start")
                with _running("send", kind, str(way.port), str(template), "-", str(count)) as sender:
                    seconds, receiver_s = map(float, _line(receiver).split())
                    return Peer(count / seconds, float(_line(sender)) / count, receiver_s / count)


def _line(running: subprocess.Popen[str]) -> str:
    return "" if running.stdout is None else running.stdout.readline().strip()


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.per_record", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process

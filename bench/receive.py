"""From the bus to decoded values at a paced 8,000 frames/s: a nearly full 1 Mbit/s bus, each receiver in its process.

Ours is the whole way to samples: SocketCAN link, decoders, sampler, driver. The peer is python-can's Notifier with a
listener that decodes with cantools and keeps nothing.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from bench import medium
from bench.row import Effort, Gate, Row, compared
from packseal.core.errors import InputError

FRAMES_PER_S = 8_000
GATE = Gate(4, at_least=True)
SETTLE_S = 0.5
OURS, PEER = "bench.receiver_ours", "bench.receiver_peer"


@dataclass(frozen=True, slots=True)
class Take:
    """What one receiver saw and spent."""

    frames: int
    cpu_s: float


def measure(effort: Effort) -> list[Row]:
    """Let both receive the same, in turns."""
    name = medium.find()
    count, rounds = FRAMES_PER_S * effort.of(3, 1), effort.of(7, 2)
    ours, peer = [], []
    for number in range(rounds):
        ours.append(_take(OURS, name, count))
        effort.tell((number + 0.5) / rounds)
        peer.append(_take(PEER, name, count))
        effort.tell((number + 1) / rounds)
    lost = [f"{who} lost {count - t.frames}" for who, takes in (("ours", ours), ("peer", peer)) for t in takes]
    lost = [text for text in lost if not text.endswith(" 0")]
    one, other, ratio = compared([t.cpu_s for t in ours], [t.cpu_s for t in peer], 1e6 / count)
    over = medium.UDP_NAME if name == medium.UDP else name
    note = (
        f"process CPU in {rounds} takes of {count} frames over {over}; ours: link, decoders, sampler, driver; "
        "peer: python-can Notifier + cantools"
    )
    return [
        Row(
            name="receive 8,000/s",
            unit="µs CPU/frame",
            ours=one,
            peer=other,
            ratio=ratio,
            gate=GATE,
            note=note,
            trouble="; ".join(lost),
        )
    ]


def _take(module: str, name: str, count: int) -> Take:
    receiver = subprocess.Popen(
        [sys.executable, "-m", module, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with receiver:
        if receiver.stdin is None or receiver.stdout is None:
            raise RuntimeError("pipes were asked for")
        port = receiver.stdout.readline().strip()
        sender = [sys.executable, "-m", "bench.sender", name, port, str(FRAMES_PER_S), str(count)]
        if not port or subprocess.run(sender, check=False).returncode:
            receiver.kill()
            raise InputError(f"python -m {module} or its sender has failed; what it said stands above")
        time.sleep(SETTLE_S)
        receiver.stdin.write("done\n")
        receiver.stdin.flush()
        told = json.loads(receiver.stdout.readline())
    return Take(told["frames"], told["cpu_s"])

"""Splice: how many damaged frames of a Bluetooth BMS are believed, and how many good ones are kept, on a lossy air.

A frame counts as damaged when any part of it that is believed differs from what the BMS said in this frame or the one
before, which ends late where its last notification was lost. A good one is one all of whose notifications came as they
were sent, in their order, with nothing between them.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bench.row import Effort, Gate, Row, once
from packseal.core.sample import NS_PER_S, LinkCounts
from packseal_drivers import profile
from packseal_drivers.ble.plausibility import Plausibility
from packseal_drivers.ble.protocols import PROTOCOLS, Framer
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.decoding.codes import MESSAGES
from packseal_drivers.framing.burst import Notification
from packseal_drivers.framing.checksums import crc16_modbus
from packseal_drivers.testing.ble_batteries import Battery, cut, daly_answer, jbd_answer, jk02_frame

FRAMES, FRAMES_QUICK = 100_000, 3_000
CHUNK_NS, FRAME_NS = 12_000_000, NS_PER_S
SEED = 20


@dataclass(frozen=True, slots=True)
class Air:
    """What may happen to a notification, each with its probability. `even`: nothing can be told by the times."""

    dropped: float = 0.05
    truncated: float = 0.0
    merged: float = 0.0
    doubled: float = 0.0
    swapped: float = 0.0
    even: bool = False


@dataclass(slots=True)
class Tally:
    """What came of the frames that were sent."""

    sent: int = 0
    good: int = 0
    kept: int = 0
    believed: int = 0
    damaged: int = 0
    checksum_only: int = 0
    """Damaged frames that a framer believes which joins bytes from marker to marker and asks the checksum alone."""


class Sent(NamedTuple):
    """One frame of a BMS. `question` opens its window; None where the BMS speaks by itself."""

    frame: bytes
    question: bytes | None


def jbd(battery: Battery) -> Iterator[Sent]:
    first, second = PROTOCOLS["jbd"].questions
    while True:
        battery.advance(1)
        yield Sent(jbd_answer(battery, 3), first)
        yield Sent(jbd_answer(battery, 4), second)


def daly(battery: Battery) -> Iterator[Sent]:
    while True:
        battery.advance(1)
        yield Sent(daly_answer(battery), PROTOCOLS["daly"].questions[0])


def jk02(battery: Battery) -> Iterator[Sent]:
    counter = 0
    while True:
        battery.advance(1)
        counter += 1
        yield Sent(jk02_frame(battery, counter), None)


BATTERIES: dict[str, tuple[str, Callable[[Battery], Iterator[Sent]]]] = {
    "jbd": ("jbd/smart_bms", jbd),
    "daly": ("daly/smart_bms", daly),
    "jk02_32s": ("jk/jk02_32s", jk02),
}


def lossy(pieces: list[bytes], air: Air, chance: random.Random) -> list[bytes]:
    """Return what of a frame's notifications arrives."""
    come: list[bytes] = []
    for piece in pieces:
        if chance.random() < air.dropped:
            continue
        whole = piece[: chance.randrange(len(piece))] if chance.random() < air.truncated else piece
        if come and chance.random() < air.merged:
            come[-1] += whole
        else:
            come.append(whole)
        if chance.random() < air.doubled:
            come.append(whole)
        if len(come) > 1 and chance.random() < air.swapped:
            come[-1], come[-2] = come[-2], come[-1]
    return come


def simulate(name: str, frames: int, size: int, air: Air, seed: int = SEED, cells: int = 16) -> Tally:
    """Send `frames` frames of a protocol in notifications of `size` bytes, and judge what is believed."""
    chance = random.Random(seed)
    protocol, (path, speak) = PROTOCOLS[name], BATTERIES[name]
    file = profile.load(path)
    assert file.profile.ble is not None
    names = tuple(message.name for message in file.profile.ble.message)
    counts = LinkCounts()
    judge = Plausibility(compile_decoders(file), names, counts, trust=protocol.trust)
    framer, tally, mono_ns = protocol.framer(), Tally(), NS_PER_S
    framer.begin()
    naive = Naive(name)
    before: dict[str, bytes] = {}
    for sent in speak(Battery(chance, [3.3 + 0.002 * i for i in range(cells)])):
        if tally.sent == frames:
            break
        tally.sent += 1
        pieces = cut(sent.frame, size)
        truth = _truth(protocol.framer(), sent.frame)
        if sent.question is not None:
            framer.asked(sent.question)
        come = lossy(pieces, air, chance)
        good = come == pieces
        tally.good += good
        for piece in come:
            mono_ns += CHUNK_NS
            tally.checksum_only += naive.feed(piece) not in (None, sent.frame)
            reading = framer.feed(Notification(protocol.notify[0], piece, mono_ns))
            if reading is None:
                continue
            believed = judge.judge(reading)
            if not believed:
                continue
            tally.believed += 1
            said = {names[frame.address - MESSAGES]: frame.data for frame in believed}
            if any(said.items() <= true.items() for true in (truth, before)):
                tally.kept += good
            else:
                tally.damaged += 1
        mono_ns += CHUNK_NS if air.even else FRAME_NS
        before = truth
    return tally


class Naive:
    """What a framer believes that joins bytes from a marker on, until there are enough, and asks the checksum alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._data = b""

    def feed(self, piece: bytes) -> bytes | None:
        """Take one notification; return the frame that it completes."""
        marker = {"jbd": b"\xdd", "daly": b"\xd2\x03"}.get(self._name, b"\x55\xaa\xeb\x90")
        self._data += piece
        if not self._data.startswith(marker):
            self._data = b""
            return None
        length = self._length()
        if length is None or len(self._data) < length:
            return None
        frame, self._data = self._data[:length], b""
        return frame if self._is_good(frame) else None

    def _length(self) -> int | None:
        data = self._data
        if self._name == "jbd":
            return 7 + data[3] if len(data) > 3 else None
        if self._name == "daly":
            return 5 + data[2] if len(data) > 2 else None
        return 300

    def _is_good(self, frame: bytes) -> bool:
        if self._name == "jbd":
            return -sum(frame[2:-3]) & 0xFFFF == int.from_bytes(frame[-3:-1], "big")
        if self._name == "daly":
            return crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little")
        return sum(frame[:-1]) & 0xFF == frame[-1]


def _truth(framer: Framer, frame: bytes) -> dict[str, bytes]:
    framer.begin(unasked=True)
    reading = framer.feed(Notification("", frame, NS_PER_S))
    assert reading is not None
    return dict(reading.parts)


def _rows(label: str, lost: Tally, worst: Tally) -> list[Row]:
    kept = once(100 * min(lost.kept / max(1, lost.good), worst.kept / max(1, worst.good)))
    return [
        Row(
            name=f"Bluetooth, damaged frames believed, {label}",
            unit=f"of {lost.sent:,}",
            ours=once(lost.damaged),
            peer=once(lost.checksum_only),
            gate=Gate(0, at_least=False),
            note="5 % of notifications dropped; peer: a framer that joins bytes and asks the checksum alone",
        ),
        Row(
            name=f"Bluetooth, the same on a worse air, {label}",
            unit=f"of {worst.sent:,}",
            ours=once(worst.damaged),
            peer=once(worst.checksum_only),
            gate=Gate(0, at_least=False),
            note="as well 2 % each cut short, run together with the next one, doubled",
        ),
        Row(
            name=f"Bluetooth, good frames kept, {label}",
            unit="%",
            ours=kept,
            gate=Gate(99, at_least=True),
            note=f"the lower of both; {lost.good:,} and {worst.good:,} came whole",
        ),
    ]


CASES = (("jk02_32s", 128), ("jk02_32s", 20), ("jbd", 20), ("daly", 20))
WORST = Air(dropped=0.05, truncated=0.02, merged=0.02, doubled=0.02)


def measure(effort: Effort) -> list[Row]:
    """Return how many damaged frames were believed (none may be), and which part of the good ones was kept."""
    frames = FRAMES_QUICK if effort.quick else FRAMES
    rows: list[Row] = []
    for number, (name, size) in enumerate(CASES):
        effort.tell(number / len(CASES))
        lost, worst = simulate(name, frames, size, Air()), simulate(name, frames, size, WORST)
        label = f"{name}, {size} bytes"
        rows += _rows(label, lost, worst)
    return rows

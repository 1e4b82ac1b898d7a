"""What is believed of frames with a weak checksum: nothing damaged, and nearly all that is good."""

import random

import pytest
from bench.splice import WORST, Air, simulate

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, Frame, LinkCounts
from packseal_drivers import profile
from packseal_drivers.ble.plausibility import Plausibility
from packseal_drivers.ble.protocols import PROTOCOLS
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.burst import Notification
from packseal_drivers.testing.ble_batteries import Battery, jk02_frame

FRAMES = 4000


class Judged:
    """JK02 frames of one battery, once a second, and what is believed of them."""

    def __init__(self, trust: str = "sum") -> None:
        file = profile.load("jk/jk02_32s")
        assert file.profile.ble is not None
        self.counts = LinkCounts()
        self.decoders: Decoders = compile_decoders(file)
        messages = tuple(message.name for message in file.profile.ble.message)
        assert trust in ("sum", "crc")
        self.judge = Plausibility(self.decoders, messages, self.counts, trust="sum" if trust == "sum" else "crc")
        self.framer = PROTOCOLS["jk02_32s"].framer()
        self.battery = Battery(random.Random(1))
        self.time_ns = 0

    def say(self, after_s: float = 1, change: bytes | None = None) -> list[Frame]:
        self.time_ns += round(after_s * NS_PER_S)
        frame = change or jk02_frame(self.battery, 1)
        reading = self.framer.feed(Notification("", frame, self.time_ns))
        return [] if reading is None else self.judge.judge(reading)

    def value(self, frames: list[Frame], quantity: Quantity) -> float:
        slots: list[float | None] = [None] * len(self.decoders.channels)
        for frame in frames:
            self.decoders.answers[frame.address - ANSWERS](frame.data, slots, lambda _slot, _flaw: None)
        value = slots[self.decoders.channels.index(Channel(quantity))]
        assert value is not None
        return value


@pytest.mark.parametrize(("name", "size"), [("jk02_32s", 128), ("jk02_32s", 20), ("jbd", 20), ("daly", 20)])
@pytest.mark.parametrize("air", [Air(), WORST, Air(even=True)], ids=["dropped", "worst", "no times"])
def test_no_damaged_frame_is_believed_and_good_ones_are_kept(name: str, size: int, air: Air) -> None:
    tally = simulate(name, FRAMES, size, air)
    assert tally.damaged == 0
    assert tally.kept >= 0.99 * tally.good
    assert tally.good > 0.15 * tally.sent


def test_the_same_air_fools_a_framer_that_asks_the_checksum_alone() -> None:
    assert simulate("jk02_32s", FRAMES, 20, Air()).checksum_only > 0


@pytest.mark.parametrize("size", [128, 20])
def test_notifications_that_change_places_are_not_believed(size: int) -> None:
    tally = simulate("jk02_32s", FRAMES, size, Air(dropped=0, swapped=0.05))
    assert tally.damaged == 0
    assert tally.kept >= 0.99 * tally.good


def test_the_first_frame_waits_for_a_second_one_unless_it_has_a_crc() -> None:
    judged = Judged()
    assert judged.say() == []
    assert judged.say()
    assert judged.counts.doubted == 1
    assert Judged("crc").say()


def test_a_true_step_costs_two_frames() -> None:
    judged = Judged()
    judged.say()
    assert judged.say()
    judged.battery.cells_v = [v - 0.6 for v in judged.battery.cells_v]
    assert judged.say() == []
    assert judged.say() == []
    frames = judged.say()
    assert judged.value(frames, Quantity.PACK_VOLTAGE_V) == pytest.approx(judged.battery.voltage_v, abs=0.01)
    assert judged.say()


def test_a_single_wild_frame_is_never_believed() -> None:
    judged = Judged()
    judged.say()
    assert judged.say()
    wild = Battery(random.Random(2), cells_v=[2.9] * 16, charge_ah=20)
    assert judged.say(change=jk02_frame(wild, 3)) == []
    assert judged.say(), "what comes after it is what came before"
    assert judged.say(change=jk02_frame(wild, 3)) == []
    assert judged.say(), "not even twice, when it is not in a row"


def test_a_bms_that_always_contradicts_itself_is_believed_from_the_fifth_frame_on() -> None:
    judged = Judged()

    def strange() -> bytes:
        judged.battery.advance(1)
        frame = bytearray(jk02_frame(judged.battery, 1))
        frame[74:76] = (3000).to_bytes(2, "little")  # a mean that is none
        frame[299] = sum(frame[:299]) & 0xFF
        return bytes(frame)

    assert [bool(judged.say(change=strange())) for _ in range(12)] == [False] * 4 + [True] * 8


def test_current_may_take_any_step() -> None:
    judged = Judged()
    judged.say()
    judged.say()
    for amps in (-150.0, 100.0, 0.0, -3.0):
        judged.battery.current_a = amps
        assert judged.say()


def test_after_a_long_pause_nothing_is_held_against_it() -> None:
    judged = Judged()
    judged.say()
    judged.say()
    judged.battery.cells_v = [v + 0.4 for v in judged.battery.cells_v]
    judged.battery.charge_ah = 270
    assert judged.say(after_s=3600) == []
    assert judged.say()


def test_cells_that_do_not_make_the_pack_wait() -> None:
    judged = Judged()
    judged.say()
    judged.say()
    frame = bytearray(jk02_frame(judged.battery, 1))
    frame[150:154] = (round(1000 * judged.battery.voltage_v) + 2500).to_bytes(4, "little")
    frame[299] = sum(frame[:299]) & 0xFF
    assert judged.say(change=bytes(frame)) == []

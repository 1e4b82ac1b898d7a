"""Doubts about a wire: a second device with the same ids, a unit that changed; never what a battery may do."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.clocks import instant
from tests.drivers.test_recordings import FOLDERS, PROFILES, frames

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Frame, LinkCounts, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.doubles import EVERY_NS, DoubleWatch
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.scale import ScaleWatch

S = 1_000_000_000
STATE = 0x355  # of pylontech/can: charge and health, each in two bytes


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    return compile_decoders(profile.load("pylontech/can"))


def state(second: float, charge: int, health: int = 98) -> Frame:
    return Frame(STATE, struct.pack("<HH", charge, health), round(second * S))


def watched(decoders: Decoders, heard: Iterable[Frame], at_once: int = 1) -> tuple[list[Notice], LinkCounts]:
    counts, notices, rows = LinkCounts(), list[Notice](), list(heard)
    watch = DoubleWatch(decoders, counts)
    for start in range(0, len(rows), at_once):
        notices += watch.feed(rows[start : start + at_once], instant(rows[start].mono_ns))
    return notices, counts


@pytest.mark.parametrize("at_once", [1, 7])
def test_two_batteries_with_the_same_ids_are_told_once(decoders: Decoders, at_once: int) -> None:
    heard = [state(second + shift, charge) for second in range(10) for shift, charge in ((0, 80), (0.4, 35))]
    notices, counts = watched(decoders, heard, at_once)
    assert [(n.code, n.attributes) for n in notices] == [(EventCode.ADDRESS_CLASH, {"address": STATE})]
    assert counts.doubles >= 1


def test_a_second_battery_that_speaks_less_often_or_comes_later_is_told_as_well(decoders: Decoders) -> None:
    slow = [state(s / 10, 35 if s % 10 == 5 else 80) for s in range(100)]
    assert len(watched(decoders, slow)[0]) == 1
    later = [state(s, 80) for s in range(30)]
    later += [state(EVERY_NS / S + s / 2, 80 if s % 2 else 35) for s in range(20)]
    assert len(watched(decoders, later)[0]) == 1


@pytest.mark.parametrize(
    "charges",
    [
        [80] * 100,
        [80, 81] * 50,  # noise of one step
        [*range(100, 0, -1)],  # however fast
        [30] * 50 + [95] * 50,  # calibrated at the end of a charge
        [30] * 20 + [95] * 20 + [30] * 20,
    ],
)
def test_what_one_battery_may_say_is_not_told(decoders: Decoders, charges: list[int]) -> None:
    notices, counts = watched(decoders, [state(i / 10, charge) for i, charge in enumerate(charges)])
    assert (notices, counts.doubles) == ([], 0)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_recording_of_one_battery_is_doubted(folder: Path) -> None:
    file = profile.load(PROFILES[folder.name])
    heard = frames((folder / "frames.log").read_text())
    notices, counts = watched(compile_decoders(file), heard)
    assert (notices, counts.doubles) == ([], 0)


@given(st.lists(st.tuples(st.sampled_from([STATE, 0x356, 0x351, 1]), st.binary(max_size=8), st.integers(0, 10**9))))
def test_no_frames_raise_anything(heard: list[tuple[int, bytes, int]]) -> None:
    notices, counts = watched(compile_decoders(profile.load("pylontech/can")), [Frame(*frame) for frame in heard])
    assert len(notices) <= 1  # all within a second, and it is told once an hour
    assert counts.doubles >= len(notices)


CELL, SOH, PACK = (Channel(q) for q in (Quantity.CELL_VOLTAGE_V, Quantity.STATE_OF_HEALTH_PCT, Quantity.PACK_VOLTAGE_V))
COUNTER = Channel(Quantity.ENERGY_CHARGED_KWH)


def scaled(channel: Channel, values: Sequence[float], step_s: float = 1) -> tuple[list[Notice], LinkCounts]:
    counts, notices = LinkCounts(), list[Notice]()
    watch = ScaleWatch(counts)
    for number, value in enumerate(values):
        notices += watch.feed(Sample(instant(round(number * step_s * S)), {channel: value}))
    return notices, counts


@pytest.mark.parametrize(
    ("channel", "before", "after", "factor"),
    [
        (CELL, 3.65, 3650.0, "1000"),
        (CELL, 3.301, 0.3302, "0.1"),
        (CELL, 3.9, 0.0039, "0.001"),
        (SOH, 97.0, 9.7, "0.1"),
        (PACK, 400.0, 4.0, "0.01"),
        (COUNTER, 5321.0, 53210.0, "10"),
    ],
)
def test_a_unit_that_changed_is_told_once(channel: Channel, before: float, after: float, factor: str) -> None:
    notices, counts = scaled(channel, [before] * 10 + [after] * 30)
    assert [(n.code, dict(n.attributes)) for n in notices] == [
        (EventCode.SCALE_CHANGED, {"quantity": channel.quantity.key, "factor": factor})
    ]
    assert counts.rescaled == 1


@pytest.mark.parametrize(
    ("channel", "values"),
    [
        (CELL, [3.6] * 5 + [36.0] + [3.6] * 20),  # a single fault
        (CELL, [4.2 - i / 10 for i in range(40)]),  # a cell that dies
        (PACK, [40.0] * 5 + [400.0] * 20),  # precharged, then closed
        (PACK, [400.0] * 5 + [400.0 * 0.7**i for i in range(20)]),  # behind contactors that open
        (COUNTER, [0.1] * 5 + [1.0] * 20),  # a young counter
        (COUNTER, [5000.0] * 5 + [0.5] * 20),  # one that begins anew
        (SOH, [97.0] * 5 + [88.0] * 20),
        (Channel(Quantity.PACK_CURRENT_A), [1.0] * 5 + [10.0] * 20 + [100.0] * 20),
        (Channel(Quantity.TEMPERATURE_C), [2.0] * 5 + [20.0] * 20),
        (Channel(Quantity.STATE_OF_CHARGE_PCT), [10.0] * 5 + [100.0] * 20),
    ],
)
def test_what_a_battery_may_do_is_not_told(channel: Channel, values: list[float]) -> None:
    notices, counts = scaled(channel, values)
    assert (notices, counts.rescaled) == ([], 0)


def test_what_happened_over_a_long_silence_is_not_told() -> None:
    assert scaled(CELL, [3.6, 36.0, 36.0, 36.0, 36.0, 36.0, 36.0], 60)[0] == []


def test_samples_pass_the_watch_with_what_is_told_after_them() -> None:
    counts = LinkCounts()
    samples = [Sample(instant(i * S), {CELL: 3.6 if i < 5 else 3600.0}) for i in range(20)]
    said = FlawWatch(counts).feed(samples)
    assert [s for s in said if isinstance(s, Sample)] == samples
    assert [n.code for n in said if isinstance(n, Notice)] == [EventCode.SCALE_CHANGED]

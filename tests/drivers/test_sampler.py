"""Frames to samples: periods, distinct times, last and mean, flaws, counts."""

import math
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.clocks import instant

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw, Frame, LinkCounts, Sample
from packseal_drivers import profile
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.sampler import Sampler

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
SOC, SOH = Channel(Quantity.STATE_OF_CHARGE_PCT), Channel(Quantity.STATE_OF_HEALTH_PCT)
MS = 1_000_000
FAR_NS = 1 << 60


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    return compile_decoders(profile.load("packseal/reference96"))


def electrical(ms: float, volts: float = 400, amperes_out: float = 0, soc: float = 50) -> Frame:
    value = round(volts * 100) | (round(amperes_out * 1000) & 0xFFFFFF) << 16 | round(soc * 100) << 40
    return Frame(0x300, value.to_bytes(8, "little"), round(ms * MS))


def sampled(decoders: Decoders, period_s: float, frames: Sequence[Frame]) -> tuple[list[Sample], LinkCounts]:
    counts = LinkCounts()
    sampler = Sampler(decoders, period_s, counts)
    samples = sampler.feed(frames, instant)
    return [*samples, *sampler.finish(FAR_NS, instant)], counts


def test_a_sample_lies_at_the_end_of_its_period_and_charging_is_positive(decoders: Decoders) -> None:
    samples, counts = sampled(decoders, 1, [electrical(1500, 400, 20), electrical(2999, 401, -30), electrical(3000)])
    assert [s.at for s in samples] == [instant(2000 * MS), instant(3000 * MS), instant(4000 * MS)]
    assert samples[0].values == {V: 400, A: -20, SOC: 50}
    assert samples[1].values[A] == 30
    assert (counts.frames, counts.samples, counts.unknown) == (3, 3, 0)


def test_a_period_keeps_the_last_or_the_mean_as_the_profile_says(decoders: Decoders) -> None:
    frames = [electrical(i, 400 + i, 10 * i, 50 + i) for i in range(4)]
    (sample,), _ = sampled(decoders, 1, frames)
    assert sample.values == {V: 401.5, A: -15, SOC: 53}


def test_a_channel_that_was_not_heard_is_absent(decoders: Decoders) -> None:
    capacity = Frame(0x302, struct.pack("<HHHBB", 5000, 1, 2, 196, 0), 1500 * MS)
    (first, second), _ = sampled(decoders, 1, [electrical(500), capacity])
    assert SOH not in first.values
    assert second.values[SOH] == 98
    assert V not in second.values


def test_nothing_heard_makes_no_sample(decoders: Decoders) -> None:
    samples, counts = sampled(decoders, 1, [Frame(0x7FF, bytes(8), 0), Frame(0x300, bytes(1), 0), electrical(5000)])
    assert len(samples) == 1
    assert (counts.unknown, counts.short, counts.frames) == (1, 1, 3)


def test_without_a_period_every_distinct_time_is_a_sample(decoders: Decoders) -> None:
    frames = [electrical(1, 400), electrical(1, 401), electrical(2, 402), electrical(9.5, 403)]
    samples, _ = sampled(decoders, 0, frames)
    assert [(s.at, s.values[V]) for s in samples] == [
        (instant(1 * MS), 400.5), (instant(2 * MS), 402), (instant(round(9.5 * MS)), 403),
    ]  # fmt: skip


def test_the_open_sample_is_complete_when_its_time_is_over(decoders: Decoders) -> None:
    sampler = Sampler(decoders, 1, LinkCounts())
    assert sampler.feed([electrical(1200)], instant) == []
    assert sampler.finish(1999 * MS, instant) == []
    assert [s.at for s in sampler.finish(2000 * MS, instant)] == [instant(2000 * MS)]
    assert sampler.finish(FAR_NS, instant) == []


def test_a_flawed_value_is_in_flaws_and_not_in_values(decoders: Decoders) -> None:
    unknown_soc = Frame(0x300, b"\xff\xff" + bytes(3) + b"\xff\x3f\x00", 0)
    (sample,), counts = sampled(decoders, 1, [unknown_soc])
    assert sample.flaws == {V: Flaw.NOT_AVAILABLE, SOC: Flaw.NOT_AVAILABLE}
    assert sample.values == {A: 0}
    assert counts.flawed == 2


def test_a_later_flaw_hides_the_last_value_but_not_the_mean(decoders: Decoders) -> None:
    bad = Frame(0x300, b"\xff\xff" + bytes(3) + b"\xff\x3f\x00", 10 * MS)
    (sample,), _ = sampled(decoders, 1, [electrical(0, 400, 0, 50), bad])
    assert sample.values == {V: 400, A: 0}
    assert sample.flaws == {SOC: Flaw.NOT_AVAILABLE}
    (sample,), counts = sampled(decoders, 1, [bad, electrical(20, 400, 0, 50)])
    assert sample.values == {V: 400, A: 0, SOC: 50}
    assert not sample.flaws
    assert counts.flawed == 2


def test_cells_of_many_frames_land_in_their_channels(decoders: Decoders) -> None:
    frames = []
    for group in range(24):
        value = group
        for k in range(4):
            value |= (6000 + 4 * group + k) << (8 + 14 * k)
        frames.append(Frame(0x310, value.to_bytes(8, "little"), group * MS))
    (sample,), _ = sampled(decoders, 1, frames)
    assert sample.values == {Channel(Quantity.CELL_VOLTAGE_V, i): (6000 + i) * 0.0005 for i in range(96)}


def test_an_unknown_multiplexer_is_counted(decoders: Decoders) -> None:
    samples, counts = sampled(decoders, 1, [Frame(0x310, b"\x18" + bytes(7), 0)])
    assert (samples, counts.unknown) == ([], 1)


@given(st.lists(st.tuples(st.integers(0, 0x7FF) | st.sampled_from([0x300, 0x301, 0x310, 0x320]), st.binary(max_size=64),
                          st.integers(0, 3000 * MS))), st.sampled_from([0, 0.1, 1]))  # fmt: skip
def test_any_frames_give_ordered_samples_of_finite_numbers(
    decoders: Decoders, frames: list[tuple[int, bytes, int]], period_s: float
) -> None:
    made = [Frame(*f) for f in sorted(frames, key=lambda f: f[2])]
    samples, counts = sampled(decoders, period_s, made)
    times = [s.at.mono_ns for s in samples]
    assert times == sorted(set(times))
    assert counts.frames == len(made)
    assert counts.samples == len(samples)
    for sample in samples:
        assert not sample.values.keys() & sample.flaws.keys()
        assert sample.values or sample.flaws
        assert all(type(v) is float and math.isfinite(v) for v in sample.values.values())


def test_the_replay_profile_is_exact_at_whole_degrees_and_has_two_patterns_for_no_value() -> None:
    replay = compile_decoders(profile.load("bmw/i3_replay"))
    temperature = Channel(Quantity.TEMPERATURE_C)
    for degrees in range(-60, 151):
        frame = Frame(0x3F1, struct.pack("<ii", degrees * 10_000, 0), 0)
        assert sampled(replay, 0, [frame])[0][0].values[temperature] == degrees
    for pattern in (0x7FFFFFFF, 0x80000000):
        frame = Frame(0x3F1, struct.pack("<Ii", pattern, -1), 0)
        assert set(sampled(replay, 0, [frame])[0][0].flaws.values()) == {Flaw.NOT_AVAILABLE, Flaw.OUT_OF_RANGE}

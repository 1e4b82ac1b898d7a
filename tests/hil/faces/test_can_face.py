"""Every shipped profile's frames, read again by the product."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers import everything
from tests.hil.faces.reading import WITH_DBC, WITH_GROUPS, face_of, fields_of, heard, range_of, step_of, values_at

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw
from packseal_hil.faces import CanFace
from packseal_hil.rig.protocols import CanFrame

REFERENCE = "packseal/reference96"
CURRENT = Channel(Quantity.PACK_CURRENT_A)
VOLTAGE = Channel(Quantity.PACK_VOLTAGE_V)
EFF = 0x8000_0000


@pytest.mark.parametrize("name", [*WITH_DBC, *WITH_GROUPS])
def test_what_is_said_is_read(name: str) -> None:
    fields = fields_of(name)
    for part in (0.0, 0.21, 0.5, 0.83, 1.0):
        values = values_at(name, part)
        said, flaws = heard(name, face_of(name).round(values))
        placeholders = {c for c, flaw in flaws.items() if flaw is Flaw.PLACEHOLDER}
        assert set(said) | placeholders == set(fields)
        for channel, value in said.items():
            # A raw integer that means "not available" is stepped around, so the neighbour's distance is added.
            tolerance = step_of(fields[channel]) * (0.501 + bool(fields[channel].sentinels))
            assert value == pytest.approx(values[channel], abs=tolerance), channel


@pytest.mark.parametrize("name", [n for n in [*WITH_DBC, *WITH_GROUPS] if CURRENT in fields_of(n)])
def test_the_sign_of_the_current(name: str) -> None:
    step = step_of(fields_of(name)[CURRENT])
    for current_a in (-73.5, -0.2, 0.0, 0.2, 41.7):
        said, flaws = heard(name, face_of(name).round({CURRENT: current_a}))
        assert CURRENT not in flaws
        assert said[CURRENT] == pytest.approx(current_a, abs=0.501 * step)
        assert abs(current_a) <= step or (said[CURRENT] > 0) is (current_a > 0)


@pytest.mark.parametrize("name", [*WITH_DBC, *WITH_GROUPS])
def test_what_is_beyond_the_range_never_comes_back_as_another_value(name: str) -> None:
    face = face_of(name)
    for channel, field in fields_of(name).items():
        low, high = range_of(field)
        for value, end in ((low - 1e9, low), (high + 1e9, high)):
            said, flaws = heard(name, face.round({channel: value}))
            if channel in said:  # the field itself ends there, or just beside a pattern that says "not available"
                reserved = len(field.sentinels)  # each takes a value off the end
                assert said[channel] == pytest.approx(end, abs=(1.001 + reserved) * step_of(field))
            else:
                assert flaws[channel] in (Flaw.OUT_OF_RANGE, Flaw.NOT_AVAILABLE, Flaw.PLACEHOLDER)


@pytest.mark.parametrize("name", [*WITH_DBC, *WITH_GROUPS])
def test_what_is_not_known_is_not_said_where_the_field_can_say_so(name: str) -> None:
    face = face_of(name)
    for message in face.messages:
        for page in message.pages:
            for channel, writer in page.fields:
                others = {c for c, _ in page.fields} - {channel}
                values = {c: v for c, v in values_at(name, 0.4).items() if c in others}
                said, _ = heard(name, page.frames(values) if others else [])
                low, high = range_of(writer.field)
                can_say = bool(writer.field.sentinels) or writer.unknown != 0
                assert channel not in said or (not can_say and low <= said[channel] <= high)
                assert set(said) <= {c for c, _ in page.fields}


def test_a_page_of_which_nothing_is_known_is_not_sent() -> None:
    face = CanFace(REFERENCE)
    assert face.round({}) == []
    assert {f.address for f in face.round({VOLTAGE: 350.0})} == {0x300}
    cell = Channel(Quantity.CELL_VOLTAGE_V, 17)
    frames = face.round({cell: 3.5})
    assert len(frames) == 1
    assert heard(REFERENCE, frames)[0] == {cell: pytest.approx(3.5, abs=0.001)}


def test_each_message_has_its_cycle_time() -> None:
    frames = face_of(REFERENCE).frames(values_at(REFERENCE, 0.5), 10.0, 11.0)
    times = {address: [at for at, f in frames if f.address == address] for address in {f.address for _, f in frames}}
    assert len(times[0x300]) == 100
    assert len(times[0x301]) == 10
    assert len(times[0x310]) == 50  # 24 pages in turn
    assert len(times[0x302]) == 1  # of the DBC's default
    assert times[0x300] == pytest.approx([10 + i / 100 for i in range(100)])
    assert len({f.data for _, f in frames if f.address == 0x310}) == 24
    assert [at for at, _ in frames] == sorted(at for at, _ in frames)


def test_without_a_cycle_in_the_dbc_the_sampling_period_counts() -> None:
    frames = CanFace("nissan/leaf_ze0").frames(values_at("nissan/leaf_ze0", 0.5), 0.0, 5.0)
    assert len(frames) == 15
    pages = CanFace("tesla/model3").frames(values_at("tesla/model3", 0.5), 0.0, 2.0)
    assert len({f.data for _, f in pages if f.address == 0x401}) == 36
    assert len([f for _, f in pages if f.address == 0x401]) == 72
    assert len(CanFace("bmw/i3_replay").frames(values_at("bmw/i3_replay", 0.5), 0.0, 3.0)) == 6


@given(st.lists(st.floats(0, 2), max_size=8))
def test_no_frame_is_lost_or_doubled_between_two_intervals(cuts: list[float]) -> None:
    face, values = face_of(REFERENCE), {VOLTAGE: 400.0, CURRENT: -3.0, Channel(Quantity.CELL_VOLTAGE_V): 3.3}
    ends = sorted([0.0, *cuts, 2.0])
    pieces = [f for a, b in itertools.pairwise(ends) for f in face.frames(values, a, b)]
    assert sorted(pieces) == sorted(face.frames(values, 0.0, 2.0))


def test_a_second_device_is_late_by_its_phase() -> None:
    values = {VOLTAGE: 400.0}
    first, second = CanFace(REFERENCE), CanFace(REFERENCE, phase_s=0.004)
    expected, late = first.frames(values, 0.0, 0.996), second.frames(values, 0.0, 1.0)
    assert [at for at, _ in late] == pytest.approx([at + 0.004 for at, _ in expected])
    assert [frame for _, frame in late] == [frame for _, frame in expected]


def test_everything_that_decoding_knows_can_be_said(tmp_path: Path) -> None:
    file = everything.write(tmp_path)
    name = str(tmp_path / "everything.toml")
    face, fields = face_of(name), fields_of(name)
    assert {len(f.data) for f in face.round(values_at(name, 0.3))} == {8, 24, 64}
    for channel, field in fields.items():
        low, high = range_of(field)
        for value in (low * 0.7 + high * 0.3, low * 0.2 + high * 0.8):
            said, flaws = heard(name, face.round({channel: value}))
            assert not flaws.get(channel), (file.profile.signal[channel.index].signal, value)
            assert said[channel] == pytest.approx(value, rel=2e-3, abs=step_of(field) * 1.501)


def test_a_frame_of_can_fd_is_filled_up_to_an_allowed_length(tmp_path: Path) -> None:
    (tmp_path / "wide.dbc").write_text(
        'VERSION ""\n\nBU_: B\n\nBO_ 2147484001 Wide: 10 B\n SG_ Volts : 64|16@1- (0.1,0) [0|0] "" B\n'
    )
    (tmp_path / "wide.toml").write_text(
        'name = "t/wide"\ntitle = "t"\nsource = "t"\ndbc = "wide.dbc"\n[[signal]]\nmessage = "Wide"\n'
        'signal = "Volts"\nquantity = "pack_voltage_v"\n'
    )
    name = str(tmp_path / "wide.toml")
    (frame,) = face_of(name).round({VOLTAGE: 12.3})
    assert (frame.address, len(frame.data)) == (EFF | 353, 12)
    assert heard(name, [frame])[0] == {VOLTAGE: pytest.approx(12.3)}


def test_a_group_longer_than_a_frame_goes_as_a_broadcast_transfer(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(
        'name = "t/long"\ntitle = "t"\nsource = "t"\n[[pgn]]\nname = "cells"\npgn = 65280\nsource = 0x17\n'
        'field = [{ quantity = "cell_voltage_v", at = 0, length = 2, count = 10, factor = 0.001 }]\n'
    )
    name = str(tmp_path / "long.toml")
    values = {Channel(Quantity.CELL_VOLTAGE_V, i): 3.0 + i / 50 for i in range(10) if i != 4}
    frames = face_of(name).round(values)
    assert frames[0] == CanFrame(EFF | 0x1CEC_FF17, bytes.fromhex("20 14 00 03 FF 00 FF 00"))
    assert [f.address for f in frames[1:]] == [EFF | 0x1CEB_FF17] * 3
    said, flaws = heard(name, frames)
    assert said == {c: pytest.approx(v, abs=0.0006) for c, v in values.items()}
    assert flaws == {Channel(Quantity.CELL_VOLTAGE_V, 4): Flaw.NOT_AVAILABLE}


def test_a_profile_that_is_only_asked_broadcasts_nothing() -> None:
    assert CanFace("hyundai/kona_uds").frames(values_at("hyundai/kona_uds", 0.5), 0, 100) == []

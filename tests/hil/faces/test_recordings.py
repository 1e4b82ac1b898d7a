"""A compressed run, read again by the product's own link to recordings."""

import asyncio
import gzip
import time
from collections.abc import Callable
from math import nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drivers import everything
from tests.hil.faces.packs import SlowPack
from tests.hil.faces.reading import WITH_DBC, WITH_GROUPS, face_of, fields_of, range_of

from packseal.core.quantities import Channel, Quantity
from packseal_drivers.framing.recorded import Recorded
from packseal_drivers.links.recording import RecordingLink
from packseal_hil.faces import CanFace
from packseal_hil.faces.columns import data_of, is_simple
from packseal_hil.faces.recordings import BEGUN_WALL_S, line_of, write_candump
from packseal_hil.rig.protocols import CanFrame, RigError

REFERENCE = "packseal/reference96"


def read(path: Path) -> list[Recorded]:
    async def all_of_it() -> list[Recorded]:
        link = RecordingLink(path)
        await link.open()
        found: list[Recorded] = []
        while not link.ended:
            found += await link.read()
        return found

    return asyncio.run(all_of_it())


@pytest.mark.parametrize("suffix", [".log", ".log.gz"])
def test_the_recording_link_reads_what_was_written(tmp_path: Path, suffix: str) -> None:
    path, face = tmp_path / f"run{suffix}", CanFace(REFERENCE)
    battery = SlowPack()
    written = write_candump(path, battery, face, 90, 0.5)
    assert battery.time_s == pytest.approx(90)
    again, expected = SlowPack(), []
    for moment in range(180):
        expected += [(moment * 500_000_000, frame) for frame in face.round(again.said())]
        again.advance(0.5)
    found = read(path)
    assert [(r.frame.mono_ns, CanFrame(r.frame.address, r.frame.data)) for r in found] == expected
    assert written == len(expected)
    assert found[0].at.wall_ns == BEGUN_WALL_S * 1_000_000_000


def test_a_channel_that_comes_later_is_written_from_then_on(tmp_path: Path) -> None:
    class Waking(SlowPack):
        def said(self) -> dict[Channel, float]:
            values = dict(super().said())
            if self.time_s < 3:
                del values[Channel(Quantity.CELL_VOLTAGE_V, 0)]
            return {c: v for c, v in values.items() if c.quantity is Quantity.CELL_VOLTAGE_V and c.index < 1}

    path = tmp_path / "run.log"
    write_candump(path, Waking(), CanFace(REFERENCE), 10, 1)
    found = read(path)
    assert len(found) == 7
    assert found[-1].frame.mono_ns == 6_000_000_000


def test_groups_and_long_frames_are_written_too(tmp_path: Path) -> None:
    everything.write(tmp_path)
    for name in ("j1939/hv_battery", str(tmp_path / "everything.toml")):
        face = CanFace(name)
        path = tmp_path / f"{len(name)}.log"
        write_candump(path, SlowPack(cells=18), face, 5, 1)
        pack, expected = SlowPack(cells=18), []
        for _ in range(5):
            expected += face.round(pack.said())
            pack.advance(1)
        assert [CanFrame(r.frame.address, r.frame.data) for r in read(path)] == expected


def test_it_takes_seconds_for_a_day(tmp_path: Path, measure: Callable[[str, float], None]) -> None:
    began_s = time.monotonic()
    frames = write_candump(tmp_path / "day.log.gz", SlowPack(cells=1), CanFace("bmw/i3_replay"), 86_400, 1)
    took_s = time.monotonic() - began_s
    assert frames == 2 * 86_400
    assert took_s < 20  # some 2 s on a machine of its own
    measure("candump_day_s", took_s)
    with gzip.open(tmp_path / "day.log.gz", "rt") as file:
        assert sum(1 for _ in file) == frames


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"cannot write .*nowhere/run\.log"):
        write_candump(tmp_path / "nowhere" / "run.log", SlowPack(), CanFace(REFERENCE), 1, 1)


def test_one_line() -> None:
    assert line_of(12.5, CanFrame(0x123, b"\x01")) == "(12.500000) can0 123#01\n"
    assert line_of(12.5, CanFrame(0x8000_0123, b"")) == "(12.500000) can0 00000123#\n"
    assert line_of(0.0, CanFrame(0x7FF, bytes(12))) == f"(0.000000) can0 7FF##1{'00' * 12}\n"


@settings(deadline=None)
@given(
    st.sampled_from([*WITH_DBC, *WITH_GROUPS]), st.lists(st.floats(-0.3, 1.3) | st.just(nan), min_size=1, max_size=4)
)
def test_columns_say_the_same_as_frames_one_by_one(name: str, parts: list[float]) -> None:
    fields = fields_of(name)
    columns = {}
    for number, (channel, field) in enumerate(fields.items()):
        low, high = range_of(field)
        if number % 7 != 3:  # some are not known at all
            columns[channel] = np.array([low + part * (high - low) for part in parts])
    for page in (page for message in face_of(name).messages for page in message.pages if is_simple(page)):
        data = data_of(page, columns, len(parts))
        for moment in range(len(parts)):
            values = {channel: float(column[moment]) for channel, column in columns.items()}
            assert data[moment].tobytes() == page.frames(values)[0].data

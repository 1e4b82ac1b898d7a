"""The library aiobmsble as a driver: where it is installed, over a radio in this process; where not, one clear line."""

import asyncio
import random
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.aiobmsble_library import NEEDED
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral, Radio

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.framing.burst import Notification
from packseal_drivers.framing.foreign import ForeignFramer, packed
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Ble
from packseal_drivers.testing.ble_batteries import Battery, cut, daly_answer, jbd_answer, jk02_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS = "A4:C1:38:00:00:01"  # its beginning is one by which the library knows JBD


def opened(settings: Ble, directory: Path, name: str = "aiobmsble/any") -> Driver:
    text = profile.load(name).text.decode().replace("poll_s = 5", "poll_s = 0.2")
    (directory / "any.toml").write_text(text)
    file = profile.load("any.toml", directory)
    return open_driver(settings, file, directory=directory, cache=None, clock=SystemClock(), period_s=0)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "aiobmsble"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiobmsble", None)
    with pytest.raises(ConfigError, match=r"needs Python 3.12 or newer .* pip install 'packseal\[ble-bms\]'"):
        opened(Ble(address=ADDRESS), tmp_path)


@NEEDED
def test_a_type_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="type other_bms is none of aiobmsble's"):
        opened(Ble(address=ADDRESS, type="other_bms"), tmp_path)


@NEEDED
@pytest.mark.filterwarnings("ignore")  # of the library's own dependencies
@pytest.mark.parametrize("kind", [None, "jbd_bms"])
def test_a_battery_is_recognised_and_read(tmp_path: Path, kind: str | None) -> None:
    async def go() -> None:
        radio = Radio()
        await radio.start()
        battery = Battery(random.Random(1), current_a=-12.5)
        peripheral = Peripheral(radio, ADDRESS, "JBD-1", "FF00", "FF01", "FF02")
        peripheral.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
        await peripheral.start()
        driver = opened(Ble(address=ADDRESS, type=kind), tmp_path)
        with installed(radio):
            async with asyncio.timeout(30), aclosing(driver.batches()) as batches:
                sample = await anext(item async for batch in batches for item in batch if isinstance(item, Sample))
        assert sample.values[Channel(Quantity.PACK_CURRENT_A)] == -12.5
        assert sample.values[Channel(Quantity.PACK_VOLTAGE_V)] == pytest.approx(battery.voltage_v, abs=0.006)
        assert sample.values[Channel(Quantity.CELL_VOLTAGE_V, 15)] == pytest.approx(battery.cells_v[15], abs=0.001)
        assert sample.values[Channel(Quantity.TEMPERATURE_C, 1)] == pytest.approx(22.0, abs=0.11)
        assert sample.values[Channel(Quantity.CYCLES)] == 41
        assert Channel(Quantity.ENERGY_REMAINING_KWH) not in sample.values, "that would be the library's own sum"
        assert driver.counts.doubted > 0, "what it says is held against what it said before, as our own is"

    asyncio.run(go())


def jk_peripheral(radio: Radio, battery: Battery) -> Peripheral:
    """A JK that also says what it is: firmware 11.48, which the library takes for the layout with 32 places."""
    info = bytearray(300)
    info[:6] = b"\x55\xaa\xeb\x90\x03\x01"
    info[30:35] = b"11.48"
    info[299] = sum(info) & 0xFF
    ready = b"\xaa\x55\x90\xeb\xc8\x01\x01" + bytes(12) + b"\x44"
    made = Peripheral(radio, ADDRESS, "JK-1", "FFE0", "FFE1", "FFE1")
    made.answer = lambda question: (
        [*cut(bytes(info), 128), ready] if question[4] == 0x97 else cut(jk02_frame(battery, 1), 128)
    )
    return made


def daly_peripheral(radio: Radio, battery: Battery) -> Peripheral:
    made = Peripheral(radio, ADDRESS, "DL-1", "FFF0", "FFF1", "FFF2")
    made.answer = lambda question: [daly_answer(battery)] if question[4:6] == b"\x00\x3e" else []
    return made


def jbd_peripheral(radio: Radio, battery: Battery) -> Peripheral:
    made = Peripheral(radio, ADDRESS, "JBD-1", "FF00", "FF01", "FF02")
    made.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
    return made


def jbd_in_tenths_peripheral(radio: Radio, battery: Battery) -> Peripheral:
    """A large JBD, which counts current and charge in tenths."""
    small = replace(battery, current_a=battery.current_a / 10, charge_ah=battery.charge_ah / 10)

    def answer(question: bytes) -> list[bytes]:
        frame = jbd_answer(small, question[2])
        if question[2] == 3:
            covered = bytes((0, len(frame) - 6)) + frame[4:-3] + b"\x88"
            frame = b"\xdd\x03" + covered + (-sum(covered) & 0xFFFF).to_bytes(2, "big") + b"\x77"
        return cut(frame, 20)

    made = Peripheral(radio, ADDRESS, "JBD-1", "FF00", "FF01", "FF02")
    made.answer = answer
    return made


async def first(driver: Driver, wanted: set[Channel]) -> dict[Channel, float]:
    """Return what a driver says first of some channels."""
    told: dict[Channel, float] = {}
    async with asyncio.timeout(60), aclosing(driver.batches()) as batches:
        async for batch in batches:
            for item in batch:
                if isinstance(item, Sample):
                    told |= item.values
            if wanted <= told.keys():
                return told
    raise AssertionError("a driver has ended")


@NEEDED
@pytest.mark.filterwarnings("ignore")  # of the library's own dependencies
@pytest.mark.parametrize(
    ("name", "kind", "make"),
    [
        ("jbd/smart_bms", "jbd_bms", jbd_peripheral),
        ("jbd/smart_bms", "jbd_bms", jbd_in_tenths_peripheral),
        ("daly/smart_bms", "daly_bms", daly_peripheral),
        ("jk/jk02_32s", "jikong_bms", jk_peripheral),
    ],
)
@pytest.mark.parametrize("current_a", [-12.5, 8.0])
def test_our_own_reading_is_the_librarys(tmp_path: Path, name: str, kind: str, make: Any, current_a: float) -> None:
    async def go() -> None:
        radio = Radio()
        await radio.start()
        battery = Battery(random.Random(1), current_a=current_a)
        await make(radio, battery).start()
        own = open_driver(
            Ble(address=ADDRESS), profile.load(name), directory=tmp_path, cache=None, clock=SystemClock(), period_s=0
        )
        wanted = {Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.CELL_VOLTAGE_V, 15)}
        with installed(radio):
            ours = await first(own, wanted)
            theirs = await first(opened(Ble(address=ADDRESS, type=kind), tmp_path), wanted)
        same = ours.keys() & theirs.keys()
        assert {c.quantity for c in same} >= {
            Quantity.PACK_VOLTAGE_V,
            Quantity.PACK_CURRENT_A,
            Quantity.STATE_OF_CHARGE_PCT,
            Quantity.REMAINING_CHARGE_AH,
            Quantity.CYCLES,
            Quantity.CELL_VOLTAGE_V,
            Quantity.TEMPERATURE_C,
        } - ({Quantity.TEMPERATURE_C} if kind == "jikong_bms" else set())
        assert ours[Channel(Quantity.PACK_CURRENT_A)] == pytest.approx(current_a)
        for channel in same:
            assert ours[channel] == pytest.approx(theirs[channel], rel=1e-6, abs=0.11), channel
            if channel.quantity is not Quantity.TEMPERATURE_C:
                assert ours[channel] == pytest.approx(theirs[channel], rel=1e-9), channel

    asyncio.run(go())


def test_samples_are_packed_and_read_back() -> None:
    sample: Mapping[str, Any] = {
        "voltage": 52.8,
        "current": -3.25,
        "battery_level": 64,
        "cell_voltages": [3.3, 3.301],
        "temp_values": [21.5],
        "problem": False,
        "cycles": float("nan"),
    }
    reading = ForeignFramer().feed(Notification("", packed(sample), 0))
    assert reading is not None
    assert [name for name, _ in reading.parts] == [
        "voltage",
        "current",
        "battery_level",
        "cell_voltages",
        "temperatures",
    ]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    framer = ForeignFramer()
    assert framer.feed(Notification("", data, 0)) is not None or framer.cut == 1

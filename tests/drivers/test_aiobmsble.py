"""The library aiobmsble as a driver: where it is installed, over a radio in this process; where not, one clear line."""

import asyncio
import importlib.util
import random
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.bluetooth import Peripheral, Radio, installed

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
from packseal_drivers.testing.ble_batteries import Battery, cut, jbd_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS = "A4:C1:38:00:00:01"  # its beginning is one by which the library knows JBD
NEEDED = pytest.mark.skipif(
    importlib.util.find_spec("aiobmsble") is None,
    reason="aiobmsble is not installed: pip install 'aiobmsble>=0.31,<0.32' into a Python 3.12 or newer",
)


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

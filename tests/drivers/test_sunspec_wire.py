"""SunSpec over a real connection: a bank, and one whose chain of models lies."""

from pathlib import Path
from typing import Any

import pytest
from tests.drivers.modbus_devices import HOST, Device, tcp_server
from tests.drivers.modbus_listening import Listening, run
from tests.drivers.sunspec_devices import bank

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal_drivers.profile import load
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Modbus


def test_sunspec_over_the_wire(tmp_path: Path) -> None:
    async def body() -> None:
        far = Device(holding=bank())
        async with tcp_server(far) as port:
            file = load("sunspec/bank")
            driver = open_driver(
                Modbus(host=HOST, port=port),
                file, directory=tmp_path, cache=None, clock=SystemClock(), period_s=0.1,
            )  # fmt: skip
            async with Listening(driver) as heard:
                await heard.until(lambda: len(heard.samples) > 4)
        assert heard.samples[0].values[Channel(Quantity.PACK_CURRENT_A)] == pytest.approx(12.3)
        assert heard.samples[0].values[Channel(Quantity.CELL_VOLTAGE_V, 4)] == pytest.approx(3.321)
        polled = [read for read in set(far.asked) if far.asked.count(read) > 1]
        assert len(polled) == 4, "all the models of this bank come with four requests"
        assert max(count for _, _, count in far.asked) <= 120

    run(body)


def test_sunspec_that_lies_is_counted_and_what_it_has_is_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        words = bank()
        at = next(a for a in sorted(words) if words[a] == 803) + 2
        words[at] = 900  # strings, of which it has room for two
        del words[max(words)], words[max(words)]  # and the chain has no end mark
        async with tcp_server(Device(holding=words)) as port:
            driver: Any = open_driver(
                Modbus(host=HOST, port=port),
                load("sunspec/bank"), directory=tmp_path, cache=None, clock=SystemClock(), period_s=0.1,
            )  # fmt: skip
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.samples))
        assert "the chain of models breaks off" in driver.trouble
        assert driver.counts.cut == 2
        assert Channel(Quantity.TEMPERATURE_C, 1) in heard.samples[0].values
        assert Channel(Quantity.TEMPERATURE_C, 2) not in heard.samples[0].values

    run(body)

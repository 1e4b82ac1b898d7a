"""Polling where control units or adapters do wrong: silence, clashes, transfers without an end, pulled plugs."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import can
from tests.drivers.asked_bus import CELL_CHANNELS, A, Said, V, Wire, codes, driver_of, electrical, heard, values
from tests.drivers.ecus import (
    ANSWER,
    CELLS,
    CURRENT,
    SIGNAL,
    TO,
    SimulatedEcu,
    write,
)

from packseal.clock import SystemClock
from packseal.core.errors import LinkError
from packseal.core.sample import EventCode, LinkState, Notice, Sample
from packseal_drivers.guard import Permitted
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan


def test_a_silent_control_unit_is_told_of_and_so_is_its_return(virtual: Wire, tmp_path: Path) -> None:
    driver, far = driver_of(virtual, write(tmp_path, SIGNAL, CURRENT)), virtual.join()
    asleep = [True]
    with SimulatedEcu(virtual.join(), {b"\x01\x01": lambda: None if asleep[0] else b"\x00\x0a"}):

        def awake(said: Said) -> object:
            if EventCode.ECU_SILENT in codes(said):
                asleep[0] = False
            return values(said, A)

        said = heard(driver, awake, lambda: far.send(electrical(400)))
    told = [n for n in said if isinstance(n, Notice)]
    assert [(n.code, n.attributes) for n in told] == [(EventCode.ECU_SILENT, {"answer_id": ANSWER})]
    assert driver.counts.unanswered >= 3
    assert driver.counts.state is LinkState.HEALTHY  # the bus itself never was silent


def test_a_bus_whose_answers_stop_is_silent(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CURRENT, silent_after_s=0.4))
    given = [3]

    def some() -> bytes | None:
        given[0] -= 1
        return b"\x00\x0a" if given[0] >= 0 else None

    with SimulatedEcu(virtual.join(), {b"\x01\x01": some}):
        said = heard(driver, lambda s: EventCode.BUS_SILENT in codes(s))
    assert len(values(said, A)) == 3
    assert driver.counts.state is LinkState.SILENT


def test_a_second_control_unit_with_the_same_ids_is_flagged(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CURRENT))
    first = SimulatedEcu(virtual.join(), {b"\x01\x01": b"\x00\x0a"})
    with first, SimulatedEcu(virtual.join(), {b"\x01\x01": b"\x00\x14"}):
        said = heard(driver, lambda s: EventCode.ADDRESS_CLASH in codes(s))
    assert EventCode.ADDRESS_CLASH in codes(said)
    assert driver.counts.unexpected >= 1


def test_two_long_answers_at_once_are_never_mixed(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CELLS))
    ones, twos = b"\xaa" * 64, b"\xbb" * 64
    first = SimulatedEcu(virtual.join(), {b"\x01\x02": ones})
    with first, SimulatedEcu(virtual.join(), {b"\x01\x02": twos}):
        said = heard(driver, lambda s: EventCode.ADDRESS_CLASH in codes(s))
    for sample in said:
        if isinstance(sample, Sample):
            assert len({v for c, v in sample.values.items() if c in CELL_CHANNELS}) == 1


def test_a_transfer_without_an_end_is_cut_off(virtual: Wire, tmp_path: Path) -> None:
    driver, far = driver_of(virtual, write(tmp_path, CELLS)), virtual.join()

    def begin() -> None:
        while message := far.recv(0):
            if message.arbitration_id == TO and message.data[0] == 3:
                data = bytes.fromhex("10 43 62 01 02 AA AA AA")
                far.send(can.Message(arbitration_id=ANSWER, data=data, is_extended_id=False))

    async def run() -> None:
        async with aclosing(driver.batches()) as batches, asyncio.timeout(20):
            waiting = asyncio.ensure_future(anext(batches))
            while not driver.counts.cut:
                begin()
                await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())
    assert (driver.counts.answers, driver.counts.cut) == (0, 1)


def test_an_adapter_that_comes_back_is_asked_again(virtual: Wire, tmp_path: Path) -> None:
    driver: Any = driver_of(virtual, write(tmp_path, CURRENT))
    pulled = [False]

    def pull() -> None:
        if driver.counts.answers and not pulled[0]:
            pulled[0] = True
            driver._link._bus.shutdown()

    with SimulatedEcu(virtual.join(), {b"\x01\x01": b"\x00\x0a"}):
        said = heard(driver, lambda s: EventCode.BUS_RECOVERED in codes(s), pull)
    assert codes(said) == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]


def test_what_cannot_be_sent_is_counted_and_what_was_heard_is_kept(virtual: Wire, tmp_path: Path) -> None:
    driver, far = driver_of(virtual, write(tmp_path, SIGNAL, CURRENT)), virtual.join()
    link: Any = driver._link  # type: ignore[attr-defined]
    passes = iter([False])

    def send(_: Permitted) -> bool:
        for passed in passes:
            return passed
        raise LinkError("CAN interface can0 is down")

    link.send = send
    said = heard(driver, lambda _: driver.counts.unsent >= 2, lambda: far.send(electrical(398.5)))
    assert set(values(said, V)) == {398.5}
    assert driver.counts.unsent == driver.counts.requests >= 2


def test_a_bus_that_only_answers_is_silent_after_three_missed_answers_and_no_sooner(tmp_path: Path) -> None:
    asked = CURRENT.replace("period_s = 0.1", "period_s = 10")
    for tables, silent_ns in (((asked,), 30 * 10**9), ((SIGNAL, asked), 5 * 10**9)):
        settings = PythonCan("virtual", "never opened")
        driver: Any = open_driver(settings, write(tmp_path, *tables), directory=Path(), cache=None, clock=SystemClock())
        assert driver._health._silent_ns == silent_ns

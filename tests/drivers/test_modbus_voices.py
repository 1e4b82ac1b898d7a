"""Two devices with one unit id, and one that answers for another unit: told, counted, and no value of them believed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.drivers.modbus_devices import HOST
from tests.drivers.modbus_listening import Listening, opened
from tests.drivers.modbus_peer import rtu

from packseal.core.sample import EventCode, LinkState
from packseal_drivers.profile import load

PROFILE = """
name = "own/one"
title = "t"
source = "s"
[sampling]
period_s = {period_s}
silent_after_s = 2
[[register]]
address = 0
quantity = "state_of_charge_pct"
"""
UNIT, OTHER_UNIT = 1, 2
OURS, THEIRS = 70, 40
LATE_S, PERIOD_S = 0.002, 0.1
Says = Callable[[int], list[bytes]]
"""From the number of a question to the answers that it gets, one behind the other."""


def answer(value: int, unit: int = UNIT) -> bytes:
    return rtu(bytes((unit, 3, 2, 0, value)))


class Line:
    """A serial line behind a gateway that passes frames on, and whoever answers on it."""

    def __init__(self, says: Says, late_s: float) -> None:
        self.says = says
        self.late_s = late_s
        self.asked = 0

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(300):
                self.asked += 1
                for said in self.says(self.asked):
                    writer.write(said)
                    await writer.drain()
                    await asyncio.sleep(self.late_s)
        writer.close()

    def close(self) -> None:
        self._server.close()


def listen(
    tmp_path: Path,
    says: Says,
    enough: Callable[[Listening, Line], bool],
    late_s: float = LATE_S,
    period_s: float = PERIOD_S,
) -> Listening:
    async def body() -> Listening:
        line = Line(says, late_s)
        port = await line.open()
        file = tmp_path / "one.toml"
        file.write_text(PROFILE.format(period_s=period_s))
        profile, transport = load(str(file)), "rtu_over_tcp"
        driver = opened(tmp_path, profile, transport=transport, host=HOST, port=port, unit=UNIT, timeout_s=0.3)
        try:
            async with Listening(driver) as heard:
                await heard.until(lambda: enough(heard, line))
        finally:
            line.close()
        return heard

    return asyncio.run(asyncio.wait_for(body(), 60))


def values(heard: Listening) -> set[float]:
    return {value for sample in heard.samples for value in sample.values.values()}


def test_two_devices_of_one_unit_are_told_once_and_neither_is_believed(tmp_path: Path) -> None:
    def says(number: int) -> list[bytes]:
        pair = [answer(OURS), answer(THEIRS)]
        return pair if number % 2 else pair[::-1]

    heard = listen(tmp_path, says, lambda _, line: line.asked > 12)
    assert heard.codes() == [EventCode.ADDRESS_CLASH]
    assert [n.attributes for n in heard.notices] == [{"unit": UNIT}]
    # On a busy machine the second answer may come after the wait for it: then the next question catches it.
    assert len(heard.samples) <= 1
    assert heard.driver.counts.doubles > 2
    assert heard.driver.counts.doubted > 2
    assert heard.driver.counts.state is LinkState.HEALTHY, "somebody answers: it is not silent"


def test_a_second_answer_that_comes_late_spares_no_sample(tmp_path: Path) -> None:
    heard = listen(
        tmp_path, lambda _: [answer(THEIRS), answer(OURS)], lambda _, line: line.asked > 3, late_s=0.05, period_s=1.0
    )
    assert not heard.samples, "not even the first one, which is the other device's"
    assert heard.codes() == [EventCode.ADDRESS_CLASH]


def test_when_the_second_device_is_gone_the_values_are_believed_again(tmp_path: Path) -> None:
    def says(number: int) -> list[bytes]:
        return [answer(OURS), answer(THEIRS)] if number < 5 else [answer(OURS)]

    heard = listen(tmp_path, says, lambda heard, _: len(heard.samples) > 3)
    assert heard.codes() == [EventCode.ADDRESS_CLASH]
    assert values(heard) == {OURS}


def test_one_second_answer_costs_some_samples_and_is_not_told(tmp_path: Path) -> None:
    def says(number: int) -> list[bytes]:
        return [answer(OURS)] * 2 if number == 3 else [answer(OURS)]

    heard = listen(tmp_path, says, lambda heard, _: len(heard.samples) > 4)
    assert not heard.codes()
    assert heard.driver.counts.doubles == 1
    assert heard.driver.counts.doubted == 5


def test_a_device_that_answers_for_another_unit_is_counted_and_not_believed(tmp_path: Path) -> None:
    def says(number: int) -> list[bytes]:
        return [answer(THEIRS, OTHER_UNIT)] if number > 2 else [answer(OURS)]

    heard = listen(tmp_path, says, lambda heard, _: EventCode.BUS_SILENT in heard.codes())
    assert values(heard) == {OURS}
    assert heard.driver.counts.unexpected > 0
    assert heard.driver.counts.unanswered == heard.driver.counts.unexpected


def test_another_unit_s_answer_before_ours_does_not_make_ours_a_second_one(tmp_path: Path) -> None:
    heard = listen(
        tmp_path, lambda _: [answer(THEIRS, OTHER_UNIT), answer(OURS)], lambda heard, _: len(heard.samples) > 3
    )
    assert values(heard) == {OURS}
    assert not heard.codes()
    assert heard.driver.counts.doubles == 0

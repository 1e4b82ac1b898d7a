"""Several batteries behind one Modbus connection: they share it, and a dead one holds up no other."""

import asyncio
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from tests.drivers.modbus_devices import HOST, tcp_server
from tests.drivers.modbus_listening import Listening, device, opened, run, write

from packseal.core.errors import ConfigError
from packseal.core.sample import EventCode


def test_a_dead_unit_costs_the_others_its_time_out_now_and_then_and_nothing_else(tmp_path: Path) -> None:
    async def body() -> None:
        async with tcp_server(device(1), device(2)) as port:
            file = write(tmp_path)
            drivers = [opened(tmp_path, file, host=HOST, port=port, unit=unit, timeout_s=0.3) for unit in (1, 2, 9)]
            async with Listening(drivers[0]) as first, Listening(drivers[1]) as second, Listening(drivers[2]) as dead:
                await first.until(lambda: len(first.samples) >= 40 and EventCode.BUS_SILENT in dead.codes())
                await second.until(lambda: len(second.samples) >= 40)
            for heard in (first, second):
                times = [sample.at.mono_ns / 1e9 for sample in heard.samples]
                assert max(b - a for a, b in pairwise(times)) < 4 * (0.3 + 0.1)
                assert heard.driver.counts.unanswered == 0
                assert not heard.codes()
            assert dead.codes() == [EventCode.BUS_SILENT]
            assert 1 <= drivers[2].counts.unanswered <= 5, "it is asked less and less often"

    run(body)


def test_the_batteries_behind_one_address_share_one_connection(tmp_path: Path) -> None:
    async def body() -> None:
        connections = 0

        async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            with suppress(ConnectionError):
                await asyncio.sleep(1)
            writer.close()

        server = await asyncio.start_server(count, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        file = write(tmp_path)
        drivers = [opened(tmp_path, file, host=HOST, port=port, unit=unit, timeout_s=0.2) for unit in range(1, 6)]
        listening = [Listening(driver) for driver in drivers]
        for heard in listening:
            await heard.__aenter__()
        await listening[0].until(lambda: all(d.counts.requests for d in drivers[:3]))
        for heard in listening:
            await heard.__aexit__()
        assert connections == 1
        server.close()

    run(body)


def test_who_describes_one_connection_in_two_ways_is_told_so(tmp_path: Path) -> None:
    file = write(tmp_path)
    first = opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=1, baud=9600)
    with pytest.raises(ConfigError, match="two batteries behind serial line /dev/ttyX must describe it alike"):
        opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=2, baud=19200)
    assert (
        opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=2, baud=9600, timeout_s=3.0).name == first.name
    )

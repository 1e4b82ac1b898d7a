"""Two devices with one key at one broker: neither ends the other's connection, and both histories come to the sink."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.agent.uplink.servers import broker, listening
from tests.end_to_end.stations import Bus
from tests.end_to_end.test_epochs import (
    LIFE,
    RECORDS_PER_S,
    Place,
    agent,
    batteries,
    begun_anew,
    check_nothing_twice,
    delivered_beyond,
    ended_of,
    live,
    logs_of,
    place,
    sink,
    until,
)

pytestmark = pytest.mark.timeout(150)


def over_mqtt(where: Place, port: int) -> Sequence[Path]:
    """Have the sink and two gateways of one key use the broker."""
    with (where.folder / "sink" / "sink.toml").open("a") as settings:
        settings.write(f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')
    folders = [where.gateway(name) for name in ("one", "two")]
    for folder in folders:
        path, url = folder / "packseal.toml", f'kind = "https"\nurl = "http://127.0.0.1:{where.port}"'
        text = path.read_text()
        assert url in text
        path.write_text(text.replace(url, f'kind = "mqtt"\nhost = "127.0.0.1"\nport = {port}'))
    return folders


async def play(where: Place, one: Path, two: Path) -> None:
    """Let the first live, copy its journal to the second, and let both go on."""
    async with AsyncExitStack() as stack:
        operator, first, second = sink(where), agent(one), agent(two)
        for program in (operator, first, second):
            stack.push_async_callback(program.stop)
        await operator.start()
        for folder in (one, two):
            await stack.enter_async_context(Bus(folder, RECORDS_PER_S))
        await live(first, delivered_beyond(one, LIFE))
        shutil.copy(one / "journal.db", two / "journal.db")
        await asyncio.gather(first.start(), second.start())
        await until(lambda: begun_anew(one)() or begun_anew(two)(), first.output)
        await asyncio.gather(*(until(delivered_beyond(folder, 2 * LIFE), first.output) for folder in (one, two)))
        for program in (first, second):
            assert await program.stop() == 0, program.output.read_text()


def of_live_logs(folder: Path, logs: Mapping[bytes, Sequence[bytes]]) -> Mapping[bytes, Sequence[bytes]]:
    """Return those of the gateway's logs that it has not ended."""
    over = {ended.log_id for ended in ended_of(folder)}
    return {log_id: logs[log_id] for log_id in logs_of(folder) if log_id not in over}


def test_two_devices_at_one_broker_end_up_in_a_log_each(tmp_path: Path) -> None:
    where = place(tmp_path)
    with broker(tmp_path, None, extra=("log_type all",)) as port:
        one, two = over_mqtt(where, port)
        asyncio.run(listening("127.0.0.1", port))
        asyncio.run(play(where, one, two))
    stored = where.stored()
    for folder in (one, two):
        assert of_live_logs(folder, stored) == of_live_logs(folder, logs_of(folder))
    assert batteries(one)[-1] != batteries(two)[-1]
    assert len(stored) == 4
    check_nothing_twice(stored)
    assert where.refused() & {"refused.fork", "refused.rollback"}
    assert "already connected" not in (tmp_path / "mosquitto.log").read_text()

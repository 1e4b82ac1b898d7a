"""Bytes on the air, per battery and month: what one gateway sends and gets while all is well, minute by minute.

The engine that the agent runs sends each minute's records as they are sealed, over a road that counts, to a real broker
and a real sink: four quantities a second, windows of 60 s. Counted is what TCP carries on an open connection, both
ways. Not counted: the headers of TCP and IP (40 bytes a packet over IPv4), TLS (22 bytes a record, RFC 8446 §5.2 with
AES-GCM), opening the connection, and MQTT's pings (2 bytes each way every 15 s, 0.7 MB a month). docs/uplinks.md has
what these come to.
"""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from bench import backlog
from bench.delayed import Road, road
from bench.installation import GATEWAY_ID, Operator, operating
from bench.row import Effort, Row, once
from packseal.core.cose import public_key_from_pem
from packseal.core.errors import InputError
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal.uplink.https import HttpsUplink
from packseal.uplink.link import Link, Policy
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.protocol import Uplink
from packseal.uplink.sync import Sync
from packseal.uplink.terms import Carries

T = TypeVar("T")
Uplinks = Mapping[str, Callable[[int], Uplink]]

MINUTES_PER_MONTH = 43_200
BEFORE = 3
"""What is sent before the counting begins: the log's first record and two minutes."""
PATIENCE_S = 20.0
LOOK_S = 0.005
UPLINKS: Uplinks = {
    "MQTT": lambda port: MqttUplink(MqttSettings("127.0.0.1", port), GATEWAY_ID),
    "HTTPS": lambda port: HttpsUplink(f"http://127.0.0.1:{port}"),
}
CASES = {"snapshots only": Carries.SNAPSHOTS, "1 Hz": Carries.EVERYTHING}


def measure(effort: Effort) -> list[Row]:
    """Send some minutes over each uplink."""
    count, rows = effort.of(60, 10), []
    for number, (uplink, make) in enumerate(UPLINKS.items()):
        for case, carries in CASES.items():
            up, down = _sent(uplink, make, Policy(carries=carries), count)
            note = f"{up:,.1f} MB up, {down:,.1f} MB down: {count} minutes, one by one, times {43_200 / count:g}"
            rows.append(Row(name=f"air, {uplink}, {case}", unit="MB/month", ours=once(up + down), note=note))
        effort.tell((number + 1) / len(UPLINKS))
    return rows


def _sent(name: str, make: Callable[[int], Uplink], policy: Policy, count: int) -> tuple[float, float]:
    """Return the MB of a month, up and down."""
    with _place(name) as (folder, way):
        signer = key_file.load(folder / "gateway.key")
        sealed = backlog.minutes(signer, count + BEFORE)

        async def scenario() -> tuple[int, int]:
            with Journal.open(folder / "journal.db") as journal:
                journal.begin_log(backlog.SUBJECT, backlog.LOG_ID)
                async with _syncing(folder, journal, make(way.port), policy) as sync:
                    counted = []
                    for minute in itertools.islice(sealed, count + BEFORE):
                        before = sync.status.records_sent
                        journal.append(backlog.LOG_ID, minute.records, minute.state)
                        sync.notify()
                        await _settled(sync, journal, before)
                        counted.append((way.up, way.down))
                    return counted[-1][0] - counted[BEFORE - 1][0], counted[-1][1] - counted[BEFORE - 1][1]

        up, down = asyncio.run(scenario())
        return up * MINUTES_PER_MONTH / count / 1e6, down * MINUTES_PER_MONTH / count / 1e6


@contextmanager
def _place(uplink: str) -> Iterator[tuple[Path, Road]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd())))
        far: Operator = stack.enter_context(operating(folder))
        yield folder, stack.enter_context(road(far.port if uplink == "MQTT" else far.http_port, 0.0))


@asynccontextmanager
async def _syncing(folder: Path, journal: Journal, uplink: Uplink, policy: Policy) -> AsyncIterator[Sync]:
    async def run(work: Callable[[], T], /) -> T:
        return work()

    key = public_key_from_pem((folder / "sink" / "sink.pub").read_bytes())
    sync = Sync(journal, [Link("air", uplink, policy)], key, run)
    running = asyncio.create_task(sync.run())
    try:
        yield sync
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _settled(sync: Sync, journal: Journal, sent_before: int) -> None:
    """Wait until all that may go has gone and is answered."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while journal.delivered(backlog.LOG_ID) < journal.head(backlog.LOG_ID).next_sequence:
                if sync.settled and sync.status.records_sent > sent_before:
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise InputError(f"a minute's records are not taken: {sync.status.last_error or 'no reason given'}") from None

"""`python -m bench.receiver_ours MEDIUM`: the SocketCAN link, decoders, sampler and driver, in asyncio as in the agent.

Says its port, receives until a line comes on standard input, and says as JSON how many frames came at which cost.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Collection

from bench import medium
from packseal.clock import SystemClock
from packseal_drivers import profile
from packseal_drivers.can_driver import CanDriver
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.links.socketcan import SocketCanLink


class UdpLink(SocketCanLink):
    """The SocketCAN link on another socket."""

    def __init__(self, end: socket.socket, addresses: Collection[int]) -> None:
        super().__init__("udp", addresses)
        self._end = end

    def open(self) -> None:
        """Read from the socket it was given."""
        self.attach(self._end)


async def main() -> None:
    """Take what the driver says while waiting for the word."""
    name = sys.argv[1]
    medium.settle(1)
    file = profile.load("packseal/reference96")
    decoders = compile_decoders(file)
    link, port = _open(name, decoders.table)
    sampling = file.profile.sampling
    driver = CanDriver(file.profile.name, link, decoders, sampling.period_s, sampling.silent_after_s, SystemClock())
    samples = 0

    async def take() -> None:
        nonlocal samples
        async for batch in driver.batches():
            samples += len(batch)

    taking = asyncio.create_task(take(), name="take")
    await asyncio.sleep(0)  # the link is open
    began = time.process_time()
    print(port, flush=True)
    await _word()
    spent = time.process_time() - began
    counts = driver.counts
    told = {"frames": counts.frames - counts.unknown - counts.short, "cpu_s": spent, "samples": counts.samples}
    print(json.dumps(told), flush=True)
    taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking


def _open(name: str, addresses: Collection[int]) -> tuple[SocketCanLink, int]:
    if name != medium.UDP:
        return SocketCanLink(name, addresses), 0
    end = medium.receiving()
    end.settimeout(0)
    return UdpLink(end, addresses), end.getsockname()[1]


async def _word() -> None:
    loop = asyncio.get_running_loop()
    heard = loop.create_future()
    loop.add_reader(sys.stdin, heard.set_result, None)
    await heard
    loop.remove_reader(sys.stdin)


if __name__ == "__main__":
    asyncio.run(main())

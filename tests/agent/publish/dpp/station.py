"""A publisher between a made-up source and a server of the tests: opened from a table as a configuration has it."""

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from packseal.config import Config, ConfigFile
from packseal.config_dpp import Dpp
from packseal.publish.dpp.publisher import DppPublisher
from packseal.publish.protocol import Source
from packseal.runtime.opening_dpp import open_dpp, positions_path

NOW_MS = 1_790_000_000_000
WAIT_S = 15


def settings(url: str, text: str = "", dialect: str = "en18222") -> Dpp:
    """The table [[publish]] with these keys."""
    table = tomllib.loads(text)
    return msgspec.convert({"kind": "dpp", "dialect": dialect, "url": url, "pace_s": 1, **table}, Dpp)


def opened(folder: Path, table: Dpp, source: Source) -> DppPublisher:
    """The publisher of a configuration in `folder`."""
    return open_dpp(config(folder), table, source)


def config(folder: Path) -> Config:
    link = {"kind": "stream", "path": str(folder / "b")}
    battery = {"id": "urn:example:battery:1", "profile": "packseal/reference96", "link": link}
    file = msgspec.convert({"gateway": {"id": "urn:example:gateway"}, "battery": [battery]}, ConfigFile)
    return Config(file, folder / "packseal.toml", b"")


def kept(folder: Path, table: Dpp) -> Path:
    return positions_path(config(folder), table)


@asynccontextmanager
async def running(publisher: DppPublisher) -> AsyncIterator[DppPublisher]:
    """It runs until the end of the block."""
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any], publisher: DppPublisher | None = None) -> None:
    """Wait until it holds; rings the publisher's bell meanwhile."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            if publisher is not None:
                publisher.notify()
            await asyncio.sleep(0.05)


async def once(publisher: DppPublisher) -> None:
    """Let it publish what is due, once, and hang up."""
    await publisher.finish()
    await publisher._backend.close()


def go(work: Callable[[], Any]) -> Any:
    """Run a coroutine function."""
    return asyncio.run(work())

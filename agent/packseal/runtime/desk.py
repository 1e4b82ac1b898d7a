"""Desk: the one thread that may touch the journal, so that no disk ever holds up a bus."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from packseal.journal.store import Journal

T = TypeVar("T")


class Desk:
    """Opens the journal at `path` in a thread of its own; `async with` closes both.

    Raises:
        StorageError: on entry, when the journal cannot be opened.
    """

    journal: Journal

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def run(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Run `work` in the journal's thread, in the order of the calls."""
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def __aenter__(self) -> Self:
        """Open the journal."""
        try:
            self.journal = await self.run(lambda: Journal.open(self._path))
        except BaseException:
            self._executor.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journal after all that was asked of it."""
        await self.run(self.journal.close)
        self._executor.shutdown()

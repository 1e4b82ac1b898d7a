"""The gateway's own log on a disk that fails for a while: it is written as soon as it can be, by itself."""

import asyncio
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from packseal.clock import SystemClock
from packseal.core.bodies import LifecycleCode
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.errors import StorageError
from packseal.core.holes import Hole
from packseal.keys.file import FileSigner
from packseal.runtime.opening import Found, GatewayLog
from packseal.runtime.writer import LogWriter


class Disk:
    """Takes nothing while it is full."""

    def __init__(self) -> None:
        self.is_full = True
        self.tries = 0
        self.stored: list[SealedRecord] = []

    async def store(self, records: Sequence[SealedRecord], _state: bytes | None, _removed: Sequence[Hole]) -> None:
        self.tries += 1
        if self.is_full:
            raise StorageError("the disk is full")
        self.stored += records


def log_on(disk: Disk) -> GatewayLog:
    pen = Pen(FileSigner(Ed25519PrivateKey.generate()), "urn:g", "urn:g", b"L" * 16, bytes(8), Head())
    found = Found(b"L" * 16, pen, None, 0, None, "", None)
    return GatewayLog(found, LogWriter(disk.store, lambda: None), SystemClock())


def test_what_could_not_be_stored_is_tried_again_without_another_entry() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        await log.write(LifecycleCode.AGENT_STARTED, {})
        assert log.writer.status.last_error
        disk.is_full = False
        async with asyncio.timeout(20):
            while log.writer.status.last_error:  # noqa: ASYNC110 - no event of it
                await asyncio.sleep(0.05)
        assert len(disk.stored) == 1
        await log.write(LifecycleCode.AGENT_STOPPED, {})
        assert len(disk.stored) == 2

    asyncio.run(scenario())


def test_after_the_last_entry_nothing_is_tried_again() -> None:
    async def scenario() -> None:
        disk = Disk()
        log = log_on(disk)
        await log.write(LifecycleCode.AGENT_STARTED, {})
        await log.write(LifecycleCode.AGENT_STOPPED, {})
        assert disk.tries == 2
        assert asyncio.all_tasks() - {asyncio.current_task()} == {t for t in asyncio.all_tasks() if t.cancelling()}
        await asyncio.sleep(1.2)
        assert disk.tries == 2

    asyncio.run(scenario())

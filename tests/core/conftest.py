from collections.abc import Callable
from pathlib import Path

import pytest

from packseal.core.chain import Head, Pen
from packseal.core.cose import Algorithm
from packseal.core.sample import ClockQuality, Instant
from packseal.keys import file
from packseal.keys.file import FileSigner

LOG_ID = bytes(range(16))
BOOT_ID = bytes(range(8))
START = Instant(10_000_000_000, 1_800_000_000_000_000_000, ClockQuality.NTP)


@pytest.fixture(params=list(Algorithm), ids=lambda a: a.name)
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> FileSigner:
    return file.create(tmp_path / "gateway.pem", request.param)


@pytest.fixture
def pen(signer: FileSigner) -> Pen:
    return Pen(signer, "urn:packseal:gateway:test", "urn:example:battery:1", LOG_ID, BOOT_ID, Head())


@pytest.fixture
def at() -> Callable[[float], Instant]:
    """An instant so many seconds after the start, on both clocks."""

    def instant(seconds: float) -> Instant:
        ns = round(seconds * 1e9)
        return Instant(START.mono_ns + ns, START.wall_ns + ns, START.quality)

    return instant

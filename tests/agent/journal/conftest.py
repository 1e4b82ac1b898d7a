"""A log of real records, and a journal file to put them in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from packseal.core.bodies import Event
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.keys.file import FileSigner

GATEWAY, BATTERY, LOG = "urn:example:gateway:1", "urn:example:battery:1", b"L" * 16

Writer = Callable[[int], list[SealedRecord]]


@pytest.fixture(scope="session")
def signer() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def pen(signer: FileSigner) -> Pen:
    return Pen(signer, GATEWAY, BATTERY, LOG, bytes(8), Head())


@pytest.fixture
def write(pen: Pen) -> Writer:
    """Give the next `count` records of the log; record n was written at wall time 1000 + n ms."""

    def _write(count: int) -> list[SealedRecord]:
        records = []
        for _ in range(count):
            number = pen.head.next_sequence
            at = Instant(number * 1_000_000, (1000 + number) * 1_000_000, ClockQuality.NTP)
            records.append(pen.write(Event(EventCode.BUS_SILENT, {"number": number}), at))
        return records

    return _write

"""A recorded log: in a journal, as an exported file, and the keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.core.bodies import BODIES

from packseal.core import cose, exchange
from packseal.core.bodies import Body
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.sample import ClockQuality, Instant
from packseal.journal.store import Journal, LogKind
from packseal.keys import file
from packseal.keys.file import FileSigner

GATEWAY, BATTERY, LOG, GATEWAY_LOG = "urn:example:gateway:1", "urn:example:battery:1", b"B" * 16, b"G" * 16
WALL_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Recorded:
    """Where everything is. `records` are those of the battery's log, two of every kind."""

    folder: Path
    journal: Path
    export: Path
    key: Path
    sink_key: Path
    signer: FileSigner
    records: Sequence[SealedRecord]


@pytest.fixture(params=list(cose.Algorithm), ids=lambda a: a.name)
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Recorded:
    signer = file.create(tmp_path / "gateway.key", request.param)
    sink = file.create(tmp_path / "sink.key", request.param)
    records = write(signer, BATTERY, LOG, [*BODIES, *BODIES])
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.begin_log(GATEWAY, GATEWAY_LOG, LogKind.GATEWAY)
        journal.append(GATEWAY_LOG, write(signer, GATEWAY, GATEWAY_LOG, BODIES[-1:]))
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records, b"state")
        end = (LOG, records[5].sequence, records[5].hash)
        raw = exchange.write_receipt(cose.Envelope(sink, "urn:example:sink", BATTERY), end, WALL_MS)
        journal.acknowledge(exchange.verify_receipt(raw, sink.public))
    export = tmp_path / "battery.records"
    export.write_bytes(b"".join(r.raw for r in records))
    key, sink_key = tmp_path / "gateway.pub", tmp_path / "sink.pub"
    return Recorded(tmp_path, path, export, key, sink_key, signer, records)


def write(signer: FileSigner, subject: str, log_id: bytes, bodies: Sequence[Body]) -> list[SealedRecord]:
    """One record per second."""
    pen = Pen(signer, GATEWAY, subject, log_id, bytes(8), Head())
    instants = (Instant(i * 10**9, (WALL_MS + 1000 * i) * 10**6, ClockQuality.NTP) for i in range(len(bodies)))
    return [pen.write(body, at) for body, at in zip(bodies, instants, strict=True)]


def public_pem(key: cose.PublicKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.key.public_bytes(serialization.Encoding.PEM, form)

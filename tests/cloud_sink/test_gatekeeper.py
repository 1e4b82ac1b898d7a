"""A receipt is not given for what cannot be read later, however well it is signed."""

import pytest
from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, START_MS

from packseal.core import columns, exchange, record
from packseal.core.bodies import Telemetry
from packseal.core.chain import Head, Pen
from packseal.core.exchange import Refusal
from packseal.core.sample import ClockQuality, Instant
from packseal.keys.file import FileSigner
from packseal_sink.ingest import Ingest


@pytest.mark.parametrize("blob", [b"no zstd frame", columns.pack([])], ids=["no frame", "fewer rows than it says"])
def test_telemetry_that_does_not_unfold_is_refused_and_not_receipted(
    ingest: Ingest, gateway_key: FileSigner, blob: bytes
) -> None:
    pen = Pen(gateway_key, GATEWAY, BATTERY, LOG_ID, bytes(8), Head())
    raw = pen.write(Telemetry(0, START_MS, 1, 0, blob), Instant(0, START_MS * 10**6, ClockQuality.NTP)).raw
    record.verify(raw, gateway_key.public)  # signed well and in form
    reply = exchange.decode_reply(ingest.handle(exchange.encode_batch([raw])))
    assert [(r.code, r.sequence) for r in reply.refused] == [(Refusal.BAD_FORMAT, 0)]
    assert reply.receipts == ()

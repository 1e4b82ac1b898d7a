"""Holes in a log: a fault, unless the gateway has signed that a damage has cost exactly these records."""

from collections.abc import Sequence

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, LOG, WALL_MS, Recorded

from packseal.cli import main
from packseal.core import cose, exchange
from packseal.core.bodies import Gap, GapCause
from packseal.core.chain import Head, Pen
from packseal.core.sample import ClockQuality, Instant
from packseal.keys import file
from packseal.keys.file import FileSigner

Capture = pytest.CaptureFixture[str]


def named(
    signer: FileSigner,
    first: int,
    last: int,
    log: bytes = LOG,
    subject: str = BATTERY,
    cause: GapCause = GapCause.DAMAGED,
) -> bytes:
    """The first record of a new log that says what is lost of the old one."""
    pen = Pen(signer, GATEWAY, subject, b"N" * 16, bytes(8), Head())
    gap = Gap(cause, WALL_MS, WALL_MS, {"log": log, "first": first, "last": last})
    return pen.write(gap, Instant(0, WALL_MS * 10**6, ClockQuality.NTP)).raw


def verify(recorded: Recorded, parts: Sequence[bytes]) -> int:
    path = recorded.folder / "holes"
    path.write_bytes(b"".join(parts))
    return main(["verify", str(path), "--key", str(recorded.key), "--sink-key", str(recorded.sink_key)])


def test_a_hole_that_is_named_is_told_as_lost(recorded: Recorded, capsys: Capture) -> None:
    raws = [r.raw for r in recorded.records]
    assert verify(recorded, [*raws[:3], *raws[6:], named(recorded.signer, 3, 5)]) == 0
    told = capsys.readouterr().out
    assert f"LOST      records 3 to 5, by a damage, as record 0 of log {(b'N' * 16).hex()[:8]} says" in told
    assert "WRONG" not in told


def test_any_other_hole_stays_a_fault(recorded: Recorded, capsys: Capture) -> None:
    raws = [r.raw for r in recorded.records]
    holed = [*raws[:3], *raws[6:]]
    stranger = file.create(recorded.folder / "stranger.key")
    for said in (
        b"",
        named(recorded.signer, 3, 4),
        named(recorded.signer, 2, 5),
        named(recorded.signer, 3, 5, log=bytes(16)),
        named(recorded.signer, 3, 5, subject="urn:example:battery:2"),
        named(recorded.signer, 3, 5, cause=GapCause.NOT_STORED),
        named(stranger, 3, 5),
    ):
        assert verify(recorded, [*holed, said]) == 1
        told = capsys.readouterr().out
        assert "record 6 stands where 3 must follow" in told
        assert "LOST" not in told


def test_a_receipt_covers_nothing_before_a_hole(recorded: Recorded, capsys: Capture) -> None:
    raws = [r.raw for r in recorded.records]
    sink = cose.Envelope(file.load(recorded.folder / "sink.key"), "urn:example:sink", BATTERY)
    receipt = exchange.write_receipt(sink, (LOG, 11, recorded.records[11].hash), WALL_MS)
    assert verify(recorded, [*raws[:3], *raws[6:], receipt, named(recorded.signer, 3, 5)]) == 0
    assert "holds 6 records of this log, 6 to 11," in capsys.readouterr().out


def test_nothing_is_exported_from_a_log_with_an_unnamed_hole(recorded: Recorded, capsys: Capture) -> None:
    path, out = recorded.folder / "holes", recorded.folder / "out"
    path.write_bytes(b"".join(r.raw for r in [*recorded.records[:3], *recorded.records[6:]]))
    assert main(["export", "--as", "all", "-o", str(out), str(path), "--key", str(recorded.key)]) == 1
    assert "is not sound, so nothing is exported" in capsys.readouterr().err

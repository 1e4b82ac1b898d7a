"""One bit flipped in each field of a stored record: `packseal verify` catches every one."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
from tests.agent.cli.conftest import BATTERY, LOG, Recorded, write
from tests.agent.cli.fields import Span, spans

from packseal.cli import main
from packseal.core.bodies import Kind
from packseal.core.chain import SealedRecord
from packseal.core.record import parse
from packseal.core.thinning import thin


def flips(raw: bytes) -> Iterator[tuple[Span, bytes]]:
    """The record with one bit changed in each field: in its first byte, and in its last."""
    for span in spans(raw):
        for at, bit in {(span.start, 0), (span.start, 5), (span.end - 1, 0), (span.end - 1, 7)}:
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            yield span, bytes(changed)


def summarised(recorded: Recorded) -> SealedRecord:
    """What thinning makes of the log's telemetry."""
    bodies = thin([parse(r.raw) for r in recorded.records if r.kind is Kind.TELEMETRY], 10_000)
    return write(recorded.signer, BATTERY, LOG, bodies[:1])[0]


@pytest.mark.parametrize("kind", list(Kind), ids=lambda k: k.name.lower())
def test_a_flipped_bit_in_any_field_is_caught(
    recorded: Recorded, capsys: pytest.CaptureFixture[str], kind: Kind
) -> None:
    record = next(r for r in [*recorded.records, summarised(recorded)] if r.kind is kind)
    place = recorded.folder / "flipped.record"
    fields = set()
    place.write_bytes(record.raw)
    assert main(["verify", str(place), "--key", str(recorded.key)]) == 0
    for span, changed in flips(record.raw):
        place.write_bytes(changed)
        assert main(["verify", str(place), "--key", str(recorded.key)]) == 1, span
        assert "NOT VERIFIED" in capsys.readouterr().out
        fields.add(span.path)
    for path in ("tag", "protected/1", "protected/4", "protected/15/1", "protected/15/2", "unprotected", "signature"):
        assert path in fields
    assert {f"payload/{key}" for key in range(10)} <= fields
    assert len([f for f in fields if f.startswith("payload/9/")]) >= 2


def test_the_fields_cover_every_byte_but_none_twice(recorded: Recorded) -> None:
    for record in recorded.records:
        covered = sorted((s.start, s.end) for s in spans(record.raw))
        assert covered[0][0] == 0
        assert covered[-1][1] == len(record.raw)
        assert all(a[1] == b[0] for a, b in pairwise(covered))


def test_a_flip_inside_a_log_is_caught_by_the_program_itself(recorded: Recorded) -> None:
    raws = [r.raw for r in recorded.records]
    span = next(s for s in spans(raws[2]) if s.path == "payload/9/1/1/1")  # a counter's value
    changed = bytearray(raws[2])
    changed[span.end - 1] ^= 1
    path = recorded.folder / "flipped.log"
    path.write_bytes(b"".join([*raws[:2], bytes(changed), *raws[3:]]))
    command = [sys.executable, "-m", "packseal", "verify", str(path), "--key", str(recorded.key)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "record 2: the signature does not fit the bytes and the key" in result.stdout
    assert parse(bytes(changed)).header.sequence == 2  # it still looks like a record

"""packseal journal prove and packseal verify: who received what, when, from files and keys alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, LOG, WALL_MS, Recorded

from packseal.cli import main
from packseal.core import archive, cose, exchange
from packseal.core.bodies import Event
from packseal.core.chain import Pen
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys import file

Capture = pytest.CaptureFixture[str]


def prove(recorded: Recorded, sequence: int, out: Path | str) -> int:
    return main(["journal", "prove", str(sequence), str(out), "--journal", str(recorded.journal)])


def verify(recorded: Recorded, path: Path, *words: str, sink_key: Path | None = None) -> int:
    sink = str(sink_key or recorded.sink_key)
    return main(["verify", str(path), "--key", str(recorded.key), "--sink-key", sink, *words])


@pytest.fixture
def proof(recorded: Recorded) -> Path:
    path = recorded.folder / "record.proof"
    assert prove(recorded, 2, path) == 0
    return path


def test_a_proof_says_who_received_what_and_when(recorded: Recorded, proof: Path, capsys: Capture) -> None:
    assert prove(recorded, 2, proof) == 0
    assert "3 records after it and the sink's receipt for record 5" in capsys.readouterr().out
    assert verify(recorded, proof) == 0
    told = capsys.readouterr().out
    for fact in (
        "urn:example:sink signed that it holds 4 records of this log, 2 to 5,",
        "no later than 2027-01-15T08:00:00.000Z by its own clock",
        f"battery   {BATTERY}",
        f"gateway   {GATEWAY}",
        "State of charge",  # the proven record is a snapshot
        "verified: 4 records, and every link of the chain, and 1 receipt of the sink",
    ):
        assert fact in told


def test_a_proof_is_the_signed_bytes_and_nothing_else(recorded: Recorded, proof: Path) -> None:
    *records, receipt = [piece.raw for piece in archive.pieces(proof.read_bytes())]
    assert records == [r.raw for r in recorded.records[2:6]]
    with Journal.open_to_read(recorded.journal) as journal:
        assert receipt == journal.receipt(LOG)


def test_programs_get_the_same(recorded: Recorded, proof: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert verify(recorded, proof, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    (received,) = found["received"]
    assert (received["sink"], received["first"], received["last"]) == ("urn:example:sink", 2, 5)
    assert received["received_by_ms"] == WALL_MS
    assert found["record"]["sequence"] == 2


def test_a_single_record_is_its_own_segment(recorded: Recorded, capsys: Capture) -> None:
    path = recorded.folder / "five.proof"
    assert prove(recorded, 5, path) == 0
    assert verify(recorded, path) == 0
    told = capsys.readouterr().out
    assert "holds 1 record of this log, 5," in told
    assert "record    5: lifecycle, clock stepped" in told


def test_every_change_is_found_and_nothing_is_then_said_to_be_received(
    recorded: Recorded, proof: Path, capsys: Capture
) -> None:
    pieces = [piece.raw for piece in archive.pieces(proof.read_bytes())]
    receipt, records = pieces[-1], pieces[:-1]
    flipped = receipt[:-1] + bytes([receipt[-1] ^ 1])
    cases = {
        "a record left out": [*records[:1], *records[2:], receipt],
        "the last record left out": [*records[:-1], receipt],
        "the receipt changed": [*records, flipped],
        "the receipt first": [receipt, *records],
        "a record changed": [records[0], records[1][:-1] + bytes([records[1][-1] ^ 1]), *records[2:], receipt],
        "the receipt cut": [*records, receipt[:-10]],
        "the receipt alone": [receipt],
    }
    capsys.readouterr()
    for name, parts in cases.items():
        proof.write_bytes(b"".join(parts))
        assert verify(recorded, proof) == 1, name
        told = capsys.readouterr().out
        assert "NOT VERIFIED" in told, name
        assert "received  " not in told, name


def test_the_sinks_key_must_be_given_and_be_the_right_one(recorded: Recorded, proof: Path, capsys: Capture) -> None:
    file.create(recorded.folder / "stranger.key")
    assert verify(recorded, proof, sink_key=recorded.folder / "stranger.pub") == 1
    assert "not given: name the sink's with --sink-key" in capsys.readouterr().out
    assert main(["verify", str(proof), "--key", str(recorded.key)]) == 1
    # The gateway cannot be its own sink: its key counts for records only.
    own = exchange.write_receipt(
        cose.Envelope(recorded.signer, GATEWAY, BATTERY), (LOG, 5, recorded.records[5].hash), WALL_MS
    )
    proof.write_bytes(b"".join(r.raw for r in recorded.records[:6]) + own)
    assert verify(recorded, proof) == 1
    assert main(["verify", str(proof), "--key", str(recorded.key), "--key", str(recorded.sink_key)]) == 1


def test_an_exported_log_with_receipts_is_a_proof_of_all_of_it(recorded: Recorded, capsys: Capture) -> None:
    sink = cose.Envelope(file.load(recorded.folder / "sink.key"), "urn:example:sink", BATTERY)
    receipts = [exchange.write_receipt(sink, (LOG, n, recorded.records[n].hash), WALL_MS + n) for n in (3, 11)]
    raws = [r.raw for r in recorded.records]
    path = recorded.folder / "all.proof"
    path.write_bytes(b"".join([*raws[:4], receipts[0], *raws[4:], receipts[1]]))
    assert verify(recorded, path) == 0
    told = capsys.readouterr().out
    assert "4 records of this log, 0 to 3" in told
    assert "12 records of this log, 0 to 11" in told
    assert "and 2 receipts of the sink" in told


def test_an_old_record_takes_the_receipt_that_comes_next(recorded: Recorded) -> None:
    sink = file.load(recorded.folder / "sink.key")
    with Journal.open(recorded.journal) as journal:
        pen = Pen(recorded.signer, GATEWAY, BATTERY, LOG, bytes(8), journal.head(LOG))
        for second in range(2000):
            at = Instant(10**12, (WALL_MS + 60_000 + 1000 * second) * 10**6, ClockQuality.NTP)
            sealed = pen.write(Event(EventCode.BUS_SILENT), at)
            journal.append(LOG, [sealed])
            raw = exchange.write_receipt(
                cose.Envelope(sink, "urn:example:sink", BATTERY), (LOG, sealed.sequence, sealed.hash), sealed.wall_ms
            )
            journal.acknowledge(exchange.verify_receipt(raw, sink.public))
    path = recorded.folder / "old.proof"
    for sequence in (6, 100, 1000, 2011):
        assert prove(recorded, sequence, path) == 0
        assert len(list(archive.pieces(path.read_bytes()))) <= 65
        assert verify(recorded, path) == 0


def test_what_cannot_be_proven_is_one_line(recorded: Recorded, capsys: Capture) -> None:
    out = recorded.folder / "none.proof"
    for sequence, said in ((6, "not receipted record 6 yet, only what is before 6"), (99, "has no record 99")):
        assert prove(recorded, sequence, out) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not out.exists()


def test_verifying_a_proof_needs_no_journal_and_no_configuration(recorded: Recorded, proof: Path) -> None:
    program = "import sys; from packseal.cli import main; code = main(); print(*sys.modules); sys.exit(code)"
    words = [sys.executable, "-c", program, "verify", str(proof), "--key", str(recorded.key)]
    run = subprocess.run(
        [*words, "--sink-key", str(recorded.sink_key)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert run.returncode == 0, run.stderr
    loaded = run.stdout.splitlines()[-1].split()
    assert "packseal.core.proof" in loaded
    assert not {"sqlite3", "asyncio", "packseal.config", "packseal.journal"} & set(loaded)


def test_a_proof_can_go_to_a_pipe(recorded: Recorded, proof: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    assert prove(recorded, 2, "-") == 0
    assert capfdbinary.readouterr().out == proof.read_bytes()

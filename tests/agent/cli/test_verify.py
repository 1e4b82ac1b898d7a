"""packseal verify: right files pass, every damage is told, and nothing else needs to be there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.cli.conftest import BATTERY, GATEWAY, LOG, Recorded

from packseal.cli import main
from packseal.core.bodies import Event, Lifecycle, LifecycleCode
from packseal.core.chain import Head, Pen
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.keys import file

Capture = pytest.CaptureFixture[str]


def verify(path: Path, *keys: Path) -> int:
    return main(["verify", str(path), *(word for key in keys for word in ("--key", str(key)))])


def test_a_log_passes_and_is_told(recorded: Recorded, capsys: Capture) -> None:
    assert verify(recorded.export, recorded.key) == 0
    told = capsys.readouterr().out
    for fact in (
        f"battery   {BATTERY}",
        f"gateway   {GATEWAY}",
        recorded.signer.kid.hex(),
        "12, from 0 to 11: 4 lifecycle, 2 telemetry, 2 snapshot, 2 event, 2 gap",
        "2027-01-15T08:00:00.000Z to 2027-01-15T08:00:11.000Z, 11 s",
        "unclean stop, 5 s (windows 1)",
        "record 5: by -365 days",
        recorded.records[-1].hash.hex(),
        "verified: 12 records",
    ):
        assert fact in told


def test_a_lone_snapshot_shows_its_readings(recorded: Recorded, capsys: Capture) -> None:
    lone = recorded.folder / "snapshot.record"
    lone.write_bytes(recorded.records[2].raw)
    assert verify(lone, recorded.key) == 0
    told = capsys.readouterr().out
    assert "State of charge" in told
    assert "81.50" in told
    assert "not available: not declared" in told
    assert "the counters run since 2027-01-14T08:00:00.000Z" in told
    assert "5 cells, 0 to 3702 mV, 3702 mV apart, 1 not known" in told
    assert "from cell   0:  3700  3702     -  3699     0" in told
    assert "what was before record 2 is not here" in told


def test_logs_of_several_gateways_in_one_file(recorded: Recorded, capsys: Capture) -> None:
    other = file.create(recorded.folder / "other.key")
    pen = Pen(other, "urn:example:gateway:2", "urn:example:battery:2", bytes(16), bytes(8), Head())
    extra = pen.write(Lifecycle(LifecycleCode.LOG_BEGUN), Instant(0, 0, ClockQuality.RTC))
    mixed = recorded.folder / "mixed"
    mixed.write_bytes(recorded.records[0].raw + extra.raw + recorded.records[1].raw)
    assert verify(mixed, recorded.key) == 1
    assert "not given" in capsys.readouterr().out
    assert verify(mixed, recorded.key, recorded.folder / "other.pub") == 0
    assert capsys.readouterr().out.count("log       ") == 2


def test_every_damage_is_told_and_the_rest_still_checked(recorded: Recorded, capsys: Capture) -> None:
    raws = [r.raw for r in recorded.records]
    flipped = bytearray(raws[3])
    flipped[-1] ^= 1
    damaged = recorded.folder / "damaged"
    damaged.write_bytes(b"".join([*raws[:3], bytes(flipped), b"noise", *raws[4:7], *raws[8:], raws[9][:50]]))
    assert verify(damaged, recorded.key) == 1
    told = capsys.readouterr().out
    assert "item 3 at byte" in told
    assert "record 3: the signature does not fit" in told
    assert "5 bytes that are no record" in told
    assert "record 4 stands where 3 must follow" in told
    assert "record 8 stands where 7 must follow" in told
    assert "50 bytes that are no record" in told
    assert "NOT VERIFIED: 5 faults; sound in themselves: 10" in told


def test_faults_are_bounded(recorded: Recorded, capsys: Capture) -> None:
    many = recorded.folder / "many"
    many.write_bytes(recorded.records[0].raw * 200)
    assert verify(many, recorded.key) == 1
    told = capsys.readouterr().out
    assert told.count("WRONG") == 21
    assert "… and 179 more" in told


def test_a_record_of_another_battery_in_the_same_log_is_told(recorded: Recorded, capsys: Capture) -> None:
    head = Head(1, recorded.records[0].hash)
    pen = Pen(recorded.signer, GATEWAY, "urn:example:battery:other", LOG, bytes(8), head)
    foreign = pen.write(Event(EventCode.OVERCHARGE), Instant(0, 0, ClockQuality.NTP))
    path = recorded.folder / "foreign"
    path.write_bytes(recorded.records[0].raw + foreign.raw)
    assert verify(path, recorded.key) == 1
    assert "speaks of another battery" in capsys.readouterr().out


def test_text_in_a_record_cannot_steer_the_terminal(recorded: Recorded, capsys: Capture) -> None:
    pen = Pen(recorded.signer, GATEWAY, "urn:x:\x1b[2J\u202e", bytes(16), bytes(8), Head())
    path = recorded.folder / "evil"
    path.write_bytes(pen.write(Event(EventCode.OVERCHARGE), Instant(0, 0, ClockQuality.NTP)).raw)
    assert verify(path, recorded.key) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "urn:x:\\x1b[2J\\u202e" in told


@pytest.mark.parametrize("content", [b"", b"\x00", b"hello", b"\xd2\x84", b"\xd2\x84" * 5000], ids=len)
def test_a_file_without_records_fails(recorded: Recorded, capsys: Capture, content: bytes) -> None:
    path = recorded.folder / "nothing"
    path.write_bytes(content)
    assert verify(path, recorded.key) == 1
    assert "NOT VERIFIED" in capsys.readouterr().out


def test_wrong_arguments_are_one_line(recorded: Recorded, capsys: Capture) -> None:
    for path, key, said in (
        (recorded.folder / "missing", recorded.key, "cannot read"),
        (recorded.folder, recorded.key, "Is a directory"),
        (recorded.export, recorded.folder / "missing.pub", "cannot read key"),
        (recorded.export, recorded.folder / "gateway.key", "not a PEM public key"),
        (recorded.journal, recorded.key, "packseal journal verify --journal"),
    ):
        assert verify(path, key) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_the_findings_for_programs(recorded: Recorded, capsys: Capture) -> None:
    assert main(["verify", str(recorded.export), "--key", str(recorded.key), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["verified"], found["logs"][0]["gaps"]) == (True, 12, 2)
    assert found["logs"][0]["last"] == {
        "sequence": 11,
        "wall_ms": 1_800_000_011_000,
        "hash": recorded.records[-1].hash.hex(),
    }


LOADED = (
    "import sys\n"
    "named = {m.partition('.')[0]: getattr(v, '__file__', '') or '' for m, v in list(sys.modules.items())}\n"
    "print(*(m for m, path in named.items() if 'site-packages' in path or m in ('asyncio', 'sqlite3')))\n"
)


def test_it_needs_nothing_else(recorded: Recorded) -> None:
    """In a process of its own, from standard input, in an empty folder: only the core's own packages are loaded."""
    empty = recorded.folder / "empty"
    empty.mkdir()
    call = f"from packseal.cli import main\nassert main(['verify', '-', '--key', {str(recorded.key)!r}]) == 0\n"
    told = python(call + LOADED, empty, recorded.export.read_bytes())
    assert "verified: 12 records" in told
    at_start = python(LOADED, empty).split()  # such as the finder of an editable install
    ours = {"cbor2", "_cbor2", "cryptography", "_cffi_backend", "msgspec", "zstandard"}
    loaded = set(told.splitlines()[-1].split()) - set(at_start)
    assert "cbor2" in loaded
    assert loaded <= ours


def python(program: str, folder: Path, given: bytes = b"") -> str:
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, input=given, capture_output=True, check=False, cwd=folder)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode()

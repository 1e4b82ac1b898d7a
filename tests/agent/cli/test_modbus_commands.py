"""probe, capture and doctor of batteries over Modbus, against pymodbus' own server in another process."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from packseal import cli

ROOT = Path(__file__).parents[3]
SERVER = """
import asyncio, sys
from tests.drivers.modbus_devices import Device, placed, tcp_server
from tests.drivers.sunspec_devices import bank, device, model

def text(word, words):
    data = word.encode().ljust(2 * words, b"\\0")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]

async def main():
    cells = [3300 + i for i in range(16)]
    pace = [1230, sum(cells) // 10, 64, 99, 6400, 10050, 10000, 123] + [0] * 7 + cells + [215, 220, 225, 230]
    rack = Device(1, holding=placed(0, pace))
    common = model(1, 68, dict(enumerate(text("Maker", 16) + text("Bank 7", 16), 2)))
    words = bank()
    words.update(dict(enumerate(common, 40_002)))
    async with tcp_server(rack, Device(3, holding=words)) as port:
        print(port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def serving() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment()
    ) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def environment() -> dict[str, str]:
    import os  # noqa: PLC0415 - for this alone

    paths = [str(ROOT), *(str(ROOT / name) for name in ("agent", "drivers", "dbc"))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def configured(directory: Path, port: int, unit: int = 1, profile: str = "pace/rs485") -> Path:
    path = directory / "packseal.toml"
    path.write_text(
        '[gateway]\nid = "urn:example:gateway:1"\n[[battery]]\nid = "urn:example:battery:1"\n'
        f'profile = "{profile}"\n[battery.link]\nkind = "modbus"\nhost = "127.0.0.1"\nport = {port}\nunit = {unit}\n'
        "timeout_s = 0.3\n"
    )
    return path


def test_probe_finds_units_their_models_and_the_profile_that_fits(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["probe", "--modbus", f"127.0.0.1:{port}", "--units", "1-3", "--timeout", "0.2"]
    assert cli.main([*words, "--json"]) == 0
    found: dict[int, Any] = {unit["unit"]: unit for unit in json.loads(capsys.readouterr().out)["units"]}
    assert found.keys() == {1, 3}
    assert found[1]["fits"][0]["profile"] == "pace/rs485"
    assert "its 16 cells add up to its 52.92 V" in found[1]["fits"][0]["reasons"]
    assert found[1]["sunspec"]["base"] is None
    assert found[3]["sunspec"]["base"] == 40_000
    assert [m["model"] for m in found[3]["sunspec"]["models"]] == [1, 802, 803, 805, 805]
    assert (found[3]["said"]["maker"], found[3]["said"]["model"]) == ("Maker", "Bank 7")
    assert [fit["profile"] for fit in found[3]["fits"]] == ["sunspec/bank"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "2 of 3 unit ids answer" in said
    assert "fits: sunspec/bank" in said
    assert "SunSpec map at register 40000, models 1, 802, 803, 805, 805" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--modbus", "127.0.0.1:1", "--timeout", "0.2"], "cannot be opened"),
        (["--modbus", "127.0.0.1", "--units", "0-255"], "from 1 to 247 of them"),
        (["--modbus", "127.0.0.1", "--units", "x"], "it must be unit ids such as"),
        (["--modbus", "127.0.0.1:0x1"], "--modbus 127.0.0.1:0x1"),
        (["--modbus", "/dev/no-such-line", "--units", "1"], "serial line /dev/no-such-line cannot be opened"),
    ],
)
def test_probe_says_in_one_line_what_is_wrong(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", *words]) == 1
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_what_capture_writes_is_played_again(port: int, tmp_path: Path) -> None:
    path, out = configured(tmp_path, port, 3, "sunspec/bank"), tmp_path / "bank.registers"
    command = [sys.executable, "-m", "packseal", "capture", str(out), "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as child:
        partial = out.with_name("bank.registers.partial")
        for _ in range(300):
            time.sleep(0.1)
            if partial.exists():
                time.sleep(1.0)
                break
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=30)
        assert child.returncode == 0
    assert "answers of urn:example:battery:1" in said
    text = path.read_text()
    start = text.index("kind = ")
    path.write_text(text[:start] + 'kind = "recording"\npath = "bank.registers"\n')
    assert cli.main(["doctor", "--config", str(path)]) == 1  # no key yet; the wire is what counts here
    from tests.drivers.test_register_dumps import replayed  # noqa: PLC0415 - beside the drivers

    samples = replayed(out, "sunspec/bank")
    assert len(samples[0].values) == 16


def test_decode_says_what_a_dump_holds(capsys: pytest.CaptureFixture[str]) -> None:
    dump = ROOT / "tests" / "recordings" / "deye_hybrid" / "answers.registers"
    assert cli.main(["decode", "--profile", "deye/hybrid", str(dump), "--limit", "1"]) == 0
    said = capsys.readouterr().out
    assert "pack_current_a             12.3 A" in said
    assert "energy_charged_kwh         12345.6 kWh" in said
    assert cli.main(["decode", "--profile", "deye/hybrid", str(dump), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["samples"]) == 3
    assert cli.main(["decode", "--profile", "deye/hybrid", str(ROOT / "README.md")]) == 1
    assert "line 3: this is no line of a register dump" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ([], 'transport = "rtu"\ndevice = "/dev/ttyUSB0"\nbaud = 9600\nunit = 1'),
        (["--channel", "192.0.2.7:1502"], 'kind = "modbus"\nhost = "192.0.2.7"\nport = 1502\nunit = 1'),
        (["--channel", "gx.example"], 'host = "gx.example"\nport = 502'),
    ],
)
def test_init_writes_the_link_that_a_modbus_profile_needs(channel: list[str], said: str, tmp_path: Path) -> None:
    assert cli.main(["init", str(tmp_path), "--profile", "pace/rs485", *channel]) == 0
    assert said in (tmp_path / "packseal.toml").read_text()


def test_capture_of_what_is_no_modbus_battery_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["capture", str(tmp_path / "a.registers"), "--channel", "can0"]) == 1
    assert "is made of a configured Modbus battery" in capsys.readouterr().err
    path = configured(tmp_path, 1)
    assert cli.main(["capture", str(tmp_path / "a.registers"), "--config", str(path), "--seconds", "0.3"]) == 1
    assert "cannot be opened" in capsys.readouterr().err
    assert list(tmp_path.glob("a.registers*")) == []


@pytest.mark.parametrize(
    ("unit", "profile", "said"),
    [
        (1, "pace/rs485", "ok   wire of urn:example:battery:1: 1 samples (1 requests, 1 answers, 0 declined, 0 unan"),
        (1, "deye/hybrid", "declined (exception 2: "),
        (9, "pace/rs485", "is unit 9 right, and the battery awake?"),
    ],
)
def test_doctor_says_how_the_device_answers(
    unit: int, profile: str, said: str, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configured(tmp_path, port, unit, profile)
    cli.main(["doctor", "--config", str(path), "--listen", "2"])
    assert said in capsys.readouterr().out


def test_doctor_says_why_a_connection_cannot_be_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configured(tmp_path, 1)
    cli.main(["doctor", "--config", str(path), "--listen", "1"])
    said = capsys.readouterr().out
    assert "FAIL wire of urn:example:battery:1: Modbus at 127.0.0.1:1 cannot be opened:" in said

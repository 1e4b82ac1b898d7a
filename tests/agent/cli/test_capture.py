"""packseal capture: what is on a live bus is in the file afterwards, whole, and the bus saw nothing of it."""

import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import can
import pytest

from packseal import cli
from packseal_drivers.recordings import read

GROUP = "239.74.163.2"
EXTENDED, ERROR = 0x8000_0000, 0x2000_0000
FORMATS = [".log", ".asc", ".blf"]


def messages() -> list[can.Message]:
    off = can.Message(arbitration_id=0x40, is_error_frame=True, is_extended_id=False, data=bytes(8))
    far = can.Message(arbitration_id=0x1234567, data=b"\x80\x7f", is_extended_id=True)
    remote = can.Message(arbitration_id=0x7, is_remote_frame=True, is_extended_id=False)
    flexible = can.Message(arbitration_id=0x355, data=bytes(range(64)), is_fd=True, is_extended_id=False)
    return [*(can.Message(arbitration_id=0x356, data=bytes((i,)), is_extended_id=False) for i in range(20)),
            far, remote, flexible, off]  # fmt: skip


def expected() -> list[tuple[int, bytes]]:
    return [*((0x356, bytes((i,))) for i in range(20)), (0x1234567 | EXTENDED, b"\x80\x7f"), (0x355, bytes(range(64)))]


@pytest.fixture
def virtual() -> Iterator[can.BusABC]:
    # Named as by a serial number, which ends in more than a file can number.
    name = f"{secrets.token_hex(4)}d12345678"
    with can.Bus(interface="virtual", channel=name, receive_own_messages=False) as bus:
        yield bus


def sending(bus: can.BusABC, made: Sequence[can.Message]) -> threading.Thread:
    """Say everything as soon as the command listens."""

    def send() -> None:
        deadline = time.monotonic() + 30
        while len(bus.channel) < 2 and time.monotonic() < deadline:  # type: ignore[attr-defined]  # the virtual bus's
            time.sleep(0.01)
        for message in made:
            bus.send(message)
            time.sleep(0.002)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_said_is_in_the_file_and_nothing_is_sent(
    suffix: str, virtual: can.BusABC, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, channel = tmp_path / f"drive{suffix}", virtual.channel_info.split()[-1]
    before_ns = time.time_ns()
    thread = sending(virtual, messages())
    code = cli.main(["capture", str(path), "--interface", "virtual", "--channel", channel, "--seconds", "1"])
    thread.join()
    assert code == 0
    recording = read(path)
    frames = list(recording)
    assert [frame[:2] for frame in frames if not frame.address & ERROR] == expected()
    assert sum(bool(frame.address & ERROR) for frame in frames) == 1
    assert recording.troubles.count == 0
    assert 0.03 < frames[-1].mono_ns / 1e9 < 0.7
    assert recording.begun_wall_ns is not None
    assert before_ns - 10**9 < recording.begun_wall_ns < time.time_ns() + 10**9
    assert virtual.recv(timeout=0) is None
    assert list(tmp_path.iterdir()) == [path]
    assert "24 frames of 4 ids" in capsys.readouterr().out


def listeners(port: int) -> int:
    """How many sockets of this machine have the port, proc_net_udp(5)."""
    return Path("/proc/net/udp").read_text().count(f":{port:04X} 00000000:")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_in_good_order(suffix: str, number: signal.Signals, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    try:
        bus = can.Bus(interface="udp_multicast", channel=GROUP, port=port, hop_limit=0)
    except (OSError, can.CanError) as error:
        pytest.skip(f"no multicast here ({error}): give the loopback or another interface a multicast route")
    path = tmp_path / f"drive{suffix}"
    words = [sys.executable, "-m", "packseal", "capture", str(path), "--interface", "udp_multicast"]
    with bus, subprocess.Popen([*words, "--channel", GROUP, "--option", f"port={port}"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:  # fmt: skip
        deadline = time.monotonic() + 30
        partial = path.with_name(path.name + ".partial")
        while listeners(port) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        for count in range(30):
            bus.send(can.Message(arbitration_id=0x100 + count % 2, data=bytes((count,)), is_extended_id=False))
            time.sleep(0.01)
        assert not path.exists()
        command.send_signal(number)
        said, errors = command.communicate(timeout=30)
    assert (command.returncode, errors) == (0, "")
    frames = list(read(path))
    assert [f.data[0] for f in frames] == list(range(30))
    assert "of 2 ids" in said
    assert not partial.exists()


def test_nothing_heard_leaves_no_file(virtual: can.BusABC, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    channel = virtual.channel_info.split()[-1]
    words = ["capture", str(tmp_path / "a.log"), "--interface", "virtual", "--channel", channel, "--seconds", "0.1"]
    assert cli.main(words) == 1
    assert "nothing was heard" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a.log"], "which bus"),
        (["a.log", "--channel", "x", "--config", "y"], "which bus"),
        (["a.txt", "--channel", "x"], "must end in"),
        (["there.log", "--channel", "x"], "exists"),
        (["no/such/a.log", "--channel", "x"], "cannot write"),
        (["a.log", "--channel", "x", "--seconds", "0"], "--seconds"),
        (["a.log", "--channel", "x", "--option", "nothing"], "KEY=VALUE"),
        (
            ["a.log", "--channel", "239.74.163.2", "--interface", "udp_multicast", "--option", "hop_limit=3"],
            "hop_limit",
        ),
        (["a.log", "--channel", "x", "--interface", "no_such"], "cannot open"),
        (["a.log", "--channel", "packseal9"], "cannot open"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.log").write_text("precious")
    assert cli.main(["capture", *words]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.log"]
    assert Path("there.log").read_text() == "precious"


def test_the_bus_of_a_configured_battery_is_taken(
    virtual: can.BusABC, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", str(tmp_path), "--battery", "urn:example:battery:1"]) == 0
    config = tmp_path / "packseal.toml"
    link = f'kind = "can"\ninterface = "virtual"\nchannel = "{virtual.channel_info.split()[-1]}"'
    config.write_text(config.read_text().replace('kind = "socketcan"\nchannel = "can0"', link))
    thread = sending(virtual, messages()[:3])
    words = ["capture", str(tmp_path / "a.log"), "--config", str(config), "--seconds", "0.6"]
    assert cli.main(words) == 0
    thread.join()
    assert [f[:2] for f in read(tmp_path / "a.log")] == expected()[:3]
    assert cli.main([*words[:1], str(tmp_path / "b.log"), *words[2:], "--battery", "urn:x:y"]) == 1
    assert "no battery urn:x:y" in capsys.readouterr().err

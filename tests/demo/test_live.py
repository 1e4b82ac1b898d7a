"""The live feed and its buses: what is sent, how far it goes, and what the terminal shows."""

import os
import pty
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from packseal.core.quantities import Quantity
from packseal.core.sample import LinkCounts
from packseal.demo import bus
from packseal.demo.feeder import Live
from packseal.demo.pack import CELLS
from packseal_drivers import profile as profiles
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.framing.recorded import Recorded, RecordedFramer
from packseal_drivers.sampler import Sampler
from packseal_drivers.settings import PythonCan, SocketCan, Stream

LIVE = "packseal/reference96"


def test_the_bus_of_choice_keeps_every_frame_on_this_machine(tmp_path: Path) -> None:
    link = bus.choose(tmp_path / "bus.sock").link
    if isinstance(link, PythonCan):
        assert link.options["hop_limit"] == 0
        assert link.channel == bus.GROUP
    else:
        assert link in (SocketCan(bus.VCAN), Stream("bus.sock"))


def test_two_demos_do_not_hear_each_other(tmp_path: Path) -> None:
    links = [bus.choose(tmp_path / "bus.sock").link for _ in range(4)]
    if not isinstance(links[0], PythonCan):
        pytest.skip("this machine has vcan or no multicast; two demos then share vcan0 or have a socket each")
    assert len({str(link) for link in links}) > 1


def test_without_vcan_and_multicast_the_pack_speaks_over_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    order = msgspec.json.encode(Live(Stream(str(path)), LIVE, str(tmp_path / "progress.json"))).decode()
    feeder = subprocess.Popen([sys.executable, "-m", "packseal.demo.feeder", order])
    try:
        frames = first_frames(path, seconds=0.5)
    finally:
        feeder.terminate()
        feeder.wait()
    file = profiles.load(LIVE)
    sampler = Sampler(compile_decoders(file), 0, counts := LinkCounts())
    samples = sampler.feed([recorded.frame for recorded in frames], lambda _: frames[0].at)
    assert (counts.short, counts.unknown, counts.flawed) == (0, 0, 0)
    assert len(samples) >= 3
    assert {c.index for c in samples[0].values if c.quantity is Quantity.CELL_VOLTAGE_V} == set(range(CELLS))
    assert abs(frames[0].at.mono_ns - time.monotonic_ns()) < 60e9


def first_frames(path: Path, seconds: float) -> list[Recorded]:
    end_s = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end_s
        time.sleep(0.02)
    framer = RecordedFramer()
    frames: list[Recorded] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        while not frames or frames[-1].at.mono_ns - frames[0].at.mono_ns < seconds * 1e9:
            frames += framer.feed(connection.recv(1 << 16))
    return frames


def test_a_terminal_shows_the_live_view(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "packseal",
        "demo",
        "--seconds",
        "4",
        "--window",
        "1",
        "--dir",
        str(tmp_path / "d"),
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    demo = subprocess.Popen(command, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown = read_all(leader)
    assert demo.wait() == 0, shown
    for word in (
        "http://127.0.0.1:",
        "frames/s",
        "windows sealed",
        "records synced",
        "last receipt",
        "State of charge",
    ):
        assert word in shown
    assert "every record sealed was received, verified and receipted" in shown
    assert "Traceback" not in shown


def read_all(leader: int) -> str:
    parts = []
    try:
        while part := os.read(leader, 1 << 16):
            parts.append(part)
    except OSError:  # a pseudo-terminal whose other end is closed says so with EIO (pty(7))
        pass
    os.close(leader)
    return b"".join(parts).decode("utf-8", "replace")

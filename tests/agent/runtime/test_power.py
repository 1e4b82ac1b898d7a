"""The power fails: by Network UPS Tools' own upsd and driver, and by a line of the kernel's GPIO simulator."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from packseal.config_power import Gpio, Nut
from packseal.core.errors import ConfigError
from packseal.core.sample import EventCode
from packseal.runtime.power import Actions, PowerWatch, Supply, open_source
from packseal.runtime.power_nut import judge, parse

PROGRAMS = f"/lib/nut:/usr/lib/nut:{os.environ.get('PATH', '')}"
"""Debian's upsd in /sbin is a script that asks whether the machine is to have one."""
PATIENCE_S = 20

pytestmark = pytest.mark.timeout(90)


@dataclass
class Heard:
    """What the watch has asked for, in order."""

    said: list[str] = field(default_factory=list)

    def actions(self) -> Actions:
        async def note(code: EventCode, facts: dict[str, int | str]) -> None:
            self.said.append(code.name + (" with its length" if "duration_ms" in facts else ""))

        return Actions(lambda: self.said.append("seal"), note, lambda: self.said.append("stop"))


@dataclass(frozen=True)
class Upsd:
    """A running upsd with one UPS, whose state stands in a file."""

    port: int
    state: Path
    settings: Nut

    def says(self, words: str) -> None:
        new = self.state.with_suffix(".new")
        new.write_text(f"ups.status: {words}\n")
        new.rename(self.state)

    def wait_for(self, words: bytes) -> None:
        """Wait until upsd itself says so."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            with closing(socket.socket()) as client:
                client.settimeout(2)
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    client.sendall(b"GET VAR rack ups.status\n")
                    if words in client.recv(200):
                        return
            time.sleep(0.1)
        pytest.fail((self.state.parent / "output").read_text())


@pytest.fixture
def upsd(tmp_path: Path) -> Iterator[Upsd]:
    programs = {name: shutil.which(name, path=PROGRAMS) for name in ("upsd", "dummy-ups")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"a UPS is not tried: {', '.join(missing)} of Debian's nut-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = tmp_path / "rack.dev"
    state.write_text("ups.status: OL\n")
    (tmp_path / "ups.conf").write_text(
        f"[rack]\ndriver = dummy-ups\nport = {state}\nmode = dummy-once\npollinterval = 1\n"
    )
    (tmp_path / "upsd.conf").write_text(f"LISTEN 127.0.0.1 {port}\n")
    (tmp_path / "upsd.users").write_text("")
    for name in ("upsd.conf", "upsd.users", "ups.conf"):
        (tmp_path / name).chmod(0o640)
    places = {"NUT_CONFPATH": str(tmp_path), "NUT_STATEPATH": str(tmp_path), "NUT_ALTPIDPATH": str(tmp_path)}
    with ExitStack() as stack:
        for words in (
            (programs["dummy-ups"], "-D", "-a", "rack", "-u", "root"),
            (programs["upsd"], "-D", "-u", "root"),
        ):
            output = stack.enter_context((tmp_path / "output").open("ab"))
            process = subprocess.Popen([str(w) for w in words], stdout=output, stderr=output, env=os.environ | places)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        made = Upsd(port, state, Nut(ups="rack", port=port, poll_s=0.2))
        made.wait_for(b'"OL"')
        yield made


async def true(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110 - some of it happens in other programs
            await asyncio.sleep(0.02)


async def until(heard: Heard, *said: str) -> None:
    await true(lambda: heard.said == list(said))


def test_one_outage_is_one_event_and_a_low_battery_stops_in_good_order(upsd: Upsd) -> None:
    async def play() -> None:
        heard, watch = Heard(), PowerWatch(open_source(upsd.settings))
        task = asyncio.create_task(watch.run(heard.actions()))
        await true(lambda: watch.supply is Supply.GOOD)
        upsd.says("OB DISCHRG")
        await until(heard, "seal", "POWER_FAILED")
        await asyncio.sleep(1)
        upsd.says("OL CHRG")
        await until(heard, "seal", "POWER_FAILED", "POWER_BACK with its length")
        heard.said.clear()
        upsd.says("OB")
        await until(heard, "seal", "POWER_FAILED")
        upsd.says("OB LB")
        await until(heard, "seal", "POWER_FAILED", "stop")
        task.cancel()

    asyncio.run(play())


def test_a_battery_that_is_low_at_the_start_seals_again_and_again_but_stops_nothing(upsd: Upsd) -> None:
    async def play() -> None:
        upsd.says("OB LB")
        heard, watch = Heard(), PowerWatch(open_source(upsd.settings))
        await asyncio.to_thread(upsd.wait_for, b"LB")  # the driver reads its file once a second
        task = asyncio.create_task(watch.run(heard.actions()))
        await true(lambda: heard.said.count("seal") >= 4)
        task.cancel()
        assert heard.said.count("POWER_FAILED") == 1
        assert "stop" not in heard.said

    asyncio.run(play())


def test_a_ups_that_nobody_knows_is_told_and_changes_nothing(upsd: Upsd) -> None:
    async def play() -> None:
        heard = Heard()
        watch = PowerWatch(open_source(msgspec.structs.replace(upsd.settings, ups="attic")))
        task = asyncio.create_task(watch.run(heard.actions()))
        await true(lambda: watch.source.trouble == "upsd answers UNKNOWN-UPS for attic")
        assert (heard.said, watch.supply) == ([], None)
        task.cancel()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("words", "supply"),
    [
        ("OL", Supply.GOOD),
        ("OL CHRG LB", Supply.GOOD),
        ("OB", Supply.FAILED),
        ("OB DISCHRG RB", Supply.FAILED),
        ("OB LB", Supply.ENDING),
        ("FSD OL", Supply.ENDING),
        ("", Supply.GOOD),
    ],
)
def test_what_the_words_mean(words: str, supply: Supply) -> None:
    assert judge(parse(f'VAR rack ups.status "{words}"\n', "rack"), Nut(ups="rack")) is supply


@pytest.mark.parametrize(
    "line", ["", "\n", "ERR DATA-STALE\n", 'VAR attic ups.status "OB"\n', "VAR rack\n", 'VAR rack "\n']
)
def test_an_answer_that_is_none_says_nothing_of_the_power(line: str) -> None:
    with pytest.raises(ValueError, match="upsd answers"):
        parse(line, "rack")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ups": "rack", "seal_on": ["OB", "OBB"]}, "'OBB' is no word of ups.status"),
        ({"ups": "a b"}, "name of a UPS"),
        ({"ups": "rack", "poll_s": 0}, "poll_s must be"),
    ],
)
def test_a_wrong_table_is_told(settings: dict[str, object], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(settings | {"kind": "nut"}, Nut)


SIMULATOR = Path("/sys/kernel/config/gpio-sim")


@dataclass(frozen=True)
class Line:
    """A line of a simulated chip, which `pull` drives."""

    settings: Gpio
    pull: Path


@pytest.fixture
def line() -> Iterator[Line]:
    pytest.importorskip("gpiod", reason="a line is not tried: the package gpiod is not installed")
    if not SIMULATOR.exists() or not os.access(SIMULATOR, os.W_OK):
        pytest.skip("a line is not tried: needs root, the kernel module gpio-sim and configfs (modprobe gpio-sim)")
    chip = SIMULATOR / f"packseal{os.getpid()}"
    bank = chip / "bank0"
    chip.mkdir()
    bank.mkdir()
    (bank / "num_lines").write_text("4")
    (chip / "live").write_text("1")
    try:
        name, device = (bank / "chip_name").read_text().strip(), (chip / "dev_name").read_text().strip()
        pull = Path(f"/sys/devices/platform/{device}/{name}/sim_gpio2/pull")
        yield Line(Gpio(line=2, chip=f"/dev/{name}", debounce_ms=20, stop_after_s=1.0), pull)
    finally:
        (chip / "live").write_text("0")
        bank.rmdir()
        chip.rmdir()


def test_a_line_tells_of_the_power_bounces_are_nothing_and_its_time_runs_out(line: Line) -> None:
    async def play() -> None:
        heard, watch = Heard(), PowerWatch(open_source(line.settings))
        task = asyncio.create_task(watch.run(heard.actions()))
        await true(lambda: watch.supply is Supply.GOOD)
        for level in ("pull-up", "pull-down") * 3:
            line.pull.write_text(level)
        await asyncio.sleep(0.2)
        assert heard.said == []
        line.pull.write_text("pull-up")
        await until(heard, "seal", "POWER_FAILED")
        line.pull.write_text("pull-down")
        await until(heard, "seal", "POWER_FAILED", "POWER_BACK with its length")
        heard.said.clear()
        line.pull.write_text("pull-up")
        await until(heard, "seal", "POWER_FAILED", "stop")
        task.cancel()

    asyncio.run(play())


def test_a_chip_that_is_not_there_is_told_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"packseal\[gpio\]|cannot be used"):
        open_source(Gpio(line=3, chip="/dev/gpiochip-none"))

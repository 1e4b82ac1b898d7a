"""packseal commission as people use it: on a terminal, from files, with wrong words; and what the agent makes of it."""

import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.agent.cli.commissioned import BATTERY, Gateway, made

from packseal.cli import main
from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.declared import Declared
from packseal.core.passport import Field, Method, Reading, Snapshot

PROMPT_S = 20.0
"""How long a terminal may be silent; it answers within a tenth of a second."""


@pytest.fixture
def gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Gateway:
    gateway = made(tmp_path)
    capsys.readouterr()
    return gateway


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


def test_values_are_set_shown_and_taken_away(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.commission("--set", "rated_capacity_ah=60,5", "--set", "category=lmt") == 0
    assert gateway.declared() == Declared(rated_capacity_ah=60.5, category="lmt")
    assert gateway.commission("--set", "category=") == 0
    assert gateway.declared() == Declared(rated_capacity_ah=60.5)
    capsys.readouterr()
    assert gateway.commission("--show") == 0
    shown = capsys.readouterr().out
    assert "rated_capacity_ah                  60.5          Ah" in shown
    assert "registry.json" in shown
    assert gateway.commission("--set", "rated_capacity_ah=60.5") == 0
    assert "nothing changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "rated_capacity_ah=-3"], "rated_capacity_ah must be above zero"),
        (["--set", "rated_capacity_ah=nan"], "must be a finite number"),
        (["--set", "rated_capacity_ah=much"], "must be a number (Ah), not 'much'"),
        (["--set", "rated_capacity_ah=1,000"], "may be two numbers"),
        (["--set", "cells_in_series=96.5"], "must be a whole number, not '96.5'"),
        (["--set", "rated_capacity=3"], "is it rated_capacity_ah?"),
        (["--set", "rated_capacity_ah"], "write it as KEY=VALUE"),
        (["--set", "category=bike"], "category must be ev, lmt, stationary or industrial"),
        (["--set", "temperature_min_c=50", "--set", "temperature_max_c=40"], "must be below temperature_max_c"),
        (["--file", "/nowhere.toml"], "cannot read /nowhere.toml: No such file"),
        (["urn:example:other"], f"name one of {BATTERY}"),
        (["--accident", " "], "say in a few words what happened"),
        (["--accident", "x" * 1001], "at most 1000 bytes"),
        ([], "there is no terminal to ask on"),
    ],
    ids=lambda v: v[-1][:24] if isinstance(v, list) and v else None,
)
@pytest.mark.usefixtures("no_terminal")
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    gateway: Gateway, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gateway.commission(*words) == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert not gateway.registry.exists()


def test_a_file_declares_as_the_configuration_does(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    toml, plain = gateway.folder / "d.toml", gateway.folder / "d.json"
    toml.write_text("rated_capacity_ah = 60\ncells_in_series = 16\n")
    plain.write_text(json.dumps({"rated_capacity_ah": 61}))
    assert gateway.commission("--file", str(toml)) == 0
    assert gateway.commission("--file", str(plain)) == 0
    assert gateway.declared() == Declared(rated_capacity_ah=61, cells_in_series=16)
    toml.write_text("rated_capacity_ah = 60\nrated_capacity = 61\n")
    assert gateway.commission("--file", str(toml)) == 1
    assert "line 2: " in capsys.readouterr().err
    plain.write_text('{"rated_capacity_ah": "sixty"}')
    assert gateway.commission("--file", str(plain)) == 1
    assert "rated_capacity_ah" in capsys.readouterr().err


def test_a_passport_declares_and_never_turns_a_status_back(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    passport = gateway.folder / "passport.json"
    document = {
        "sustainability": {"status": "original"},
        "performance": {"rated": {"capacity": {"value": 94.0}, "voltage": {"min": 259.2}}},
    }
    passport.write_text(json.dumps(document))
    assert gateway.commission("--passport", str(passport)) == 0
    told = capsys.readouterr().err
    assert "Catena-X battery_pass, 2 values" in told
    assert "not taken: performance.rated.voltage.min" in told
    assert gateway.declared() == Declared(rated_capacity_ah=94, status="original")
    assert gateway.commission("--status", "repurposed") == 0
    assert gateway.commission("--passport", str(passport)) == 0
    assert gateway.declared().status == "repurposed"
    assert "it has been repurposed since" in capsys.readouterr().err
    passport.write_text('{"temperature": 7}')
    assert gateway.commission("--passport", str(passport)) == 1
    assert "no passport in a model that is known" in capsys.readouterr().err


def test_configuration_and_registry_may_each_say_a_part_but_not_two_things(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(gateway.config)
    path.write_text(path.read_text() + "rated_capacity_ah = 60\n")
    assert gateway.commission("--set", "cells_in_series=16", "--set", "rated_capacity_ah=60") == 0
    capsys.readouterr()
    assert gateway.commission("--set", "rated_capacity_ah=58") == 1
    told = capsys.readouterr().err
    line = path.read_text().splitlines().index("rated_capacity_ah = 60") + 1
    assert "nothing was written: rated_capacity_ah is 60.0 in" in told
    assert f"packseal.toml, line {line}, and would be 58.0 in the registry: change it there" in told
    assert gateway.declared().rated_capacity_ah == 60
    path.write_text(path.read_text().replace("= 60\n", "= 59\n"))
    assert main(["run", "--config", gateway.config]) == 1
    assert "rated_capacity_ah is 59.0 here and 60.0 in the registry" in capsys.readouterr().err


def codes(bodies: list[Any]) -> list[LifecycleCode]:
    return [body.code for body in bodies if isinstance(body, Lifecycle)]


def reading(bodies: list[Any], field: Field) -> Reading:
    snapshot = [body for body in bodies if isinstance(body, Snapshot)][-1]
    return next(r for r in snapshot.readings if r.field is field)


def test_the_log_tells_of_each_change_once_and_the_baseline_begins_anew(gateway: Gateway) -> None:
    assert gateway.commission("--set", "rated_capacity_ah=120", "--set", "status=original") == 0
    first = gateway.run()
    assert codes(first)[:2] == [LifecycleCode.LOG_BEGUN, LifecycleCode.DECLARED_CHANGED]
    assert reading(first, Field.RATED_CAPACITY).value == 120
    stated = reading(first, Field.REMAINING_CAPACITY).value
    assert stated is not None
    assert gateway.commission("--status", "repurposed", "--note", "home storage") == 0
    assert gateway.commission("--bms-replaced") == 0
    assert gateway.commission("--accident", "fell off the shelf") == 0
    second = gateway.run()[len(first) :]
    told = [b for b in second if isinstance(b, Lifecycle)]
    assert codes(second)[:4] == [
        LifecycleCode.AGENT_STARTED,
        LifecycleCode.STATUS_CHANGED,
        LifecycleCode.BMS_REPLACED,
        LifecycleCode.ACCIDENT,
    ]
    assert told[1].attributes["text"] == "home storage"
    assert (told[1].attributes["status_before"], told[1].attributes["status"]) == ("original", "repurposed")
    kept = reading(second, Field.RATED_CAPACITY)
    assert (kept.value, kept.method) == (stated, Method.AT_STATUS_CHANGE)
    assert reading(second, Field.BATTERY_STATUS).value == 2
    assert reading(second, Field.ACCIDENTS).value == 1
    before, after = (reading(bodies, Field.CAPACITY_THROUGHPUT).value for bodies in (first, second))
    assert before is not None
    assert after is not None
    assert after >= before
    third = gateway.run()[len(first) + len(second) :]
    assert codes(third) == [LifecycleCode.AGENT_STARTED, LifecycleCode.SOURCE_ENDED]
    with closing(sqlite3.connect(gateway.folder / "journal.db")) as journal, journal:
        journal.execute("UPDATE log SET state = x'00' WHERE state IS NOT NULL")
    fourth = gateway.run()[len(first) + len(second) + len(third) :]
    assert codes(fourth) == [
        LifecycleCode.AGENT_STARTED,
        LifecycleCode.METER_RECOVERED,
        LifecycleCode.SOURCE_ENDED,
    ]
    assert main(["journal", "verify", "--config", gateway.config]) == 0


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._leader, follower = pty.openpty()
        command = [sys.executable, "-m", "packseal", "commission", "--config", gateway.config]
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
        )
        os.close(follower)
        self.text = ""

    def until(self, words: str) -> None:
        """Read until `words` are shown after what was read before."""
        start = len(self.text)
        while words not in self.text[start:]:
            assert select.select([self._leader], [], [], PROMPT_S)[0], f"no {words!r} in {self.text[start:]!r}"
            self.text += os.read(self._leader, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        try:
            while part := os.read(self._leader, 4096):
                self.text += part.decode()
        except OSError:  # Linux says EIO when the other side is closed
            pass
        os.close(self._leader)
        return self.process.wait(PROMPT_S)


def test_it_asks_on_a_terminal_with_units_and_what_needs_the_value(gateway: Gateway) -> None:
    terminal = Terminal(gateway)
    terminal.until("category (ev, lmt, stationary, industrial) []: ")
    terminal.type("bike\n")
    terminal.until("category must be ev, lmt, stationary or industrial")
    terminal.type("lmt\n")
    terminal.until("chemistry")
    terminal.type("\n")
    terminal.until("rated capacity (Ah) []: ")
    terminal.type("60\n")
    for _ in range(20):
        terminal.until("]: ")
        terminal.type("\n")
    terminal.until("write this? [Y/n] ")
    terminal.type("\n")
    assert terminal.end() == 0, terminal.text
    assert "for remaining_capacity, rated_capacity, capacity_fade, remaining_energy and" in terminal.text
    assert gateway.declared() == Declared(category="lmt", rated_capacity_ah=60)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, whose terminal is not its controlling one; again where it came just before the program began to wait."""
    for _ in range(10):
        os.kill(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
            return


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 1)], ids=["ctrl-c", "ctrl-d"])
def test_ctrl_c_and_the_end_of_input_write_nothing(gateway: Gateway, key: str, code: int) -> None:
    terminal = Terminal(gateway)
    terminal.until("category")
    terminal.type("lmt\n")
    terminal.until("chemistry (nmc, nca, lfp, lmo, lco, lto, sodium, other) []: ")
    if key == "\x03":
        interrupt(terminal.process)
    else:
        terminal.type(key)
    assert terminal.end() == code, terminal.text
    assert "nothing was written" in terminal.text
    assert "Traceback" not in terminal.text
    assert not gateway.registry.exists()

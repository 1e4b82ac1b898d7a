"""Faults and kills of the real agent and the real sink; with --long only, for the whole of it takes half an hour."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packseal_hil.faults import kills, matrix, shim, starts
from packseal_hil.faults.station import Station

WHY = shim.missing()
KILLS = 210
pytestmark = [
    pytest.mark.skipif(bool(WHY), reason=f"no faults on this machine: {WHY}"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(autouse=True)
def _long(*, wants_long_ones: bool) -> None:
    if not wants_long_ones:
        pytest.skip("faults and kills of the whole programs are made with --long only")


def test_running_programs_meet_every_fault_and_go_on(
    library: Path, tmp_path: Path, measure: Callable[[str, float], None]
) -> None:
    with Station(tmp_path / "running", library) as station:
        station.start()
        rows = [matrix.meet(station, fault) for fault in matrix.faults(station)]
        rows += [matrix.vanish(station, of) for of in (matrix.AGENT, matrix.SINK)]
        rows.append(matrix.ending(station))
    measure("failed_calls", sum(row.met for row in rows))
    assert [row for row in rows if row.wrong] == []


@pytest.fixture
def card(tmp_path: Path) -> Iterator["Card"]:
    if os.geteuid() != 0:
        pytest.skip("mounting a card of its own needs root: run the tests as root")
    made = Card(tmp_path)
    yield made
    made.leave()


class Card:
    """An ext4 file system in a file, mounted over a directory."""

    def __init__(self, work: Path) -> None:
        self._image, self._mounted = work / "card", Path()
        self._run("truncate", "-s", "64M", str(self._image))
        self._run("mkfs.ext4", "-q", str(self._image))

    def mount(self, where: Path) -> None:
        done = subprocess.run(["mount", "-o", "loop", self._image, where], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this machine does not let root mount a file: {done.stderr.strip()}")
        self._mounted = where

    def fail(self) -> None:
        """Make the kernel give it up, as after an error of the card: ext4(5), mount option abort."""
        self._run("mount", "-o", "remount,abort", str(self._mounted))

    def leave(self) -> None:
        subprocess.run(["umount", "-l", self._mounted], check=False, capture_output=True)

    def copy(self) -> None:
        """Become what another computer makes of it."""
        mended = self._image.with_name("mended")
        self._run("cp", str(self._image), str(mended))
        subprocess.run(["e2fsck", "-fy", mended], check=False, capture_output=True)
        self._image = mended

    def _run(self, *words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)


def test_a_card_that_turns_read_only_is_taken_up_when_it_is_mended_and_mounted_anew(
    library: Path, tmp_path: Path, card: Card
) -> None:
    station = Station(tmp_path / "card_in_use", library)
    card.mount(station.state)
    with station:
        station.start()
        station.until(lambda: kills.received(station) > 20, 60, "nothing is received")
        card.fail()
        station.until(lambda: "Read-only file system" in matrix.agent_trouble(station), 60, "it is not told")
        assert station.told().returncode == 1
        card.leave()
        station.until(lambda: "not there any more" in matrix.agent_trouble(station), 60, "it is not told")
        card.copy()
        card.mount(station.state)
        station.until(lambda: not matrix.agent_trouble(station), 60, "it does not go on")
        assert station.complaints() == []
        assert matrix.ending(station).wrong == []
        assert sum("ERROR" in line for line in station.lines()) <= 6


def test_data_volumes_that_cannot_be_put_on_record(library: Path, tmp_path: Path) -> None:
    with Station(tmp_path / "budget", library, mb_per_day=5) as station:
        station.start()
        rows = [matrix.meet(station, fault) for fault in matrix.volume_faults()]
        rows.append(matrix.ending(station))
    assert [row for row in rows if row.wrong] == []


def test_what_finds_no_room_in_memory_is_named_by_a_gap(library: Path, tmp_path: Path) -> None:
    with Station(tmp_path / "fast", library, speed=3000) as station:
        station.start()
        assert matrix.overflow(station).wrong == []


def test_every_call_of_a_start_fails_in_turn(library: Path, tmp_path: Path) -> None:
    with Station(tmp_path / "starting", library) as station:
        tries = list(starts.agent_starts(station))
    assert sum(tried.tries for tried in tries) > 50
    assert [tried for tried in tries if tried.wrong] == []


@pytest.mark.parametrize("command", starts.COMMANDS, ids=lambda command: command.name)
def test_every_call_of_a_command_fails_in_turn(library: Path, tmp_path: Path, command: starts.Command) -> None:
    tries = list(starts.command_tries(command, tmp_path, library))
    assert sum(tried.tries for tried in tries) > 20
    assert [tried for tried in tries if tried.wrong] == []


def test_kills_lose_nothing_that_was_acknowledged_or_receipted(
    library: Path, tmp_path: Path, measure: Callable[[str, float], None]
) -> None:
    with Station(tmp_path / "killed", library) as station:
        tally = kills.run(station, KILLS, KILLS, 4711, lambda _: None)
    measure("acknowledged_records", tally.acknowledged)
    measure("receipted_records", tally.receipted)
    assert (tally.agent_kills, tally.sink_kills) == (KILLS, KILLS)
    assert tally.early_kills > KILLS / 20
    assert tally.is_well, tally.text()

"""The person at the bench, on a real terminal (a pseudo-terminal, pty(7)) held by this test."""

import asyncio
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from packseal_hil.rig.manual import Person
from packseal_hil.rig.protocols import RigError

ANSWER_S = 20


class Terminal:
    """Both ends of a terminal."""

    def __init__(self) -> None:
        self.ours, self._theirs = pty.openpty()
        self.path = Path(os.ttyname(self._theirs))

    def seen(self) -> str:
        return os.read(self.ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def close(self) -> None:
        os.close(self.ours)
        os.close(self._theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


async def answered(terminal: Terminal, text: str) -> str:
    """Ask, answer once the question is there, and return the question."""
    asking = asyncio.create_task(Person(terminal.path).do("Unplug the CAN connector"))
    seen = await asyncio.wait_for(asyncio.to_thread(terminal.seen), ANSWER_S)
    assert not asking.done()
    terminal.type(text)
    await asyncio.wait_for(asking, ANSWER_S)
    return seen


def test_it_waits_until_the_person_has_done_it(terminal: Terminal) -> None:
    assert "Unplug the CAN connector, then press Enter" in asyncio.run(answered(terminal, "\n"))


def test_a_person_who_cannot_says_so(terminal: Terminal) -> None:
    with pytest.raises(RigError, match="could not: Unplug the CAN connector"):
        asyncio.run(answered(terminal, "No\n"))


def test_end_of_input_is_no_answer(terminal: Terminal) -> None:
    with pytest.raises(RigError, match="closed before this was done"):
        asyncio.run(answered(terminal, "\x04"))


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="run this bench from a terminal"):
        asyncio.run(Person(tmp_path / "tty").do("Pull the plug"))

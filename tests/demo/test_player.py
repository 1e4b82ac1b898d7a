"""The player over a real socket: every message once, in order, to agents that come, go and are slow."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from packseal.core.errors import InputError
from packseal.core.sample import ClockQuality, Frame, Instant
from packseal.demo.player import Part, Player, Progress
from packseal_drivers.framing.recorded import END_ADDRESS, HEADER, Recorded, encode

PER_PART = 50


def messages(parts: int, step_s: float = 0) -> list[Part]:
    made = []
    for part in range(parts):
        numbers = range(part * PER_PART, (part + 1) * PER_PART)
        data = b"".join(encode(recorded(n)) for n in numbers)
        made.append(Part(part * step_s, data, PER_PART, PER_PART))
    return made


Play = Callable[[list[Part]], tuple[Path, Progress]]


def recorded(n: int) -> Recorded:
    return Recorded(Frame(n, bytes(n % 65), n), Instant(n, 10 * n, ClockQuality.RTC))


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Return what starts a player in a thread that ends with the test."""
    with ExitStack() as stack:

        def play(parts: list[Part]) -> tuple[Path, Progress]:
            path = tmp_path / "bus.sock"
            player = Player(path, lambda _: None)
            thread = threading.Thread(target=run, args=(player, parts))
            thread.start()
            stack.callback(thread.join)
            stack.callback(player.close)
            return path, player.progress

        yield play


def run(player: Player, parts: list[Part]) -> None:
    with suppress(OSError):
        player.play(parts)
        player.end()


class Agent:
    """Reads messages off the socket one by one."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def read(self) -> tuple[int, int]:
        """Return the address and the length of the next message, whose parts must agree."""
        mono_ns, wall_ns, address, length, quality = HEADER.unpack(self.file.read(HEADER.size))
        assert len(self.file.read(length)) == length
        if address != END_ADDRESS:
            assert (mono_ns, wall_ns, length, quality) == (address, 10 * address, address % 65, ClockQuality.RTC)
        return address, length

    def read_to_end(self) -> list[int]:
        addresses = []
        while (address := self.read()[0]) != END_ADDRESS:
            addresses.append(address)
        return addresses

    def leave(self) -> None:
        self.file.close()
        self.socket.close()


def test_one_agent_gets_every_message_once_and_then_the_end(play: Play) -> None:
    path, progress = play(messages(40))
    agent = Agent(path)
    assert agent.read_to_end() == list(range(40 * PER_PART))
    assert (progress.rows, progress.frames, progress.ended) == (2000, 2000, True)
    agent.leave()


def test_an_agent_that_comes_after_the_end_is_told_so(play: Play) -> None:
    path, _ = play(messages(1))
    first = Agent(path)
    first.read_to_end()
    first.leave()
    second = Agent(path)
    assert second.read() == (END_ADDRESS, 0)
    second.leave()


def test_a_slow_agent_holds_the_player_back(play: Play) -> None:
    path, progress = play(messages(400))
    agent = Agent(path)
    agent.read()
    time.sleep(0.3)
    assert progress.frames < 10_000  # of 20,000, about 56 bytes each, through a buffer of 64 KiB
    assert agent.read_to_end() == list(range(1, 20_000))
    agent.leave()


def test_the_next_agent_goes_on_at_a_whole_message_and_nothing_comes_twice(
    play: Play,
) -> None:
    path, _ = play(messages(400))
    seen: list[int] = []
    for reads in (1, 333, 4000):
        agent = Agent(path)
        seen += [agent.read()[0] for _ in range(reads)]
        agent.leave()
    agent = Agent(path)
    seen += agent.read_to_end()
    agent.leave()
    assert seen == sorted(set(seen))
    assert seen[-1] == 400 * PER_PART - 1
    lost = 400 * PER_PART - len(seen)
    assert lost < 3 * 9000  # three agents took what was in the socket's and their own buffers with them


def test_a_paced_play_waits_for_its_time_and_for_an_agent(play: Play) -> None:
    path, _ = play(messages(30, step_s=0.01))
    time.sleep(0.2)
    agent = Agent(path)
    start_s = time.monotonic()
    assert len(agent.read_to_end()) == 30 * PER_PART
    assert 0.25 < time.monotonic() - start_s < 5
    agent.leave()


def test_a_socket_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be made"):
        Player(tmp_path / "none" / "bus.sock", lambda _: None)

"""The hand: the guest's program as a process of this machine, and the bench's end of it, over a pair of sockets."""

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from packseal_hil.gateway import machine
from packseal_hil.gateway.hand import LINE_BYTES, Hand
from packseal_hil.rig.protocols import RigError

PROGRAM = machine.GUEST / "hand.py"
GREETED_S = 60.0


@asynccontextmanager
async def hand() -> AsyncIterator[tuple[Hand, subprocess.Popen[bytes]]]:
    """The bench's end of a hand that runs here."""
    near, far = socket.socketpair()
    with far:
        command = [sys.executable, "-I", "-S", str(PROGRAM), "-"]
        process = subprocess.Popen(command, stdin=far.fileno(), stdout=far.fileno())  # noqa: ASYNC220 - at once
    reader, writer = await asyncio.open_unix_connection(sock=near, limit=LINE_BYTES)
    made = Hand(reader, writer)
    try:
        await made.greet(GREETED_S)
        yield made, process
    finally:
        await made.close()
        process.kill()
        process.wait()


def with_hand(use: Callable[[Hand, subprocess.Popen[bytes]], Awaitable[None]]) -> None:
    async def run() -> None:
        async with hand() as (made, process):
            await use(made, process)

    asyncio.run(run())


def test_commands_run_and_what_they_say_comes_back() -> None:
    async def use(made: Hand, _: object) -> None:
        done = await made.run("echo out; echo err >&2; exit 3")
        assert (done.code, done.output) == (3, "out\nerr\n")

    with_hand(use)


def test_several_commands_run_at_once() -> None:
    async def use(made: Hand, _: object) -> None:
        began_s = time.monotonic()
        await asyncio.gather(*(made.run("sleep 1") for _ in range(8)))
        assert time.monotonic() - began_s < 6

    with_hand(use)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    async def use(made: Hand, _: object) -> None:
        script = f"echo begun; (while :; do date >> {tmp_path}/alive; sleep 0.1; done) & sleep 60"
        with pytest.raises(RigError, match=r"not ready after 1 s; it has said: begun"):
            await made.run(script, timeout_s=1)
        await asyncio.sleep(0.5)
        size = (tmp_path / "alive").stat().st_size
        await asyncio.sleep(0.5)
        assert (tmp_path / "alive").stat().st_size == size

    with_hand(use)


def test_what_is_started_goes_on_under_its_own_process_id(tmp_path: Path) -> None:
    async def use(made: Hand, _: object) -> None:
        pid = await made.start("sleep 60", str(tmp_path / "log"))
        assert (await made.run(f"cat /proc/{pid}/comm")).output == "sleep\n"
        await made.run(f"kill {pid}")
        assert (
            await made.run(f"for i in 1 2 3 4 5 6 7 8; do kill -0 {pid} || exit 0; sleep 0.5; done; exit 1")
        ).code == 0
        loud = await made.start("echo said; exit 1", str(tmp_path / "log"))
        assert loud != pid
        await made.run(f"until grep -q said {tmp_path}/log; do sleep 0.1; done")

    with_hand(use)


def test_files_go_both_ways_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000

    async def use(made: Hand, _: object) -> None:
        path = str(tmp_path / "new" / "file")
        await made.put(path, content)
        assert Path(path).stat().st_mode & 0o777 == 0o600  # noqa: ASYNC240
        assert await made.get(path) == content
        await made.put(path, b"", mode=0o755)
        assert await made.get(path) == b""
        with pytest.raises(RigError, match=r"get /no/such/file: FileNotFoundError"):
            await made.get("/no/such/file")

    with_hand(use)


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"[1]", b"null", b'{"do": "run"}', b'{"id": 1}', b'{"id": 1, "do": "fly"}', b"\xff\x00",
     b'{"id": 1, "do": "run"}', b'{"id": 1, "do": "put", "path": "/dev/null/x", "content": "!"}',
     b'{"id": 1, "do": "run", "command": "true", "timeout_s": "soon"}'],
)  # fmt: skip
def test_a_bad_line_is_answered_and_does_no_harm(line: bytes) -> None:
    good = json.dumps({"id": 7, "do": "run", "command": "echo well", "timeout_s": 30}).encode()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", DRIVE, str(PROGRAM), line.hex(), good.hex()], capture_output=True, check=True
    )
    answers = {answer.get("id", "hello"): answer for answer in map(json.loads, done.stdout.splitlines())}
    assert base64.b64decode(answers[7]["output"]) == b"well\n"
    assert len(answers) == (3 if line else 2)
    assert all("error" in answer for number, answer in answers.items() if number in (None, 1))


# Keeps the hand's input open until both answers are there: it ends with its input.
DRIVE = """
import subprocess, sys
hand = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
lines = [bytes.fromhex(word) for word in sys.argv[2:]]
for line in lines:
    hand.stdin.write(line + b"\\n")
hand.stdin.flush()
for _ in range(1 + sum(map(bool, lines))):
    sys.stdout.buffer.write(hand.stdout.readline())
hand.kill()
"""


def test_a_guest_that_dies_is_told_to_whoever_waits() -> None:
    async def use(made: Hand, process: subprocess.Popen[bytes]) -> None:
        asked = asyncio.create_task(made.run("sleep 60"))
        await asyncio.sleep(0.2)
        process.kill()
        process.wait()
        with pytest.raises(RigError, match="the guest ended while it was asked"):
            await asked
        with pytest.raises(RigError, match="the guest is not running"):
            await made.run("true")

    with_hand(use)


def test_a_guest_that_never_greets_is_waited_for_no_longer_than_said() -> None:
    async def run() -> None:
        near, far = socket.socketpair()
        with far:
            made = Hand(*await asyncio.open_unix_connection(sock=near))
            with pytest.raises(RigError, match="did not boot in 0 s"):
                await made.greet(0.1)
            far.close()
            with pytest.raises(RigError, match="ended while it booted"):
                await made.greet(10)
            await made.close()

    asyncio.run(run())

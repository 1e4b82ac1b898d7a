"""Name servers that are silent, know nothing or lie, and IPv6 that leads nowhere, in a namespace of their own."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.end_to_end.network import inside, why_not

from packseal.core.errors import UplinkError
from packseal.uplink.names import Names

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).parents[3]
SOON_S = 2.0  # what takes a name server's time-out, or one attempt, takes longer


def run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    subprocess.run([shutil.which(command[0], path=path) or command[0], *command[1:]], check=True, capture_output=True)


@contextmanager
def namespace() -> Iterator[str]:
    """Make a network whose only name server is 127.0.0.53, and whose IPv6 is a wire that nobody listens at."""
    name = f"packseal-{os.getpid()}-names"
    settings = Path("/etc/netns") / name  # ip-netns(8): laid over /etc inside
    with ExitStack() as stack:
        settings.mkdir(parents=True)
        stack.callback(shutil.rmtree, settings)
        (settings / "resolv.conf").write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
        run("ip", "netns", "add", name)
        stack.callback(run, "ip", "netns", "del", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "add", "wire", "type", "veth", "peer", "name", "other")
        for device in ("wire", "other"):
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", name, "address", "add", "2001:db8::99/64", "dev", "wire", "nodad")
        yield name


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[str, float]]:
    if trouble := why_not():
        pytest.skip(trouble)
    with namespace() as name:
        began = time.monotonic()
        command = [*inside(name), sys.executable, "-m", "tests.agent.uplink.resolving"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "agent"), str(ROOT)])}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        found: dict[str, tuple[str, float]] = json.loads(done.stdout)
        found["all"] = "", time.monotonic() - began
        return found


@pytest.mark.parametrize(
    ("mode", "place"),
    [
        ("unknown from the beginning", "the name sink.example cannot be resolved: Name or service not known"),
        ("silent from the beginning", "no name server answers for sink.example"),
        ("answers", "127.0.0.1"),
        ("unknown later", "127.0.0.1"),
        ("silent later", "127.0.0.1"),
        ("lies", "127.0.0.1"),
        ("lies again", "127.0.0.1"),
        ("IPv6 leads nowhere", "127.0.0.1"),
        ("silent at the end", "no name server answers for sink.example"),
    ],
)
def test_what_is_reached_by_name(said: dict[str, tuple[str, float]], mode: str, place: str) -> None:
    assert said[mode][0] == place
    assert said[mode][1] < SOON_S


def test_who_answers_in_place_of_the_sink_is_met_once(said: dict[str, tuple[str, float]]) -> None:
    assert said["lies on"][0] in ("127.0.0.1", "127.0.0.9")


def test_questions_share_one_thread_and_hold_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is stood in for: here nothing but its blocking counts."""
    release = threading.Event()
    asked = []

    def stuck(*arguments: object, **_: object) -> list[object]:
        asked.append(arguments)
        release.wait(30)
        return []

    monkeypatch.setattr("packseal.uplink.names.socket.getaddrinfo", stuck)

    async def scenario() -> None:
        names = Names("sink.example", 443)
        for _ in range(5):
            with pytest.raises(UplinkError, match="no name server answers"):
                await names.ask(0.01)

    began = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - began < SOON_S
    assert len(asked) == 1
    release.set()

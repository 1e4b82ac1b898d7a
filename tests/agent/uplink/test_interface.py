"""Two links between a gateway and a sink: an uplink that is bound to one uses that one, as anybody."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.end_to_end.network import inside, why_not

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parents[3]
SINK, PORT = "203.0.113.1", 8443  # RFC 5737
LINKS = {"wlan0": ("192.0.2.2", "192.0.2.1", 100), "wwan0": ("198.51.100.2", "198.51.100.1", 200)}
SERVE = f"""
import socket
server = socket.create_server(("{SINK}", {PORT}))
print("ready", flush=True)
while True:
    connection, place = server.accept()
    print(place[0], flush=True)
    connection.close()
"""
CONNECT = f"""
import asyncio, encodings.idna, os, sys  # what the resolver needs, as long as everything can be read
from packseal.core.errors import UplinkError
from packseal.uplink.reach import Pace, Reach
if sys.argv[2] == "nobody":
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    reach = Reach("{SINK}", {PORT}, Pace(give_up_s=1.0), interface=sys.argv[1] or None)
    try:
        connected = await reach.connect()
    except UplinkError as error:
        print(error)
    else:
        print(connected.getsockname()[0])
        connected.close()
asyncio.run(main())
"""


def run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    subprocess.run([shutil.which(command[0], path=path) or command[0], *command[1:]], check=True, capture_output=True)


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """A namespace with two ways to a sink; the routing table prefers wlan0."""
    if trouble := why_not():
        pytest.skip(trouble)
    near, far = (f"packseal-{os.getpid()}-{end}" for end in ("two", "sink"))
    with ExitStack() as stack:
        for name in (near, far):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", far, "address", "add", f"{SINK}/32", "dev", "lo")
        for device, (own, other, metric) in LINKS.items():
            run("ip", "-n", near, "link", "add", device, "type", "veth", "peer", "name", device, "netns", far)
            for name, address in ((near, own), (far, other)):
                run("ip", "-n", name, "address", "add", f"{address}/24", "dev", device)
                run("ip", "-n", name, "link", "set", device, "up")
            run("ip", "-n", near, "route", "add", "default", "via", other, "dev", device, "metric", str(metric))
        server = subprocess.Popen([*inside(far), sys.executable, "-c", SERVE], stdout=subprocess.PIPE)
        stack.callback(server.wait)
        stack.callback(server.kill)
        assert server.stdout is not None
        stack.callback(server.stdout.close)
        assert server.stdout.readline() == b"ready\n"
        yield near


def through(gateway: str, interface: str, user: str = "root") -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "agent")}
    command = [*inside(gateway), sys.executable, "-c", CONNECT, interface, user]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize(
    ("interface", "said"),
    [
        ("", "192.0.2.2"),
        ("wlan0", "192.0.2.2"),
        ("wwan0", "198.51.100.2"),
        ("wwan7", "interface wwan7 is not there: No such device"),
        ("lo", f"{SINK} port {PORT} does not answer through lo"),
    ],
    ids=["any", "wifi", "cellular", "absent", "elsewhere"],
)
def test_an_uplink_uses_the_interface_it_is_bound_to(gateway: str, interface: str, said: str, user: str) -> None:
    """An ordinary user may: Linux 5.7 and newer."""
    if user == "nobody" and tuple(map(int, os.uname().release.split(".")[:2])) < (5, 7):
        pytest.skip("an ordinary user may bind to an interface from Linux 5.7 on")
    assert through(gateway, interface, user) == said

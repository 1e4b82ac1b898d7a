"""Run by test_names.py in a network namespace of its own: a name server that can lie, and what Reach makes of it.

Prints one line of JSON: what was found out under each name server.
"""

import asyncio
import json
import socket
import struct
import sys
import time

from packseal.core.errors import UplinkError
from packseal.uplink.reach import Pace, Reach

NAME = "sink.example"
A, AAAA = 1, 28  # RFC 1035 §3.2.2, RFC 3596 §2.1
PACE = Pace(give_up_s=4.0, resolve_s=0.5)
LIBRARY_S = 3.0
"""After that the C library has given up what nobody answered: test_names.py sets it to one try of 1 s."""


class NameServer(asyncio.DatagramProtocol):
    """Answers with `addresses`; `mode`: answers, unknown (NXDOMAIN) or silent."""

    def __init__(self) -> None:
        self.mode = "answers"
        self.addresses: list[str] = []
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.asked += 1
        if self.mode == "silent":
            return
        question = data[12 : data.index(b"\0", 12) + 5]
        kind = struct.unpack("!H", question[-4:-2])[0]
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        mine = [a for a in self.addresses if (":" in a) is (family == socket.AF_INET6)] if family else []
        found = [] if self.mode == "unknown" or family is None else [socket.inet_pton(family, a) for a in mine]
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(f)) + f for f in found)
        flags = 0x8183 if self.mode == "unknown" else 0x8180
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        assert isinstance(self._transport, asyncio.DatagramTransport)
        self._transport.sendto(head + question + answers, address)


async def reached(reach: Reach) -> tuple[str, float]:
    """Return the address that was connected to, or why none was, and the seconds it took."""
    began = time.monotonic()
    try:
        connected = await reach.connect()
    except UplinkError as error:
        return str(error), time.monotonic() - began
    place = connected.getpeername()
    connected.close()
    if place[0] == "127.0.0.1":
        reach.proven(place)
    else:
        reach.doubt(place)
    return place[0], time.monotonic() - began


async def main() -> dict[str, tuple[str, float]]:
    loop = asyncio.get_running_loop()
    _, names = await loop.create_datagram_endpoint(NameServer, ("127.0.0.53", 53))
    sink = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 8883)
    portal = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.9", 8883)
    said: dict[str, tuple[str, float]] = {}
    async with sink, portal:
        reach = Reach(NAME, 8883, PACE)
        for mode in ("unknown", "silent"):
            names.mode = mode
            said[f"{mode} from the beginning"] = await reached(reach)
        names.mode, names.addresses = "answers", ["127.0.0.1"]
        await asyncio.sleep(LIBRARY_S)
        said["answers"] = await reached(reach)
        for mode in ("unknown", "silent"):
            names.mode = mode
            said[f"{mode} later"] = await reached(reach)
        names.mode, names.addresses = "answers", ["127.0.0.9"]
        await asyncio.sleep(LIBRARY_S)
        said["lies"] = await reached(reach)
        said["lies on"] = await reached(reach)
        said["lies again"] = await reached(reach)
        names.addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5", "127.0.0.1"]
        said["IPv6 leads nowhere"] = await reached(Reach(NAME, 8883, PACE))
        names.mode = "silent"
        said["silent at the end"] = await reached(Reach(NAME, 8883, PACE))
    return said


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main())))

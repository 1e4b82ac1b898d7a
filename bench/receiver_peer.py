"""`python -m bench.receiver_peer MEDIUM`: python-can's Notifier and a listener that decodes with cantools.

Says its port, receives until a line comes on standard input, and says as JSON how many frames came at which cost.
"""

import json
import select
import socket
import sys
import time
from typing import Any

import can
from can.interfaces.socketcan import socketcan

from bench import frames, medium
from packseal_drivers import profile


class UdpBus(can.BusABC):
    """python-can's SocketCAN bus on another socket: its select, its `capture_message`, its Message."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(channel="udp")
        self.socket = end

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        ready, _, _ = select.select([self.socket], [], [], timeout)
        return (socketcan.capture_message(self.socket), True) if ready else (None, True)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send nothing."""
        raise NotImplementedError


def main() -> None:
    """Receive in the Notifier's thread while this one waits for the word."""
    name = sys.argv[1]
    medium.settle(1)
    decode = frames.load_database(profile.load("packseal/reference96")).decode_message
    seen = 0

    def listen(message: can.Message) -> None:
        nonlocal seen
        decode(message.arbitration_id, message.data, decode_choices=False)
        seen += 1

    bus, port = _open(name)
    notifier = can.Notifier(bus, [listen])
    began = time.process_time()
    print(port, flush=True)
    sys.stdin.readline()
    print(json.dumps({"frames": seen, "cpu_s": time.process_time() - began}), flush=True)
    notifier.stop(0.1)
    bus.shutdown()


def _open(name: str) -> tuple[Any, int]:
    if name != medium.UDP:
        return can.Bus(interface="socketcan", channel=name), 0
    end = medium.receiving()
    return UdpBus(end), end.getsockname()[1]


if __name__ == "__main__":
    main()

"""In the guest: frames as fast as our link takes them, paced by it, on one interface. Arguments: interface, seconds.

Prints how many went through in a second, sent by one socket and drained by the link, and how many were lost.
"""

import json
import socket
import struct
import sys
import time

from packseal.clock import SystemClock
from packseal_drivers.links.socketcan import SocketCanLink

BURST = 50

interface, seconds = sys.argv[1:]
link, clock = SocketCanLink(interface, [0x3F0]), SystemClock()
link.open()
frame = struct.pack("=IB3x8s", 0x3F0, 8, bytes(8))
with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as far:
    far.bind((interface,))
    sent, got, began_s = 0, 0, time.monotonic()
    while time.monotonic() - began_s < float(seconds):
        for _ in range(BURST):
            far.send(frame)
        sent += BURST
        got += len(link.drain(clock.now()))
    took_s = time.monotonic() - began_s
link.close()
print(json.dumps({"frames_per_s": got / took_s, "lost": sent - got}), flush=True)  # noqa: T201

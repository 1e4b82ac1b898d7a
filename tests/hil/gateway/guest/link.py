"""In the guest: our own link on a kernel interface. Arguments: interface, seconds, addresses. Prints JSON."""

import json
import sys
import time

from packseal.clock import SystemClock
from packseal_drivers.links.socketcan import SocketCanLink

channel, seconds, *addresses = sys.argv[1:]
link = SocketCanLink(channel, [int(a, 16) for a in addresses])
link.open()
print("open", flush=True)  # noqa: T201 - what the test waits for
clock, frames, end_s = SystemClock(), [], time.monotonic() + float(seconds)
while time.monotonic() < end_s:
    frames += [(frame.address, frame.data.hex()) for frame in link.drain(clock.now())]
    time.sleep(0.01)
link.close()
print(json.dumps({"frames": frames, "dropped": link.dropped}), flush=True)  # noqa: T201

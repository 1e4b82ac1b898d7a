"""In the guest: bleak finds, connects, reads and is notified. Arguments: the name, the two characteristics.

Prints a JSON object: seconds to find and to connect, values, notifications as hex, reads per second.
"""

import asyncio
import json
import sys
import time

from bleak import BleakClient, BleakScanner

name, level, voltage = sys.argv[1:]
FIND_S, CONNECT_S, LISTEN_S, READ_S = 60, 60, 4, 3


async def main() -> None:
    began_s = time.monotonic()
    device = await BleakScanner.find_device_by_name(name, timeout=FIND_S)
    if device is None:
        sys.exit(f"{name} was not found within {FIND_S} s")
    found_s = time.monotonic() - began_s
    began_s = time.monotonic()
    notified: list[str] = []
    async with BleakClient(device, timeout=CONNECT_S) as client:
        connected_s = time.monotonic() - began_s
        values = [(await client.read_gatt_char(c)).hex() for c in (level, voltage)]
        await client.start_notify(level, lambda _, data: notified.append(data.hex()))
        await asyncio.sleep(LISTEN_S)
        await client.stop_notify(level)
        reads, end_s = 0, time.monotonic() + READ_S
        while time.monotonic() < end_s:
            await client.read_gatt_char(level)
            reads += 1
    told = {"found_s": found_s, "connected_s": connected_s, "values": values, "notified": notified}
    print(json.dumps(told | {"reads_per_s": reads / READ_S}), flush=True)  # noqa: T201 - what the test reads


asyncio.run(main())

"""In the guest: the agent's own driver of a profile on a kernel interface. Arguments: profile, interface, seconds.

Prints the channels and values of every sample as a JSON object, a line each.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from packseal.clock import SystemClock
from packseal.core.sample import Sample
from packseal_drivers import profile
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import SocketCan

name, interface, seconds = sys.argv[1:]
here = Path("/run/bench")


async def main() -> None:
    driver = open_driver(
        SocketCan(interface), profile.load(name, here), directory=here, cache=None, clock=SystemClock()
    )
    print("open", flush=True)  # noqa: T201 - what the test waits for
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(float(seconds)):
            async for batch in driver.batches():
                for said in batch:
                    if isinstance(said, Sample):
                        values = {f"{c.quantity.name.lower()}[{c.index}]": v for c, v in said.values.items()}
                        print(json.dumps(values), flush=True)  # noqa: T201


asyncio.run(main())

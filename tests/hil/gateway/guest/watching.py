"""In the guest: the agent's own driver of a profile, its notices too. Arguments: profile, interface, seconds.

Prints a JSON object a line: {"notice": name, ...} or {"sample": {channel: value}}.
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


def tell(what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - what the test reads


async def main() -> None:
    here = Path("/run/bench")
    driver = open_driver(SocketCan(interface), profile.load(name), directory=here, cache=None, clock=SystemClock())
    tell("open")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(float(seconds)):
            async for batch in driver.batches():
                for said in batch:
                    if isinstance(said, Sample):
                        tell({"sample": {f"{c.quantity.key}[{c.index}]": v for c, v in said.values.items()}})
                    else:
                        tell({"notice": said.code.name, **said.attributes})


asyncio.run(main())

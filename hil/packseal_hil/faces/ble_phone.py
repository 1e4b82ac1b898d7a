"""Phone: somebody else who takes the only connection of a battery, and lets it go."""

import asyncio
import contextlib

from bumble.device import Device
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from packseal_hil.faces.ble_air import Air, AirController

ADDRESS = "F4:5C:89:00:00:01"
LET_GO_S = 5.0


class Phone:
    """A central on the air that wants the battery at `battery`, and holds it until it lets go."""

    def __init__(self, air: Air, battery: str) -> None:
        self._air = air
        self._battery = Address(battery)
        self._task: asyncio.Task[None] | None = None
        self.holds = asyncio.Event()
        """Whether it is connected."""

    def take(self) -> None:
        """Connect as soon as the battery's connection is free."""
        if self._task is None:
            self._task = asyncio.create_task(self._hold(), name="phone")

    async def let_go(self) -> None:
        """Disconnect, or give up waiting."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.holds.clear()

    async def _hold(self) -> None:
        controller = AirController("phone", link=self._air, public_address=ADDRESS)
        device = Device(name="phone", address=Address(ADDRESS), host=Host(controller, AsyncPipeSink(controller)))
        try:
            await device.power_on()
            connection = await device.connect(self._battery, timeout=None)
            self.holds.set()
            try:
                await asyncio.Event().wait()
            finally:
                with contextlib.suppress(Exception):  # bumble raises a dozen kinds when the battery is gone already
                    await asyncio.wait_for(connection.disconnect(), LET_GO_S)
        finally:
            self._air.remove(controller)

"""Power: what the agent does when its own power fails, and when it is back. Who tells of it is the source's matter."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from packseal.config_power import Gpio, Power
from packseal.core.sample import EventCode

log = logging.getLogger(__name__)


class Supply(Enum):
    """How the gateway is supplied."""

    GOOD = "good"
    FAILED = "failed"  # from a battery of its own, or what the capacitors hold
    ENDING = "ending"  # and not for long any more


class PowerSource(Protocol):
    """Tells of the gateway's power."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def trouble(self) -> str:
        """Why nothing is known at present; "" when something is."""

    def states(self) -> AsyncIterator[Supply]:
        """Yield how it is, again and again, for ever; waits while that is not known. Raises ConfigError."""


Note = Callable[[EventCode, dict[str, int | str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Actions:
    """What is to be done: seal every open window, sign an event, stop in good order."""

    seal: Callable[[], None]
    note: Note
    stop: Callable[[], None]


class PowerWatch:
    """Acts on what a source tells. Outlives the agent's opening anew, so that one outage is one event."""

    def __init__(self, source: PowerSource) -> None:
        self.source = source
        self.supply: Supply | None = None
        self._failed_at_s = 0.0

    async def run(self, actions: Actions) -> None:
        """Watch for ever.

        A supply that is ending already when it is first heard of is no reason to stop: a service that is started again
        and again would be stopped again and again. The windows are then sealed as often as the source speaks.
        """
        async for supply in self.source.states():
            before, self.supply = self.supply, supply
            if supply is Supply.GOOD:
                if before not in (None, Supply.GOOD):
                    await self._is_back(actions)
            elif before in (None, Supply.GOOD):
                await self._has_failed(actions)
            if supply is Supply.ENDING:
                if before not in (None, Supply.ENDING):
                    log.warning("power: %s says that it ends: stopping in good order", self.source.name)
                    actions.stop()
                else:
                    actions.seal()

    async def _has_failed(self, actions: Actions) -> None:
        self._failed_at_s = asyncio.get_running_loop().time()
        actions.seal()  # first of all: there may be no time for more
        log.warning("power: %s says that it has failed", self.source.name)
        await actions.note(EventCode.POWER_FAILED, {"source": self.source.name})

    async def _is_back(self, actions: Actions) -> None:
        away_ms = round((asyncio.get_running_loop().time() - self._failed_at_s) * 1000)
        log.warning("power: %s says that it is back", self.source.name)
        await actions.note(EventCode.POWER_BACK, {"source": self.source.name, "duration_ms": away_ms})


def open_source(settings: Power) -> PowerSource:
    """Return what the configuration names, not yet connected; raises ConfigError."""
    if isinstance(settings, Gpio):
        from packseal.runtime.power_gpio import GpioSource  # noqa: PLC0415 - needs a package of its own

        return GpioSource(settings)
    from packseal.runtime.power_nut import NutSource  # noqa: PLC0415 - only gateways that use it pay for it

    return NutSource(settings)

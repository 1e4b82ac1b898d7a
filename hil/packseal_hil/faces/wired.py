"""WiredBattery: a simulated battery on a bus, in real time: it lives, sends what it broadcasts and answers."""

import asyncio
import contextlib
import time
from typing import Self

from packseal_hil.faces.can_face import CanFace
from packseal_hil.faces.conduct import Conduct
from packseal_hil.faces.uds_face import UdsFace
from packseal_hil.rig.protocols import Bus, CanFrame, LivingBattery

TICK_S = 0.02
"""Frames are late by at most so much; half of it would double what the bench costs of a machine it shares."""
CATCH_UP_S = 0.25
"""A bench that was held up for longer leaves out what it should have sent: a bus cannot be caught up with."""


class WiredBattery:
    """One battery on one bus, as the profile `name`; runs within `async with`.

    Args:
        name: VENDOR/MODEL, or a path that ends in .toml.
        battery: whose time passes only here.
        bus: which may be in trouble; it knows.
        speed: how much faster its time passes than ours. Cycle times stay those of the wall clock, as a bus cannot be
            hurried: whoever integrates by the wall clock then sees charge and energy smaller by this factor.
        conduct: how it behaves when it is asked; may be changed while it runs.
        phase_s: seconds by which all its cycles are late.

    Raises:
        ConfigError: there is no such profile, or its lines do not fit.
    """

    def __init__(
        self,
        name: str,
        battery: LivingBattery,
        bus: Bus,
        *,
        speed: float = 1.0,
        conduct: Conduct | None = None,
        phase_s: float = 0.0,
    ) -> None:
        self.can = CanFace(name, phase_s)
        self.uds = UdsFace(name, conduct)
        self.battery = battery
        self.speed = speed
        self.mute = False
        """Whether it is switched off: it lives on, and neither sends nor answers."""
        self.frames = 0
        """Given to the bus so far."""
        self._bus = bus
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._answers: list[CanFrame] = []
        self._began_s = 0.0
        self._running = False
        bus.listen(self._heard)

    async def __aenter__(self) -> Self:
        self._began_s = time.monotonic()
        self._running = True
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def requests(self) -> int:
        """How many requests it has heard."""
        return len(self.uds.asked)

    @property
    def time_s(self) -> float:
        """Seconds since it was wired, on this machine's clock."""
        return time.monotonic() - self._began_s

    async def _run(self) -> None:
        last_s, next_s = 0.0, 0.0
        while True:
            now_s = self.time_s
            if now_s >= next_s:
                next_s = now_s + TICK_S
                frames = self._live(last_s, now_s)
                last_s = now_s
            else:
                frames = []
            await self._send(frames + self._said_answers(now_s))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), max(0.0, next_s - self.time_s))
            self._asked.clear()

    def _live(self, from_s: float, to_s: float) -> list[CanFrame]:
        """Let time pass; return what is broadcast by the end of it."""
        self.battery.advance((to_s - from_s) * self.speed)
        values = self.battery.said()
        self.uds.says(values)
        return [frame for _, frame in self.can.frames(values, max(from_s, to_s - CATCH_UP_S), to_s)]

    def _said_answers(self, now_s: float) -> list[CanFrame]:
        answers, self._answers = self._answers, []
        return answers + self.uds.tick(now_s)

    async def _send(self, frames: list[CanFrame]) -> None:
        if frames and not self.mute:
            self.frames += len(frames)
            await self._bus.send(frames)

    def _heard(self, frame: CanFrame) -> None:
        if self._running and not self.mute and frame.address in self.uds.addresses:
            self._answers += self.uds.hear(frame, self.time_s)
            self._asked.set()


class SecondDevice(WiredBattery):
    """A second pack with the same ids, whose frames fall between those of the first.

    Args:
        name: the profile of both.
        battery: another one: what it says must differ, or nobody could tell.
        bus: of the first; of a serial adapter, a node of its own.
        conduct: as of the first.
    """

    def __init__(self, name: str, battery: LivingBattery, bus: Bus, *, conduct: Conduct | None = None) -> None:
        super().__init__(name, battery, bus, conduct=conduct, phase_s=_half_cycle_s(name))


def _half_cycle_s(name: str) -> float:
    """Return half of the shortest cycle of the profile."""
    return min((message.cycle_s for message in CanFace(name).messages), default=0.0) / 2

"""Declaring: what is entered into the registry while the agent runs is taken up at once, by the recorders alone.

The registry is only looked at. Each log is still written by its one recorder, which stores what it tells of a change
together with the meter's state: a crash before that leaves the change untold, and the next start tells it.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from packseal import config
from packseal.config import Battery, Config
from packseal.core.errors import PacksealError
from packseal.registry import book
from packseal.runtime.desk import Desk
from packseal.runtime.recorder import Recorder

log = logging.getLogger(__name__)

LOOK_S = 1.0
OF_THE_WHOLE = ("rated_capacity_ah", "cells_in_series")
"""By these a whole is put together from its parts: the numbers of its cells, and how much each part counts."""


class RegistryWatch:
    """Looks every second whether the registry was changed, when a recorder is awake anyway. `config` is what holds now.

    `seen` is the mark (`book.mark_of`) of the registry that was looked at last, `trouble` why what it says does not
    hold, `notes` what of it waits for the next start.

    Args:
        opened: the configuration and registry that the recorders were opened with.
        desk: its thread reads the file.
        recorders: by the id of their battery.
    """

    def __init__(self, opened: Config, desk: Desk, recorders: Mapping[str, Recorder]) -> None:
        self.config = opened
        self._desk = desk
        self._recorders = recorders
        self._path = opened.registry
        self._look_at = 0.0
        self._changed = asyncio.Event()
        for recorder in recorders.values():
            recorder.ticked = self.glance
        self.seen = ""
        self.trouble = ""
        self.notes: Sequence[str] = ()

    @property
    def is_taken_up(self) -> bool:
        """Whether all that was seen is in the logs, and stored."""
        return not self.trouble and all(recorder.is_declared for recorder in self._recorders.values())

    def glance(self) -> None:
        """Look whether the file is another one, if that was not done within the last second."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            if book.mark_of(self._path) != self.seen:
                self._changed.set()

    async def run(self) -> None:
        """Hand what has changed to the recorders, until cancelled."""
        while True:
            await self._changed.wait()
            await self._look()
            self._changed.clear()

    async def _look(self) -> None:
        """Read it; what cannot be used changes nothing and is told once."""
        mark = book.mark_of(self._path)
        try:
            now = await self._desk.run(lambda: config.again(self.config))
        except PacksealError as error:
            self.trouble = str(error)
            log.error("the registry has changed, but everything stays as it was: %s", error)  # noqa: TRY400 - one line
        else:
            self.trouble = ""
            self._take_up(now)
        self.seen = mark

    def _take_up(self, now: Config) -> None:
        old, self.config = self.config, now
        for before, after in zip(old.file.battery, now.file.battery, strict=True):
            changes = now.changes.get(after.id, ())
            if (before.declared, old.changes.get(after.id, ())) != (after.declared, changes):
                log.info("%s: what is declared of it or happened to it has changed, and is taken up", after.id)
                self._recorders[after.id].declare(after.declared, changes)
                news = _of_wholes(before, after, now.file.battery)
                self.notes = [*self.notes, *(note for note in news if note not in self.notes)]


def _of_wholes(before: Battery, after: Battery, batteries: Sequence[Battery]) -> list[str]:
    """Return what of a part's change waits for the next start."""
    changed = [n for n in OF_THE_WHOLE if getattr(before.declared, n) != getattr(after.declared, n)]
    wholes = [battery.id for battery in batteries if after.id in battery.parts]
    news = [f"the new {name} of {after.id}" for name in changed]
    return [f"{whole} is put together by {new} from the next start on" for whole in wholes for new in news]

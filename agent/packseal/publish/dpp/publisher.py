"""DppPublisher: keeps the passports at the operator's backend up to date. A Publisher."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packseal.core.errors import InputError, PacksealError, StorageError
from packseal.core.sample import ClockQuality
from packseal.core.translate import Subject
from packseal.core.update_policy import Policy
from packseal.publish.dpp.answers import BackendError, CredentialsError, LaterError, NotThereError
from packseal.publish.dpp.backend import Backend
from packseal.publish.dpp.delivery import Delivery
from packseal.publish.dpp.dialect import Dialect, Place
from packseal.publish.dpp.positions import Positions
from packseal.publish.protocol import Described, Newest, Source
from packseal.publish.status import PublishStatus

log = logging.getLogger(__name__)

KIND = "dpp"
LOOK_S = 60.0
"""How often is looked for what is due, when nothing new is recorded: the day of the daily update ends some time."""
SETTLE_S = 0.2
"""Several batteries store their windows at the same moment."""
FIRST_RETRY_S, LONGEST_RETRY_S = 2.0, 300.0
CREDENTIALS_RETRY_S = 900.0
"""Sooner when the secret's file changes: a wrong secret that is tried often gets accounts locked."""
SHOWN_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class DppSettings:
    """What the configuration says. `places` by battery; with `listed_only` batteries without one are left out.

    `pace_s`: at least so long between two ordinary updates of one battery.
    `positions` is the file of what was taken; `configuration` changes whenever the settings do.
    """

    target: str
    positions: Path
    configuration: str
    places: Mapping[str, Place] = field(default_factory=dict)
    listed_only: bool = False
    policy: Policy = field(default_factory=Policy)
    pace_s: float = 600.0


@dataclass(slots=True)
class _Turn:
    """One battery's turn: nothing before `not_before`, no ordinary update before `paced_until`; monotonic seconds."""

    delivery: Delivery
    not_before: float = 0.0
    paced_until: float = 0.0
    failures: int = 0


class DppPublisher:
    """See the module.

    Args:
        source: what is published.
        settings: what the configuration says.
        backend: the server.
        dialect: how it is spoken to.
    """

    def __init__(self, source: Source, settings: DppSettings, backend: Backend, dialect: Dialect) -> None:
        self.status = PublishStatus(KIND, settings.target)
        self._source, self._settings, self._backend, self._dialect = source, settings, backend, dialect
        positions = Positions(settings.positions, settings.target, settings.configuration)
        self._turns = {
            described.subject: _Turn(
                Delivery(dialect, self._place(described.subject), positions, settings.policy, _wall_ms)
            )
            for described in self._batteries()
        }
        self._news = asyncio.Event()
        self._one_round = asyncio.Lock()
        self._not_before = 0.0
        self._failures = 0
        self._stamp: object = None

    async def run(self) -> None:
        """Publish for ever."""
        try:
            while True:
                self._news.clear()
                await self._round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._news.wait()
                await asyncio.sleep(SETTLE_S)
        finally:
            await self._backend.close()

    def notify(self) -> None:
        """Say that new records exist."""
        self._news.set()

    async def finish(self) -> None:
        """Send what is due, without waiting for the pace."""
        for turn in self._turns.values():
            turn.paced_until = 0.0
        await self._round()

    async def check(self) -> str:
        """Read every passport, and write nothing."""
        try:
            for subject, turn in self._turns.items():
                try:
                    await turn.delivery.look()
                except NotThereError as error:
                    raise InputError(_not_there(subject, error)) from error
        finally:
            await self._backend.close()
        count = len(self._turns)
        return f"{self._settings.target} has the passport{'s' if count != 1 else ''} of {count} of {count} batteries"

    async def _round(self) -> None:
        """Give every battery its turn."""
        async with self._one_round:
            for described in self._batteries():
                if _now_s() < self._not_before and self._stamp == self._backend.credentials.stamp():
                    return
                turn = self._turns[described.subject]
                if _now_s() >= turn.not_before:
                    await self._turn(described, turn)

    async def _turn(self, described: Described, turn: _Turn) -> None:
        subject, troubles = described.subject, self.status.troubles
        try:
            why = await self._bring(described, turn)
        except NotThereError as error:
            self.status.answered()
            turn.failures += 1
            turn.not_before = _now_s() + _back_off_s(turn.failures, LONGEST_RETRY_S)
            why = _not_there(subject, error)
        except (BackendError, InputError) as error:
            self._fail(error)
            return
        except StorageError as error:
            why = str(error)
        else:
            self.status.answered()
            turn.failures, self._failures, self._not_before = 0, 0, 0.0
        if why and troubles.get(subject) != why:
            log.warning("%s: %s: %s", KIND, subject, why)
        if why:
            troubles[subject] = why
        else:
            troubles.pop(subject, None)

    async def _bring(self, described: Described, turn: _Turn) -> str:
        """Bring a battery's passport up to date; return what somebody should see to, or nothing."""
        await turn.delivery.look()
        newest = await self._source.newest(described.subject)
        if newest is None:
            return ""
        if why := _unfit(described, newest):
            return why
        place = self._place(described.subject)
        subject = Subject(newest.snapshot, described.subject, described.declared.category, place.passport)
        due = [reason for _, reason in turn.delivery.due(subject)]
        if not due or (_now_s() < turn.paced_until and not any(reason.at_once for reason in due)):
            return _trouble(turn.delivery)
        turn.paced_until = _now_s() + self._settings.pace_s
        try:
            await turn.delivery.deliver(subject)
        finally:
            for _ in range(turn.delivery.taken):
                self.status.took(_wall_ms())
        return _trouble(turn.delivery)

    def _fail(self, error: PacksealError) -> None:
        """Wait: for as long as the backend asks, until a secret is renewed, or longer each time."""
        self._failures += 1
        self._stamp = self._backend.credentials.stamp()
        wait_s = _back_off_s(self._failures, LONGEST_RETRY_S)
        if isinstance(error, LaterError) and error.after_s is not None:
            wait_s = max(wait_s, error.after_s)
        if isinstance(error, CredentialsError | InputError):
            wait_s = CREDENTIALS_RETRY_S
        self._not_before = _now_s() + wait_s
        for turn in self._turns.values():
            turn.paced_until = 0.0  # what was not taken is not to wait for the pace as well
        self.status.disconnected(str(error))

    def _pause_s(self) -> float:
        now = _now_s()
        if now < self._not_before:
            return min(LOOK_S, self._not_before - now)
        waiting = [turn.not_before - now for turn in self._turns.values() if turn.not_before > now]
        return min([LOOK_S, *waiting])

    def _batteries(self) -> Sequence[Described]:
        wanted = self._settings.places if self._settings.listed_only else None
        return [each for each in self._source.batteries() if wanted is None or each.subject in wanted]

    def _place(self, subject: str) -> Place:
        return self._settings.places.get(subject) or Place(subject)


def _unfit(described: Described, newest: Newest) -> str:
    """Return why nothing of a battery may be published; nothing when it may."""
    if described.declared.category is None:
        return "its category is not declared, so it is not known which fields its passport must not have: declare it"
    if newest.record.header.quality is ClockQuality.UNSYNCHRONISED:
        return "this gateway's clock is not set, so the values have no time that another may rely on"
    return ""


def _trouble(delivery: Delivery) -> str:
    """Return what is not taken, in short; `packseal dpp` tells all of it."""
    refused, notes = delivery.refusals(), delivery.notes
    told = [f"{_short(key)} refused: {why}" for key, why in refused.items()]
    told += [f"{_short(key)} not sent: {why}" for key, why in notes.items()]
    more = len(told) - SHOWN_REFUSALS
    return "; ".join([*told[:SHOWN_REFUSALS], *([f"and {more} more, see packseal dpp"] if more > 0 else [])])


def _short(key: str) -> str:
    return key.rstrip("']").rpartition("['")[2]


def _not_there(subject: str, error: NotThereError) -> str:
    return f"the backend knows no passport of {subject} ({error}): create it there, or correct its id in [[publish]]"


def _back_off_s(failures: int, longest_s: float) -> float:
    """Return a wait that doubles, with up to a quarter less so that many gateways do not come back at once."""
    wait_s: float = min(longest_s, FIRST_RETRY_S * 2 ** min(failures - 1, 20))
    return wait_s * random.uniform(0.75, 1)  # noqa: S311 - no secret


def _now_s() -> float:
    return time.monotonic()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

"""Delivery: brings what is due of one battery to its passport, and finds out which part of it is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from packseal.core.translate import Subject
from packseal.core.translate.elements import ACCIDENT_DOCUMENTS, EVENTS, Element, elements
from packseal.core.update_policy import Due, Policy
from packseal.publish.dpp.answers import FORBIDDEN, ConflictError, CredentialsError, NotOfferedError, RefusedError
from packseal.publish.dpp.dialect import Dialect, Place
from packseal.publish.dpp.held import Held, Judged, Verdict, judge
from packseal.publish.dpp.positions import Answer, Positions

FRESH_MS = 30_000
"""What was read less long ago counts as read just now."""


class Delivery:
    """One battery's way to its passport. What is held there is read before the first write, and after every doubt.

    Args:
        dialect: how the backend is spoken to.
        place: where the passport is.
        positions: what the backend took before.
        policy: when something is due.
        now_ms: the wall clock in UTC ms.
    """

    def __init__(
        self, dialect: Dialect, place: Place, positions: Positions, policy: Policy, now_ms: Callable[[], int]
    ) -> None:
        self._dialect, self._place, self._positions, self._policy = dialect, place, positions, policy
        self._now_ms = now_ms
        self._held: Held | None = None
        self._refused: list[tuple[Element, RefusedError]] = []
        self._may_reread = True
        self._read_ms = 0
        self.taken = 0
        self.notes: dict[str, str] = {}
        """By element's key, why something newer of ours is not sent."""

    async def look(self) -> Held:
        """Return what the backend holds, read only when in doubt; raises BackendError, InputError."""
        if self._held is None:
            self._held = await self._dialect.read(self._place)
            self._read_ms = self._now_ms()
            self._positions.of(self._place.battery, self._held.passport)
        return self._held

    def due(self, subject: Subject, policy: Policy | None = None) -> list[tuple[Element, Due]]:
        """Return what is due of a snapshot, by element."""
        battery, now_ms = self._place.battery, self._now_ms()
        found = []
        for element in elements(subject):
            if self._dialect.carries(self._place, element):
                sent = self._positions.sent(battery, element)
                why = (policy or self._policy).due(element.fields, element.last_update_ms, sent, now_ms)
                if why is not None:
                    found.append((element, why))
        return found

    async def deliver(self, subject: Subject) -> int:
        """Send what is due, and on a change of status everything that is newer; return how many elements were taken.

        Raises:
            BackendError, InputError: the rest waits for another time; what was taken is kept.
            StorageError: what was taken could not be kept; the backend is read before the next write.
        """
        await self.look()
        due = self.due(subject)
        if any(why is Due.STATUS for _, why in due):
            due = self.due(subject, Policy(longest_ms=0))
        if any(element.path in (EVENTS, ACCIDENT_DOCUMENTS) for element, _ in due):
            self._read_anew()
        held = await self.look()
        self._read_ms = 0
        self._refused, self._may_reread, self.taken, self.notes = [], True, 0, {}
        try:
            for batch in self._batches(self._judge([element for element, _ in due], held)):
                await self._send(batch, subject)
        except BaseException:
            self._held = None
            self._keep_refusals(only_if_taken=True)
            raise
        self._raise_if_forbidden()
        self._keep_refusals()
        return self.taken

    def _read_anew(self) -> None:
        """Doubt what was not read just now: a list is replaced as a whole, so it must be known as it is."""
        if abs(self._now_ms() - self._read_ms) > FRESH_MS:
            self._held = None

    def refusals(self) -> dict[str, str]:
        """Return by element's key what the backend refused and why."""
        found = self._positions.kept.batteries.get(self._place.battery)
        keys = found.refused if found else {}
        return {k: p.reason for k in keys if found and (p := self._positions.refusal(found, k))}

    def _judge(self, wanted: Sequence[Element], held: Held) -> list[Judged]:
        """Return what of this is newer than what is held; of the rest it is noted that the backend has it."""
        judged = [judge(element, held) for element in wanted]
        for each in judged:
            if each.verdict is not Verdict.SEND:
                self._leave(each)
        return [each for each in judged if each.verdict is Verdict.SEND]

    def _leave(self, each: Judged) -> None:
        element = each.element
        if each.verdict in (Verdict.HELD, Verdict.NEWER):
            newest = max(element.last_update_ms, each.held_ms or 0)
            self._note(Answer(replace(element, last_update_ms=newest), self._now_ms()))
        if each.verdict is not Verdict.HELD:
            self.notes[element.key] = each.verdict.value

    def _batches(self, judged: list[Judged]) -> list[list[Judged]]:
        """Return the batches, with what was refused before apart from the rest."""
        refused = self.refusals()
        good = [each for each in judged if each.element.key not in refused]
        doubtful = [[each] for each in judged if each.element.key in refused]
        return [*(self._dialect.batches(good) if good else ()), *doubtful]

    async def _send(self, batch: Sequence[Judged], subject: Subject) -> None:
        if not batch:
            return
        held = await self.look()
        try:
            trusted = await self._dialect.write(held, batch, subject)
        except NotOfferedError:
            for part in self._dialect.batches(batch):
                await self._send(part, subject)
        except ConflictError as error:
            await self._resolve(batch, error, subject)
        except RefusedError as error:
            if len(batch) == 1:
                self._refused.append((batch[0].element, error))
                return
            middle = len(batch) // 2
            await self._send(batch[:middle], subject)
            await self._send(batch[middle:], subject)
        else:
            self.taken += len(batch)
            for each in batch:
                self._note(Answer(each.element, self._now_ms()))
            self._held = held if trusted else None
            self._positions.save()

    async def _resolve(self, batch: Sequence[Judged], error: ConflictError, subject: Subject) -> None:
        """Read what the backend holds after all, and send what is still newer; a second conflict is a refusal."""
        if not self._may_reread:
            self._refused += [(each.element, RefusedError(str(error), error.status)) for each in batch]
            return
        self._may_reread, self._held = False, None
        held = await self.look()
        for part in self._batches(self._judge([each.element for each in batch], held)):
            await self._send(part, subject)

    def _raise_if_forbidden(self) -> None:
        """Where nothing was taken and everything forbidden, no value is at fault."""
        if self._refused and not self.taken and all(error.status == FORBIDDEN for _, error in self._refused):
            self._held = None
            raise CredentialsError(str(self._refused[0][1]), FORBIDDEN)

    def _keep_refusals(self, *, only_if_taken: bool = False) -> None:
        if only_if_taken and not self.taken:
            return
        for element, error in self._refused:
            self._note(Answer(element, self._now_ms(), error.status, str(error)))
        self._refused = []
        self._positions.save()

    def _note(self, answer: Answer) -> None:
        passport = self._held.passport if self._held else self._positions.kept.batteries[self._place.battery].passport
        self._positions.note(self._place.battery, passport, answer)

"""Watch: how far every part is, once or twice a second, for the story's points and for what steps wait for."""

import asyncio

from packseal_hil.rig.protocols import RigError
from packseal_hil.scenario.gateway import LOOK_S, Gateway, Look
from packseal_hil.scenario.schema import When
from packseal_hil.scenario.services import Operator
from packseal_hil.story import Point

PROCESS_LOOKS = 8
"""Whether the agent's process lives is asked at every so-manieth look: it costs a process on the gateway."""

FRESH_S = 10.0
"""How long a look begun from now on is waited for; twice the pause between them is usual."""


class Watch:
    """Looks at one gateway and its operator. `run` it as a task; `look` is the newest look at the agent."""

    def __init__(self, gateway: Gateway, operator: Operator, began_s: float) -> None:
        self._gateway = gateway
        self._operator = operator
        self._began_s = began_s
        self._samples_before = 0
        self.look = self.last_answer = Look()
        self.received = self.refused = 0
        self.first_receipt_s: float | None = None
        self.first_sample_s: float | None = None
        self.recovered_s: float | None = None
        """From the last mending of bus or radio to the next sample."""
        self._mended: tuple[float, int] | None = None
        self.points: list[Point] = []

    @property
    def now_s(self) -> float:
        """Seconds since the scenario began."""
        return asyncio.get_running_loop().time() - self._began_s

    @property
    def samples(self) -> int:
        """Samples that all agents of this scenario have taken so far."""
        return self._samples_before + self.look.samples

    def restarted(self) -> None:
        """Take note that the next agent counts from zero."""
        self._samples_before += self.look.samples
        self.look = Look(sealed=self.look.sealed, receipted=self.look.receipted)

    def mended(self) -> None:
        """Take note that bus or radio are well again."""
        self._mended = self.now_s, self.samples

    async def run(self) -> None:
        """Look for ever; cancel it to end."""
        while True:
            await self.once()
            await asyncio.sleep(LOOK_S)

    async def once(self) -> None:
        """Look."""
        found = await self._gateway.look()
        if found.answers and found.samples >= self.look.samples:
            self.look = self.last_answer = found
        elif found.number:
            self.look = Look(
                sealed=max(found.sealed, self.look.sealed),
                receipted=max(found.receipted, self.look.receipted),
                samples=self.look.samples,
            )
        self.received, self.refused = self._operator.counts()
        if self.first_sample_s is None and self.samples:
            self.first_sample_s = self.now_s
        if self._mended is not None and self.samples > self._mended[1]:
            self.recovered_s, self._mended = self.now_s - self._mended[0], None
        if self.first_receipt_s is None and self.look.receipted:
            self.first_receipt_s = self.now_s
        self.points.append(
            Point(self.now_s, self.samples, self.look.sealed, self.received, self.look.receipted),
        )

    async def once_more(self) -> None:
        """Look at what is there now: the newest look may be from before, and one may be under way."""
        begun, end_s = (await self._gateway.look()).number + 1, self.now_s + FRESH_S
        while (await self._gateway.look()).number <= begun and self.now_s < end_s:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(LOOK_S / 2)
        await self.once()

    async def until(self, when: When) -> None:
        """Return when the condition holds; raises RigError when it does not in time."""
        end_s = self.now_s + when.within_s
        looks = 0
        while not await self.holds(when):
            looks += 1
            if looks % PROCESS_LOOKS == 0 and self._gateway.pid is not None and not await self._gateway.is_running():
                await self.once()
                if not await self.holds(when):
                    raise RigError(f"the agent has ended before {told(when)}: {await self._state()}")
            if self.now_s > end_s:
                raise RigError(f"waited {when.within_s:g} s in vain for {told(when)}: {await self._state()}")
            await asyncio.sleep(LOOK_S / 2)

    async def _state(self) -> str:
        look = self.look
        counts = f"{self.samples} samples, {look.sealed} sealed, {self.received} received, {look.receipted} receipted"
        return f"{counts}, {look.pending} pending; the agent's log: {await self._gateway.tail()}"

    async def holds(self, when: When) -> bool:
        """Whether a condition holds now."""
        look = self.look
        counts = (
            (when.samples, self.samples),
            (when.sealed, look.sealed),
            (when.received, self.received),
            (when.receipted, look.receipted),
            (when.refused, self.refused),
            (when.pending, look.pending),
        )
        if any(wanted is not None and count < wanted for wanted, count in counts):
            return False
        if when.link is not None and when.link != look.link:
            return False
        if when.settled and not 0 < look.sealed <= look.receipted:
            return False
        return when.said is None or when.said in await self._gateway.said()


def told(when: When) -> str:
    """Return a condition in words."""
    names = ("samples", "sealed", "received", "receipted", "refused", "pending")
    words = [f"{getattr(when, name)} {name}" for name in names if getattr(when, name) is not None]
    words += [f"a link that is {when.link}"] if when.link is not None else []
    words += ["everything receipted"] if when.settled else []
    words += [f"{when.said!r} in its log"] if when.said is not None else []
    return " and ".join(words) or "nothing"

"""Contract: the tests that every driver must pass. Subclass `DriverContract` in a test module and give it a rig.

```python
class TestMyDriver(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return MyRig(directory)
```
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Protocol, Self

from packseal.core.quantities import Quantity
from packseal.core.sample import EventCode, Flaw, Instant, LinkCounts, LinkState, Notice, Sample
from packseal_drivers.driver import Driver

PATIENCE_S = 20.0
AGAIN_S = 0.03
CLOSE_S = 5.0


class Rig(Protocol):
    """A driver that was not asked for batches yet, and the far end of its wire, which the test plays.

    A wire that cannot babble, be cut, or is over after what it says raises unittest.SkipTest with the reason.
    """

    driver: Driver

    async def speak(self) -> None:
        """Say something that gives at least one sample; called again and again. A recording has it all in its file."""

    async def babble(self) -> None:
        """Say what is no sense: unknown, too short, random, out of range."""

    async def cut(self) -> None:
        """Break the wire."""

    async def mend(self) -> None:
        """Make it whole again."""

    async def close(self) -> None:
        """Clean up after the test."""


class DriverContract:
    """Every public promise of `packseal_drivers.driver.Driver`, held against the driver of a rig."""

    async def rig(self, directory: Path) -> Rig:
        """Return a new rig; `directory` is empty and its own."""
        raise NotImplementedError

    def test_a_driver_that_was_not_started_says_what_it_is(self, tmp_path: Path) -> None:
        """Name, quantities, period, clock and counts are there without any I/O."""

        async def check(rig: Rig) -> None:
            driver = rig.driver
            _require("/" in driver.name, f"name {driver.name!r} is not vendor/model")
            _require(bool(driver.delivers), "it delivers nothing")
            _require(all(isinstance(q, Quantity) for q in driver.delivers), "delivers must hold quantities")
            _require(driver.period_s >= 0, "period_s must not be negative")
            _require(isinstance(driver.clock.now(), Instant), "clock.now() must be an instant")
            _require(driver.counts == LinkCounts(), f"nothing was seen yet, but counts are {driver.counts}")

        self._run(tmp_path, check)

    def test_what_is_said_becomes_samples_in_order(self, tmp_path: Path) -> None:
        """Samples are in the order of their times, hold finite numbers of what is delivered, and are counted."""

        async def check(rig: Rig) -> None:
            async with _Listening(rig) as heard:
                await heard.until(lambda: len(heard.samples) > 1 or heard.ended, rig.speak)
            _require(bool(heard.samples), "there was no sample")
            _check_samples(rig.driver, heard.samples)

        self._run(tmp_path, check)

    def test_nonsense_raises_nothing_and_what_comes_after_it_is_read(self, tmp_path: Path) -> None:
        """Whatever comes is counted at most; a driver never raises for it."""

        async def check(rig: Rig) -> None:
            async with _Listening(rig) as heard:
                await heard.until(lambda: bool(heard.samples) or heard.ended, rig.speak)
                for _ in range(20):
                    await rig.babble()
                    heard.check()
                before = len(heard.samples)
                await heard.until(lambda: len(heard.samples) > before or heard.ended, rig.speak)
            _check_samples(rig.driver, heard.samples)

        self._run(tmp_path, check)

    def test_a_broken_wire_is_told_once_and_heals(self, tmp_path: Path) -> None:
        """A wire that is gone is a notice and a state, never an exception; it is opened again by itself."""

        async def check(rig: Rig) -> None:
            async with _Listening(rig) as heard:
                await heard.until(lambda: bool(heard.samples), rig.speak)
                await rig.cut()
                await heard.until(lambda: rig.driver.counts.state is LinkState.LOST)
                before = len(heard.samples)
                await rig.mend()
                await heard.until(lambda: len(heard.samples) > before, rig.speak)
            lost = [n for n in heard.notices if n.code is EventCode.LINK_LOST]
            _require(len(lost) == 1, f"the loss was told {len(lost)} times")
            _require(rig.driver.counts.state is LinkState.HEALTHY, f"it healed, but is {rig.driver.counts.state.name}")

        self._run(tmp_path, check)

    def test_it_can_be_stopped_at_any_moment(self, tmp_path: Path) -> None:
        """Closing the iterator, before and after the first words, closes the wire and takes no time."""

        async def check(rig: Rig) -> None:
            async with _Listening(rig) as heard:
                await heard.until(lambda: bool(heard.samples) or heard.ended, rig.speak)

        async def check_unstarted(rig: Rig) -> None:
            async with asyncio.timeout(CLOSE_S):
                await rig.driver.batches().aclose()

        self._run(tmp_path, check)
        self._run(tmp_path, check_unstarted)

    def test_counts_only_grow(self, tmp_path: Path) -> None:
        """No count is ever taken back."""

        async def check(rig: Rig) -> None:
            seen = [_numbers(rig.driver.counts)]
            async with _Listening(rig) as heard:
                for _ in range(5):
                    await rig.speak()
                    await asyncio.sleep(AGAIN_S)
                    seen.append(_numbers(rig.driver.counts))
                await heard.until(lambda: bool(heard.samples) or heard.ended, rig.speak)
            seen.append(_numbers(rig.driver.counts))
            for before, after in pairwise(seen):
                less = [name for name, count in before.items() if after[name] < count]
                _require(not less, f"{', '.join(less)} went back")

        self._run(tmp_path, check)

    def _run(self, directory: Path, check: Callable[[Rig], Awaitable[None]]) -> None:
        async def run() -> None:
            rig = await self.rig(directory)
            try:
                await check(rig)
            finally:
                await rig.close()

        asyncio.run(run())


class _Listening:
    """Collects what a driver says, in a task of its own, and whatever it raises."""

    def __init__(self, rig: Rig) -> None:
        self._driver = rig.driver
        self.samples: list[Sample] = []
        self.notices: list[Notice] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._collect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(self._task, return_exceptions=True)
        except TimeoutError:
            raise AssertionError(f"the driver did not stop within {CLOSE_S:g} s") from None
        self.check()

    @property
    def ended(self) -> bool:
        """Whether the driver has ended by itself, as a recording does."""
        return self._task.done()

    def check(self) -> None:
        """Raise AssertionError where the driver has raised."""
        if self._task.done() and not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise AssertionError(f"the driver raised {error!r}") from error

    async def until(self, met: Callable[[], bool], act: Callable[[], Awaitable[None]] | None = None) -> None:
        """Act again and again until it is met."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not met():
                    self.check()
                    if act is not None:
                        await act()
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            raise AssertionError(f"nothing more within {PATIENCE_S:g} s: counts are {self._driver.counts}") from None

    async def _collect(self) -> None:
        async with aclosing(self._driver.batches()) as batches:
            async for batch in batches:
                _require(len(batch) > 0, "a batch must not be empty")
                for item in batch:
                    _require(isinstance(item, Sample | Notice), f"{item!r} is neither sample nor notice")
                    if isinstance(item, Sample):
                        self.samples.append(item)
                    else:
                        self.notices.append(item)


def _check_samples(driver: Driver, samples: list[Sample]) -> None:
    times = [s.at.mono_ns for s in samples]
    _require(times == sorted(times), "samples are not in the order of their times")
    _require(times[-1] <= driver.clock.now().mono_ns, "a sample is from the future")
    _require(driver.counts.samples >= len(samples), f"{len(samples)} samples, counted {driver.counts.samples}")
    for sample in samples:
        said = {*sample.values, *sample.flaws}
        _require(bool(said), "a sample without any channel")
        _require(not sample.values.keys() & sample.flaws.keys(), "a flawed channel must have no value")
        _require(all(math.isfinite(v) for v in sample.values.values()), "a value is not finite")
        _require(all(isinstance(f, Flaw) for f in sample.flaws.values()), "flaws must be flaws")
        _require({c.quantity for c in said} <= driver.delivers, "a quantity that it does not say it delivers")


def _numbers(counts: LinkCounts) -> dict[str, int]:
    return {name: count for name, count in asdict(counts).items() if isinstance(count, int) and name != "state"}


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - it stands for assert
    if not condition:
        raise AssertionError(otherwise)

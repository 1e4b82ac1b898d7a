"""Cell: one gateway through one trouble at one rate, and what came of it."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.peers.contender import Arrival, Contender, Cost, Gateway
from bench.peers.source import Source
from bench.peers.way import Fault, Way
from packseal.core.errors import InputError

START_S = 40.0
STEADY_S = 10.0
AFTER_S = 20.0
DOWN_S = 2.0
QUIET_S = 8.0
PATIENCE_S = 120.0
LOOK_S = 0.5
STOPPED_S = 2.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens. `fault` None: the gateway is killed (SIGKILL) and started again 2 s later."""

    fault: Fault | None
    seconds: float = DOWN_S

    def __str__(self) -> str:
        return "kill -9" if self.fault is None else f"{self.fault.value} {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cell showed. Times: seconds after the trouble's end; None where nothing came, or nothing had waited."""

    made: int
    lost: int
    doubled: int
    out_of_order: int
    gaps_named: int
    first_s: float | None
    caught_up_s: float | None
    catch_up_per_s: float | None
    cost: Cost


async def play(contender: Contender, trouble: Trouble, rate_per_s: int, folder: Path) -> Outcome:
    """Play one; raises InputError when something does not start."""
    bus = folder / "bus"
    async with AsyncExitStack() as stack:
        port = await contender.enter(folder, stack)
        source = await stack.enter_async_context(Source(bus, rate_per_s))
        way = await stack.enter_async_context(Way(port))
        gateway = Gateway(contender.configure(folder, way.port, bus), folder)
        stack.callback(gateway.end)
        gateway.start()
        await _first(contender, gateway)
        await asyncio.sleep(STEADY_S)
        began_s = time.time()
        await _cause(trouble, way, gateway)
        ended_s, made_by_then = time.time(), source.made
        await asyncio.sleep(AFTER_S)
        source.stop()
        await _settled(contender, source.made)
        # What is still open or on its way then is sealed or sent: both are told to stop in good order.
        await asyncio.to_thread(gateway.end)
        await asyncio.sleep(STOPPED_S)
        span_s, named = (began_s, ended_s), contender.named_missing()
        return judge(contender.arrivals(), source.made, span_s, made_by_then, named, gateway.cost)


def judge(
    arrivals: list[Arrival], made: int, span_s: tuple[float, float], made_by_then: int, gaps_named: int, cost: Cost
) -> Outcome:
    """Return what the arrivals say. `span_s`: the trouble's begin and end; `made_by_then`: samples made at its end."""
    counts = Counter(arrival.number for arrival in arrivals)
    before = {arrival.number for arrival in arrivals if arrival.wall_s <= span_s[0]}
    after = [arrival for arrival in arrivals if arrival.wall_s > span_s[1]]
    late = [a for a in after if a.number <= made_by_then and a.number not in before]
    first_s = after[0].wall_s - span_s[1] if after else None
    caught_up_s = max(a.wall_s for a in late) - span_s[1] if late else None
    rate = None
    if caught_up_s is not None and first_s is not None and len(late) > 1:
        rate = len(late) / max(caught_up_s - first_s, 0.05)  # one batch comes at one instant
    numbers = [arrival.number for arrival in arrivals]
    return Outcome(
        made=made,
        lost=sum(number not in counts for number in range(1, made + 1)),
        doubled=sum(count - 1 for count in counts.values()),
        out_of_order=sum(later < earlier for earlier, later in pairwise(numbers)),
        gaps_named=gaps_named,
        first_s=first_s,
        caught_up_s=caught_up_s,
        catch_up_per_s=rate,
        cost=cost,
    )


async def _cause(trouble: Trouble, way: Way, gateway: Gateway) -> None:
    if trouble.fault is None:
        gateway.kill()
        await asyncio.sleep(trouble.seconds)
        gateway.start()
        return
    await way.fail(trouble.fault)
    await asyncio.sleep(trouble.seconds)
    await way.mend()


async def _first(contender: Contender, gateway: Gateway) -> None:
    until = time.monotonic() + START_S
    while not contender.arrivals():
        if time.monotonic() > until:
            raise InputError(f"{contender.name}: nothing has arrived within {START_S:g} s: {gateway.log()}")
        await asyncio.sleep(LOOK_S)


async def _settled(contender: Contender, made: int) -> None:
    """Wait until everything has come, or nothing more comes."""
    until, seen, quiet_since = time.monotonic() + PATIENCE_S, -1, time.monotonic()
    while time.monotonic() < until:
        arrivals = contender.arrivals()
        if len(arrivals) != seen:
            seen, quiet_since = len(arrivals), time.monotonic()
        if len({a.number for a in arrivals}) >= made or time.monotonic() - quiet_since > QUIET_S:
            break
        await asyncio.sleep(LOOK_S)

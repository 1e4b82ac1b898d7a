"""Runner: one scenario on one rig, told as a Story."""

import asyncio
import contextlib
import time
from pathlib import Path

from packseal.core.errors import PacksealError
from packseal_hil.rig.protocols import Need, Rig, RigError
from packseal_hil.scenario import evidence, judge
from packseal_hil.scenario.evidence import Evidence
from packseal_hil.scenario.gateway import START_S, STOP_S
from packseal_hil.scenario.schema import Scenario, Step, When
from packseal_hil.scenario.world import World
from packseal_hil.story import Story

COMPRESSED_S = 1200.0
"""How long an agent may read and deliver a recording: days of a battery, on an emulated machine."""

FIRST_SAMPLE = When(samples=1, within_s=START_S)


def lacking(scenario: Scenario, rig: Rig) -> str:
    """Return why a scenario cannot run on a rig; nothing when it can."""
    missing = [need.value for need in Need if need in scenario.needs and need not in rig.has]
    return f"needs {', '.join(missing)}: run make hil" if missing else ""


async def run(name: str, scenario: Scenario, rig: Rig, work: Path) -> Story:
    """Run a scenario, leave the rig reset, and tell what happened.

    Whatever keeps it from its end is told in the story's `error`; nothing is raised but what cancels it.

    Args:
        name: the file's name without .toml.
        scenario: what it says.
        rig: open, and as `reset` leaves it.
        work: an empty or absent directory of this machine for logs, journal and database.
    """
    story = Story(name, scenario.title, scenario.why, rig.title, time.time(), skipped=lacking(scenario, rig))
    if story.skipped:
        return story
    began_s = time.monotonic()
    try:
        _make(work)
        await _play(scenario, rig, work, story)
    except (RigError, PacksealError, OSError) as error:
        story.error = str(error)
    finally:
        try:
            await rig.reset()
        except (RigError, OSError) as error:
            story.error = story.error or f"the rig cannot be reset: {error}"
    story.took_s = time.monotonic() - began_s
    return story


async def _play(scenario: Scenario, rig: Rig, work: Path, story: Story) -> None:
    world = World(scenario, rig, work)
    try:
        await world.prepare()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(world.watch.run(), name="watch")]
            if world.feed is not None:
                tasks.append(group.create_task(world.feed.run(), name="feed"))
            try:
                await _act(world, group)
            finally:
                for task in tasks:
                    task.cancel()
        story.figures = _figures(world)
        found = await _evidence(world)
        story.verdicts = judge.verdicts(scenario.expect, found)
        if world.outage is not None:
            journal = world.work / "device" / "journal.db"
            story.verdicts += await asyncio.to_thread(
                world.outage.verdicts, found.records, journal, world.gateway_pem, world.operator.places
            )
        story.comparisons = judge.comparisons(scenario, found)
    except* (RigError, PacksealError, OSError) as group_error:
        raise _first(group_error) from None
    finally:
        story.points = world.watch.points
        story.bands = world.bands.end(world.now_s)
        story.traces = (world.feed.signals if world.feed is not None else world.signals).traces()
        await world.end()


async def _act(world: World, group: asyncio.TaskGroup) -> None:
    scenario = world.scenario
    for step in scenario.before:
        await _wait(world, step, 0)
        await world.do(step)
    parting = group.create_task(world.partition(), name="partitions")
    await world.start_agent()
    if scenario.agent.zero == "sample" and scenario.compressed is None:
        await world.watch.until(FIRST_SAMPLE)
    if world.feed is not None:
        world.feed.go()
    zero_s = world.now_s
    for step in scenario.step:
        await _wait(world, step, zero_s)
        await world.do(step)
    parting.cancel()
    await asyncio.wait([parting])
    if scenario.compressed is None:
        await asyncio.sleep(scenario.rest_s)
        if world.feed is not None:
            world.feed.stop()
        await world.gateway.ask_to_stop()
    await world.gateway.ended(COMPRESSED_S if scenario.compressed is not None else scenario.agent.drain_s + STOP_S)
    await world.watch.once_more()


async def _wait(world: World, step: Step, zero_s: float) -> None:
    if step.at_s is not None:
        await asyncio.sleep(zero_s + step.at_s - world.now_s)
    elif step.after_s is not None:
        await asyncio.sleep(step.after_s)
    elif step.when is not None:
        await world.watch.until(step.when)


async def _evidence(world: World) -> Evidence:
    journal = await world.gateway.fetch(world.work / "device")
    if world.second is not None:
        with contextlib.suppress(RigError):
            await world.second.fetch(world.work / "second")
    found = await evidence.gather(journal, world.operator, world.gateway_pem)
    found.said = await world.gateway.said()
    found.truth = world.battery.truth()
    found.figures = _figures(world) | found.of_others()
    found.told = None if world.feed is None else world.feed.told
    return found


def _figures(world: World) -> dict[str, float]:
    watch = world.watch
    look = watch.last_answer
    figures = {"agent_memory_mib": look.memory_mib, "agent_cpu_s": look.cpu_s, "agent_uptime_s": look.uptime_s}
    figures["records"] = float(watch.look.sealed)
    if watch.first_sample_s is not None:
        figures["first_sample_s"] = round(watch.first_sample_s, 1)
    if watch.first_receipt_s is not None:
        figures["first_receipt_s"] = round(watch.first_receipt_s, 1)
    if watch.recovered_s is not None:
        figures["recovered_s"] = round(watch.recovered_s, 1)
    if world.feed is not None:
        figures["frames_sent"] = float(world.feed.sent)
        figures["requests_heard"] = float(world.feed.requests)
    if world.scenario.partitions is not None:
        figures["partitions"] = float(world.partitions)
    if world.modbus is not None:
        figures["answers_spoiled"] = float(world.modbus.line.spoiled)
        figures |= {f"answers_{n}": float(getattr(look, n)) for n in ("cut", "unexpected", "doubles")}
    return {name: value for name, value in figures.items() if value}


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RigError(str(error))


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)

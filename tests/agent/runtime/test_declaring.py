"""What of a part's new declared data waits for the next start: how its whole is put together. All else is taken up."""

import asyncio
from pathlib import Path

from tests.agent.runtime.scripted import BATTERY, recording

from packseal import config
from packseal.core.declared import Declared
from packseal.registry import book
from packseal.registry.book import Entry
from packseal.runtime.declaring import RegistryWatch

WHOLE, OTHER = "urn:example:pack:7", "urn:example:module:2"
PART = '[[battery]]\nid = "{0}"\nprofile = "packseal/reference96"\nlink = {{ kind = "stream", path = "bus.sock" }}\n'
GATEWAY = f"""
[gateway]
id = "urn:example:gateway:1"
{PART.format(BATTERY)}
{PART.format(OTHER)}
[[battery]]
id = "{WHOLE}"
parts = ["{BATTERY}", "{OTHER}"]
arrangement = "parallel"
"""


def enter(path: Path, declared: Declared) -> None:
    with book.opened(path) as registry:
        registry.put(Entry(id=BATTERY, declared=declared))


def test_how_a_whole_is_put_together_waits_for_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "packseal.toml").write_text(GATEWAY)
    opened = config.load(tmp_path / "packseal.toml")

    async def watched() -> RegistryWatch:
        async with recording(tmp_path) as bench:
            watch = RegistryWatch(opened, bench.desk, dict.fromkeys((BATTERY, OTHER, WHOLE), bench.recorder))
            running = asyncio.create_task(watch.run())
            for declared in (Declared(rated_capacity_ah=60), Declared(rated_capacity_ah=60, chemistry="nmc")):
                enter(opened.registry, declared)
                async with asyncio.timeout(20):
                    while watch.seen != book.mark_of(opened.registry) or not watch.is_taken_up:  # noqa: ASYNC110 - no event of it
                        await asyncio.sleep(0.05)
            running.cancel()
            return watch

    watch = asyncio.run(watched())
    assert watch.notes == [f"{WHOLE} is put together by the new rated_capacity_ah of {BATTERY} from the next start on"]
    assert watch.config.file.battery[0].declared == Declared(rated_capacity_ah=60, chemistry="nmc")
    assert not watch.trouble

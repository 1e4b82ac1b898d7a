"""Every scenario on the bench that was asked for (--bench): what it expects is true."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal_hil import story as stories
from packseal_hil.rig.protocols import Rig
from packseal_hil.scenario import runner, schema
from packseal_hil.story import Story

FILES = sorted((Path(__file__).parents[3] / "hil" / "scenarios").glob("*.toml"))

SHORT_S, LONG_S = 900, 7200


def limited(file: Path) -> object:
    """One scenario with the time that it may take."""
    is_long = schema.load(file).run == "long"
    return pytest.param(file, id=file.stem, marks=pytest.mark.timeout(LONG_S if is_long else SHORT_S))


@pytest.mark.parametrize("file", [limited(file) for file in FILES])
def test_scenario(
    file: Path,
    rig: Rig,
    loop: asyncio.Runner,
    tell: Callable[[Story], None],
    wants_long_ones: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    scenario = schema.load(file)
    if scenario.run == "long" and not wants_long_ones:
        pytest.skip("takes long: run make hil-long")
    story = loop.run(runner.run(file.stem, scenario, rig, tmp_path / "work"))
    stories.write(tmp_path / "story.json", story)
    tell(story)
    if story.skipped:
        pytest.skip(story.skipped)
    assert not story.error
    failed = [f"{verdict.title}: found {verdict.found}" for verdict in story.verdicts if not verdict.held]
    assert not failed, "\n".join(failed)
    assert story.is_well

"""What docs/bench.md shows is accepted as it stands there, and names everything that there is."""

import re
from pathlib import Path

import pytest

from packseal_hil.rig import settings
from packseal_hil.rig.protocols import Need
from packseal_hil.scenario import schema

PAGE = (Path(__file__).parents[3] / "docs" / "bench.md").read_text(encoding="utf-8")
SCENARIO, BENCH = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_scenario_is_one(tmp_path: Path) -> None:
    (tmp_path / "shown.toml").write_text(SCENARIO)
    assert schema.load(tmp_path / "shown.toml").needs == (Need.NETWORK,)


def test_the_bench_is_one(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(BENCH)
    assert settings.load(tmp_path / "bench.toml").needs_met == {Need.CAN, Need.CLOCK, Need.NETWORK, Need.POWER}


@pytest.mark.parametrize("words", [[need.value for need in Need], list(schema.ACTIONS), ["tell(", "measure("]])
def test_everything_is_named(words: list[str]) -> None:
    assert [word for word in words if f"`{word}" not in PAGE] == []

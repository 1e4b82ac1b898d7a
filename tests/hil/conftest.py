"""What every test of the bench may ask for, with and without the bench's pytest plugin."""

from collections.abc import Callable, Mapping

import pytest

from packseal_hil.plugin import COLLECTOR, bench_of, wants_long
from packseal_hil.story import Story


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> str:
    """Which bench was asked for: "local", "virtual" or the path of a bench.toml."""
    return bench_of(request.config)


@pytest.fixture(scope="session")
def wants_long_ones(request: pytest.FixtureRequest) -> bool:
    """Whether scenarios that take long were asked for."""
    return wants_long(request.config)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Add a measured figure to JUnit and to the report, by its name with the unit at the end, such as boot_s."""
    collector = request.config.stash.get(COLLECTOR, None)

    def take(name: str, value: float) -> None:
        _to_junit(request.node, {name: value})
        if collector is not None:
            collector.measure(request.node.nodeid, name, value)

    return take


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Add a story to the report, and its figures to JUnit."""
    collector = request.config.stash.get(COLLECTOR, None)

    def take(story: Story) -> None:
        _to_junit(request.node, story.figures)
        if collector is not None:
            collector.tell(request.node.nodeid, story)

    return take


def _to_junit(test: pytest.Item, figures: Mapping[str, float]) -> None:
    """Do what record_property does, without its warning that the schema xunit2 knows no properties of a test."""
    test.user_properties += figures.items()

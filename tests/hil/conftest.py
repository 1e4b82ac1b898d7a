"""What every test of the bench may ask for, with and without the bench's pytest plugin."""

from collections.abc import Callable

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
def measure(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str, float], None]:
    """Add a measured figure to JUnit and to the report, by its name with the unit at the end, such as boot_s."""
    collector = request.config.stash.get(COLLECTOR, None)

    def take(name: str, value: float) -> None:
        record_property(name, value)
        if collector is not None:
            collector.measure(name, value)

    return take


@pytest.fixture
def tell(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[Story], None]:
    """Add a story to the report, and its figures to JUnit."""
    collector = request.config.stash.get(COLLECTOR, None)

    def take(story: Story) -> None:
        for name, value in story.figures.items():
            record_property(name, value)
        if collector is not None:
            collector.tell(request.node.nodeid, story)

    return take

"""A server of the passport, and a source that has something to publish."""

from collections.abc import Iterator

import pytest
from tests.agent.publish.dpp.passport_server import PassportServer
from tests.agent.publish.dpp.source import MINUTE_MS, MadeUpSource, now_ms


@pytest.fixture
def server() -> Iterator[PassportServer]:
    with PassportServer() as running:
        yield running


@pytest.fixture
def source() -> MadeUpSource:
    made = MadeUpSource()
    made.put(now_ms() - 10 * MINUTE_MS)
    return made

"""The servers of the tests, and what they were asked against the public descriptions of the interface."""

from collections.abc import Iterator

import pytest
from tests.agent.publish.dpp.passport_server import PassportServer


@pytest.fixture
def server() -> Iterator[PassportServer]:
    with PassportServer() as running:
        yield running

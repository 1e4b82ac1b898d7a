"""The bus in this process on which many a driver is heard."""

import secrets
from collections.abc import Iterator

import pytest
from tests.drivers.asked_bus import Wire

from packseal_drivers.settings import PythonCan


@pytest.fixture
def virtual() -> Iterator[Wire]:
    wire = Wire(PythonCan("virtual", secrets.token_hex(8)))
    yield wire
    wire.close()

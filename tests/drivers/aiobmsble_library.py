"""The library aiobmsble where it is installed: its types, and what it recorded."""

import importlib
import importlib.util
import pkgutil
from typing import Any

import pytest

HERE = importlib.util.find_spec("aiobmsble") is not None
NEEDED = pytest.mark.skipif(
    not HERE, reason="aiobmsble is not installed: pip install 'aiobmsble>=0.31,<0.32' into a Python 3.12 or newer"
)
QUIET = pytest.mark.filterwarnings("ignore")  # of the library's own dependencies


def types() -> list[str]:
    """The library's types, but the one that is an example."""
    if not HERE:
        return []
    folder = importlib.import_module("aiobmsble.bms").__path__
    return sorted({module.name for module in pkgutil.iter_modules(folder)} - {"dummy_bms"})


def recorded() -> list[Any]:
    """The advertisements that come with the library, each with its address and type."""
    if not HERE:
        return []
    return list(importlib.import_module("aiobmsble.test_data").bms_advertisements())

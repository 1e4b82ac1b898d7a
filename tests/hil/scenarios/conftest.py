"""The rig that the scenarios run on: opened once for all of them, on one event loop."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from packseal_hil.rig.local import LocalRig
from packseal_hil.rig.protocols import Rig
from packseal_hil.rig.real import RealRig


@pytest.fixture(scope="package")
def loop() -> Iterator[asyncio.Runner]:
    """What runs everything that the rig does."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="package")
def rig(bench: str, loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The bench that was asked for, open."""
    made = _chosen(bench)
    try:
        loop.run(made.open(tmp_path_factory.mktemp("rig")))
        loop.run(made.reset())
        yield made
    finally:
        loop.run(made.close())


@pytest.fixture(scope="package")
def local(rig: Rig, loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """This machine's own rig, whichever bench was asked for."""
    if isinstance(rig, LocalRig):
        yield rig
        return
    made = LocalRig()
    try:
        loop.run(made.open(tmp_path_factory.mktemp("local")))
        yield made
    finally:
        loop.run(made.close())


def _chosen(bench: str) -> Rig:
    if bench == "local":
        return LocalRig()
    if bench == "virtual":
        from packseal_hil.rig.virtual import VirtualRig  # noqa: PLC0415 - not everybody has what it needs

        return VirtualRig()
    return RealRig(Path(bench))

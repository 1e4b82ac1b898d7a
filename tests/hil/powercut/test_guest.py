"""Power cuts of a virtual gateway: agents on the ext4 of the guest, on disks whose writes QEMU logs."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal_hil.gateway import image
from packseal_hil.gateway.contents import HOME, Arch
from packseal_hil.gateway.image import Image
from packseal_hil.gateway.machine import Machine
from packseal_hil.gateway.wiring import DataDisk, Parts
from packseal_hil.powercut import recover, verdicts
from packseal_hil.powercut.campaign import Campaign
from packseal_hil.powercut.disks import SAFE, UNSAFE
from packseal_hil.powercut.guest import GuestRecording
from packseal_hil.rig.virtual import VirtualDevice
from packseal_hil.story import Story

CUTS, CONTROL_CUTS = 42, 12
LONG_CUTS, LONG_PACE_S, PACE_S = 240, 20.0, 4.0
SEED = 4711


@pytest.fixture(params=list(Arch))
def guest_image(request: pytest.FixtureRequest, bench: str, *, wants_long_ones: bool) -> Image:
    if bench != "virtual":
        pytest.skip("power cuts of the virtual gateway need --bench virtual; test_here.py cuts without it")
    if why := recover.missing():
        pytest.skip(why)
    if request.param is not Arch.AMD64 and not wants_long_ones:
        pytest.skip(f"the {request.param} guest is booted with --long only")
    return image.ensure(image.cache_directory(), request.param)


async def record(guest_image: Image, work: Path, pace_s: float) -> dict[str, Path]:
    recording = GuestRecording(work / "recording")
    disks = tuple(DataDisk(disk, log) for disk, log in recording.disks)
    machine = Machine(guest_image, work, Parts(disks=disks))
    try:
        await machine.start()
        directories = await recording.run(VirtualDevice(machine), f"{HOME}/bin/python", pace_s)
        await machine.kill()
    finally:
        await machine.close()
        recording.close()
    return directories


@pytest.mark.timeout(1800)
def test_a_cut_of_the_gateway_loses_nothing_that_was_acknowledged(
    guest_image: Image, tmp_path: Path, tell: Callable[[Story], None], *, wants_long_ones: bool
) -> None:
    began_s = time.time()
    directories = asyncio.run(record(guest_image, tmp_path, LONG_PACE_S if wants_long_ones else PACE_S))
    agent = Campaign(directories[SAFE]).run(LONG_CUTS if wants_long_ones else CUTS, SEED)
    control = Campaign(directories[UNSAFE]).run(CONTROL_CUTS, SEED)
    story = verdicts.to_story(
        f"guest-{guest_image.arch}", f"virtual gateway ({guest_image.arch})", began_s, agent, control
    )
    tell(story)
    assert story.is_well, "\n".join(v.title + ": " + v.found for v in story.verdicts if not v.held)

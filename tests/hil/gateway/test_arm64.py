"""The agent on the Raspberry Pi's architecture: an emulated arm64 guest, in the long run; it tells nothing of speed."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal_hil.gateway import image
from packseal_hil.gateway.contents import HOME, Arch
from packseal_hil.gateway.machine import Machine, make_disk
from packseal_hil.gateway.wiring import DataDisk, Parts
from packseal_hil.rig.virtual_world import DIRECTORY

WAIT_S = 300.0
FRAME = "409C102700D41700"  # 0x300 of packseal/reference96: 400 V, 10 A, 61 %
STATUS = f"{HOME}/bin/packseal status --json --config {DIRECTORY}/packseal.toml"


async def records(machine: Machine) -> None:
    """Set the agent up, have it read a kernel bus, stop it, and look at what it has sealed."""
    assert (await machine.check("uname -m")).strip() == "aarch64"
    await machine.check("modprobe vcan && ip link add can0 type vcan && ip link set can0 up")
    await machine.check(f"{HOME}/bin/packseal init {DIRECTORY}", timeout_s=WAIT_S)
    log = "/run/packseal.log"
    pid = await machine.start_command(f"{HOME}/bin/packseal run --config {DIRECTORY}/packseal.toml", log)
    await machine.start_command(f"cangen can0 -g 100 -I 300 -L 8 -D {FRAME}", "/run/cangen.log")
    end_s = time.monotonic() + WAIT_S
    while (await machine.run(f"{STATUS} | grep -Eq '\"samples\": *[1-9]'", timeout_s=WAIT_S)).code:
        assert time.monotonic() < end_s, await machine.check(f"tail -n 5 {log}")
        await asyncio.sleep(1)
    await machine.check(f"kill -TERM {pid}; while kill -0 {pid}; do sleep 0.5; done", timeout_s=WAIT_S)
    verify = f"{HOME}/bin/packseal journal verify --config {DIRECTORY}/packseal.toml"
    await machine.check(verify, timeout_s=WAIT_S)
    listed = await machine.check(verify.replace("verify", "list --json"), timeout_s=WAIT_S)
    kinds = {record["kind"] for log in json.loads(listed) for record in log["listed"]}
    assert {"snapshot", "telemetry"} <= kinds


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("needs_virtual")
def test_the_agent_reads_a_kernel_bus_on_arm64(
    wants_long_ones: bool,  # noqa: FBT001 - a fixture
    tmp_path: Path,
    measure: Callable[[str, float], None],
) -> None:
    if not wants_long_ones:
        pytest.skip("the arm64 guest is for the long run: make hil-long")
    disk = tmp_path / "data.img"
    make_disk(disk, 64)

    async def run() -> None:
        built = await asyncio.to_thread(image.ensure, image.cache_directory(), Arch.ARM64)
        machine = Machine(built, tmp_path, Parts(disks=(DataDisk(disk),)))
        try:
            await machine.start()
            measure("arm64_boot_s", machine.boot_s)
            await records(machine)
            await machine.off(timeout_s=WAIT_S)
        finally:
            await machine.close()

    asyncio.run(run())

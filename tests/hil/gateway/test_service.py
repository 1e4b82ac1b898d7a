"""The agent installed as docs/operations.md has it: started by systemd at boot, again when it dies, ended in order."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal_hil.gateway import image
from packseal_hil.gateway.machine import Machine, make_disk
from packseal_hil.gateway.wiring import DataDisk, Parts
from packseal_hil.powercut.recover import recover
from packseal_hil.rig.virtual_world import DIRECTORY

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
WAIT_S = 240.0
FRAME = "409C102700D41700"  # 0x300 of packseal/reference96: 400 V, 10 A, 61 %
CONFIG = f"{DIRECTORY}/packseal.toml"
SAMPLES = f"/opt/packseal/bin/packseal status --json --config {CONFIG} | grep -Eq '\"samples\": *[1-9]'"


def unit() -> str:
    """Return the unit of the documentation."""
    found = re.search(r"```ini\n# /etc/systemd/system/packseal.service\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found
    return found[1]


def packseal(*words: str | Path) -> str:
    """Run packseal on this machine."""
    done = subprocess.run(
        [sys.executable, "-m", "packseal", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def until(machine: Machine, command: str) -> str:
    """Repeat a command until it succeeds."""
    end_s = time.monotonic() + WAIT_S
    while (done := await machine.run(command)).code:
        assert time.monotonic() < end_s, await machine.check("journalctl -u packseal -n 20; true")
        await asyncio.sleep(0.5)
    return done.output


async def lives(machine: Machine, measure: Callable[[str, float], None]) -> None:
    """Boot, see it record, kill it, see it record again, and switch off."""
    await machine.start()
    began_s = time.monotonic()
    pid = await until(machine, "systemctl is-active -q packseal && systemctl show -p MainPID --value packseal")
    measure("service_boot_s", machine.boot_s + time.monotonic() - began_s)
    assert (await machine.check(f"ps -o user= -p {pid}")).strip() == "packseal"
    await machine.check("modprobe vcan && ip link add can0 type vcan && ip link set can0 up")
    await machine.start_command(f"cangen can0 -g 100 -I 300 -L 8 -D {FRAME}", "/run/cangen.log")
    await until(machine, SAMPLES)
    await machine.check(f"kill -9 {pid}")
    await until(machine, f"systemctl show -p MainPID --value packseal | grep -vqx -e 0 -e {pid.strip()}")
    await until(machine, SAMPLES)
    await machine.off(timeout_s=WAIT_S)


@pytest.mark.usefixtures("needs_virtual")
def test_as_a_service_it_starts_at_boot_comes_back_and_seals_at_the_end(
    tmp_path: Path, measure: Callable[[str, float], None]
) -> None:
    installed = tmp_path / "installed"
    packseal("init", installed)
    config = installed / "packseal.toml"
    # So long a window is sealed by an orderly end only.
    config.write_text(config.read_text().replace("window_s = 60 ", "window_s = 600 "))
    disk = tmp_path / "data.img"
    make_disk(disk, 64, content=installed)

    async def run() -> None:
        parts = Parts(disks=(DataDisk(disk),), init="systemd", units={"packseal.service": unit()})
        machine = Machine(await asyncio.to_thread(image.ensure, image.cache_directory()), tmp_path, parts)
        try:
            await lives(machine, measure)
        finally:
            await machine.close()

    asyncio.run(run())
    found = recover(disk, tmp_path / "found")
    assert not found.damage
    there = found.directory / "packseal.toml"
    packseal("journal", "verify", "--config", there)
    logs = json.loads(packseal("journal", "list", "--json", "--config", there))
    kinds = [record["kind"] for log in logs if log["kind"] == "battery" for record in log["listed"]]
    # The end with kill -9 has sealed nothing, which a gap names; the one that systemd asked for has, once.
    assert kinds.count("snapshot") == 1
    assert kinds.count("telemetry") == 1
    assert kinds.count("gap") == 1

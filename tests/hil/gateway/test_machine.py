"""A machine that cannot be: told in one sentence, with nothing left running."""

import asyncio
from pathlib import Path

import pytest

from packseal_hil.gateway.contents import Arch
from packseal_hil.gateway.image import Image
from packseal_hil.gateway.machine import Machine, make_disk
from packseal_hil.gateway.programs import call, find
from packseal_hil.rig.protocols import RigError


@pytest.mark.skipif(find("qemu-system-x86_64") is None, reason="QEMU is not here: apt-get install qemu-system-x86")
def test_a_machine_without_a_kernel_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project.tar"
    project.touch()
    image = Image(Arch.AMD64, tmp_path / "no-kernel", tmp_path / "no-initrd", tmp_path / "no-root", project)

    async def run() -> None:
        machine = Machine(image, tmp_path / "work")
        with pytest.raises(RigError, match="is off"):
            await machine.run("true")
        with pytest.raises(RigError, match=r"does not boot: QEMU did not start; it has said: .*no-"):
            await machine.start()
        assert not machine.is_on
        await machine.close()
        assert not machine.places.sockets.exists()

    asyncio.run(run())


@pytest.mark.skipif(find("mke2fs") is None, reason="mke2fs is not here: apt-get install e2fsprogs")
def test_a_data_disk_takes_as_little_as_is_in_it_and_reserves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "packseal.toml").write_text("x")
    make_disk(tmp_path / "disk", 64, content=tmp_path / "in")
    assert (tmp_path / "disk").stat().st_blocks * 512 < 8 << 20
    said = call(["dumpe2fs", "-h", tmp_path / "disk"], "Looking")
    assert "Filesystem volume name:   packseal" in said
    assert "Reserved block count:     0\n" in said
    assert "packseal.toml" in call(["debugfs", "-R", "ls /", tmp_path / "disk"], "Looking")

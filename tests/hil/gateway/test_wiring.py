"""QEMU's command line of a machine."""

from itertools import pairwise
from pathlib import Path

import pytest

from packseal_hil.gateway.contents import Arch
from packseal_hil.gateway.image import Image
from packseal_hil.gateway.wiring import DataDisk, Parts, Places, command

IMAGE = Image(Arch.AMD64, Path("/i/kernel"), Path("/i/initrd"), Path("/i/root"), Path("/i/project"))
PLACES = Places(Path("/w"), Path("/s"))


def options(parts: Parts, name: str, image: Image = IMAGE) -> list[str]:
    words = command(image, parts, PLACES)
    return [value for option, value in pairwise(words) if option == name]


def test_it_is_emulated_never_virtualised() -> None:
    assert options(Parts(), "-accel") == ["tcg"]
    assert options(Parts(), "-smp") == ["1"]


def test_no_address_of_the_outer_world_is_let_in_or_out() -> None:
    assert options(Parts(), "-netdev") == ["user,id=net,ipv6=off"]  # and no default route in guest/set-up
    assert "default" not in (Path(__file__).parents[3] / "hil/packseal_hil/gateway/guest/set-up").read_text().replace(
        "No default route", ""
    )


def test_the_root_disk_is_never_written() -> None:
    [root] = options(Parts(), "-drive")
    assert "snapshot=on" in root
    [share] = options(Parts(), "-fsdev")
    assert share.endswith("readonly=on")


def test_a_logged_disk_is_written_through_its_log() -> None:
    made = options(Parts(disks=(DataDisk(Path("/d/data"), Path("/d/log")),)), "-blockdev")
    assert made[-1] == "driver=blklogwrites,file=data0f,log=data0l,node-name=data0,log-sector-size=512"
    assert "virtio-blk-pci,drive=data0,write-cache=on" in options(Parts(disks=(DataDisk(Path("/d/data")),)), "-device")


@pytest.mark.parametrize(
    ("uarts", "card"),
    [
        ((), None),
        (("can",), "pci-serial,chardev=uart0"),
        (("can", "bt"), "pci-serial-2x,chardev1=uart0,chardev2=uart1"),
    ],
)
def test_serial_ports_share_a_card(uarts: tuple[str, ...], card: str | None) -> None:
    found = [device for device in options(Parts(uarts=uarts), "-device") if device.startswith("pci-serial")]
    assert found == ([card] if card else [])
    sockets = [device for device in options(Parts(uarts=uarts), "-chardev") if "uart" in device]
    assert sockets == [f"socket,id=uart{i},path=/s/{name},server=on,wait=off" for i, name in enumerate(uarts)]


def test_a_path_with_a_comma_stays_one_option() -> None:
    made = options(Parts(disks=(DataDisk(Path("/a,b/data")),)), "-blockdev")
    assert made[0] == "driver=file,filename=/a,,b/data,node-name=data0f"


def test_the_clock_chip_begins_where_it_is_told() -> None:
    assert options(Parts(rtc_wall_s=0), "-rtc") == ["base=1970-01-01T00:00:00,clock=vm"]
    assert options(Parts(), "-rtc") == ["base=utc,clock=host"]


def test_each_architecture_has_its_machine() -> None:
    arm = Image(Arch.ARM64, *(Path("/i"),) * 4)
    assert command(arm, Parts(), PLACES)[:3] == ["qemu-system-aarch64", "-M", "virt"]
    assert "console=ttyAMA0" in options(Parts(), "-append", arm)[0]
    assert options(Parts(init="systemd"), "-append")[0].endswith("packseal.init=systemd")
    assert "tpm-tis,tpmdev=tpm0" in options(Parts(tpm=True), "-device")

"""What decides whether an image is built again, where Debian comes from, and which modules go in."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from packseal_hil.gateway import archive, image, initrd, programs, wheels
from packseal_hil.gateway.contents import Arch, wheel_platforms
from packseal_hil.gateway.modules import ModuleTree
from packseal_hil.rig.protocols import RigError

MODULES = """\
kernel/net/can/can-raw.ko.xz: kernel/net/can/can.ko.xz
kernel/net/can/can.ko.xz:
kernel/net/can/can-j1939.ko.xz: kernel/drivers/x/third.ko.xz kernel/net/can/can.ko.xz
kernel/drivers/x/third.ko.xz: kernel/net/can/can.ko.xz
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as the keys depend on."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements/dev.lock"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(wheels.CHECKOUT / name, target)
    (tmp_path / "agent/packseal").mkdir(parents=True)
    (tmp_path / "agent/packseal/clock.py").write_text("A = 1\n")
    return tmp_path


def test_a_change_of_code_builds_the_second_layer_only(checkout: Path) -> None:
    debian, project = image.debian_key(checkout, Arch.AMD64), wheels.project_key(checkout)
    (checkout / "agent/packseal/clock.py").write_text("A = 2\n")
    assert wheels.project_key(checkout) != project
    assert image.debian_key(checkout, Arch.AMD64) == debian
    (checkout / "agent/packseal/__pycache__").mkdir()
    again = wheels.project_key(checkout)
    (checkout / "agent/packseal/__pycache__/clock.pyc").write_bytes(b"x")
    (checkout / "tests").mkdir()
    assert wheels.project_key(checkout) == again


def test_a_change_of_what_it_depends_on_builds_both(checkout: Path) -> None:
    before = image.debian_key(checkout, Arch.AMD64)
    assert image.debian_key(checkout, Arch.ARM64) != before
    lock = checkout / "requirements/dev.lock"
    lock.write_text(lock.read_text() + "more==1\n")
    after = image.debian_key(checkout, Arch.AMD64)
    assert after != before
    settings = checkout / "pyproject.toml"
    settings.write_text(settings.read_text().replace('"bleak>=', '"bleak>=1.2,>='))
    assert image.debian_key(checkout, Arch.AMD64) != after


def test_the_archive_is_the_one_that_apt_has() -> None:
    known = (
        "Translations Debian trixie http://a/\nPackages Debian bookworm-security http://s/x\n"
        "Packages Other y http://o/\nPackages Debian bookworm http://m/debian/\n"
    )
    assert archive.pick(known) == "http://m/debian"
    unread = "Packages $(ORIGIN) $(CODENAME) https://o/nodes/\nPackages $(ORIGIN) $(CODENAME) http://m/debian/\n"
    assert archive.pick(unread) == "http://m/debian"
    with pytest.raises(RigError, match="name one in PACKSEAL_HIL_MIRROR"):
        archive.pick("Packages Ubuntu noble http://u/ubuntu/\n")


def test_modules_load_after_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(MODULES)
    (tmp_path / "modules.builtin").write_text("kernel/drivers/tpm/tpm_tis.ko\n")
    tree = ModuleTree(tmp_path)
    order = [path.name for path in tree.in_order(["can_j1939", "can-raw", "tpm_tis"])]
    assert order == ["can.ko.xz", "third.ko.xz", "can-j1939.ko.xz", "can-raw.ko.xz"]
    assert tree.missing(["can_raw", "tpm_tis", "gpio_sim"]) == ["gpio_sim"]


def test_wheels_of_every_glibc_that_the_guest_can_take_are_taken() -> None:
    tags = wheel_platforms(Arch.ARM64)
    assert {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"} < set(tags)


def test_what_is_missing_is_named_as_debian_has_it() -> None:
    with pytest.raises(RigError, match=r"X needs programs that are not here: apt-get install one two$"):
        programs.need({"no-such-a": "two", "no-such-b": "one", "sh": "dash"}, "X")


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(RigError, match=r"Trying: sh failed \(3\): b; c; d$"):
        programs.call(["sh", "-c", "for i in a b c d; do echo $i; done; exit 3"], "Trying")
    with pytest.raises(RigError, match="Trying: no-such-program is not here"):
        programs.call(["no-such-program"], "Trying")
    with pytest.raises(RigError, match="not ready after 0 s"):
        programs.call(["sleep", "5"], "Trying", timeout_s=0.1)


def test_the_scripts_of_the_guest_are_ones() -> None:
    guest = initrd.SCRIPT.parent
    for path in (initrd.SCRIPT, *(guest / name for name in ("set-up", "init-small", "init-systemd"))):
        assert subprocess.run(["sh", "-n", path], capture_output=True, check=False).stderr == b"", path


@pytest.mark.skipif(programs.find("qemu-system-x86_64") is None, reason="QEMU is not here: it would be asked for first")
def test_without_root_it_says_what_it_needs_and_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RigError, match="Building the image of the virtual gateway needs root"):
        image.ensure(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_images_nobody_has_asked_for_in_a_day_are_forgotten(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "root.ext4").touch()
    (tmp_path / "else").mkdir()
    for name in ("old", "else"):
        os.utime(tmp_path / name, (0, 0))
    image.forget_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "new"]

"""Recovery of real ext4 images with e2fsprogs: files come out, damage is told, and no root is needed."""

import subprocess
from pathlib import Path

import pytest

from packseal_hil.powercut import logged_disk, recover
from packseal_hil.rig.protocols import RigError

SIZE = 16 << 20

pytestmark = pytest.mark.skipif(bool(recover.missing()), reason=recover.missing() or "all is here")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    contents = tmp_path / "contents" / "packseal"
    contents.mkdir(parents=True)
    (contents / "journal.db").write_bytes(b"database" * 1000)
    (contents / "gateway.key").write_bytes(b"secret")
    (contents / "gateway.key").chmod(0o600)
    logged_disk.make_base(tmp_path / "disk.img", tmp_path / "contents", SIZE, "made")
    return tmp_path / "disk.img"


def test_a_directory_comes_out_whole(tmp_path: Path, image: Path) -> None:
    found = recover.recover(image, tmp_path / "out", "/packseal")
    assert found.damage == ""
    assert (found.directory / "journal.db").read_bytes() == b"database" * 1000
    assert (found.directory / "gateway.key").stat().st_mode & 0o777 == 0o600


def test_what_was_there_before_does_not_stay(tmp_path: Path, image: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    found = recover.recover(image, tmp_path / "out")
    assert (found.directory / "packseal" / "journal.db").is_file()
    assert not (tmp_path / "out" / "old").exists()


def test_a_directory_that_the_disk_did_not_have_yet_is_not_there(tmp_path: Path, image: Path) -> None:
    assert not recover.recover(image, tmp_path / "out", "/nothing").directory.exists()


def test_damage_that_a_mount_would_not_mend_is_told(tmp_path: Path, image: Path) -> None:
    subprocess.run([recover.tool("debugfs"), "-w", "-R", "clri /packseal", str(image)], check=True, capture_output=True)
    assert "packseal" in recover.recover(image, tmp_path / "out").damage


def test_what_is_no_file_system_is_a_fault_of_the_bench(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(SIZE))
    with pytest.raises(RigError, match="e2fsck"):
        recover.recover(tmp_path / "zeros", tmp_path / "out")


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "TOOLS_PATH", str(tmp_path))
    assert recover.missing() == "e2fsck and debugfs cannot be found: install e2fsprogs"
    with pytest.raises(RigError, match="install e2fsprogs"):
        recover.recover(tmp_path / "any", tmp_path / "out")

"""What the two init commands say they have made is there after a power cut that follows at once."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from packseal import config
from packseal.core.cose import public_key_from_pem
from packseal.keys import file as key_file
from packseal_hil.powercut import logged_disk, recover
from packseal_hil.powercut.cut import Tear, cut_image
from packseal_hil.powercut.logged_disk import LoggedDisk
from packseal_hil.powercut.write_log import WriteLog
from packseal_sink import settings

BYTES = 16 << 20
SINK = "import sys; from packseal_sink.cli import main; sys.exit(main())"

WHY = logged_disk.missing() or recover.missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=f"no power cuts on this machine: {WHY}")


def after_a_cut(work: Path, program: list[str]) -> Path:
    """Run `program DIRECTORY` on a logged disk and cut the power when it has ended; return what is left of it."""
    (work / "contents").mkdir()
    logged_disk.make_base(work / logged_disk.BASE, work / "contents", BYTES, "init")
    with LoggedDisk(work) as disk:
        subprocess.run([*program, str(disk.mount / "made")], check=True, capture_output=True)
        position = disk.log_bytes
    with WriteLog.read(work / logged_disk.LOG) as log:
        left = cut_image(work / logged_disk.BASE, log, position, random.Random(0), Tear.LOST, work)
    return recover.recover(left, work / "left", "/made").directory


def test_packseal_init(tmp_path: Path) -> None:
    left = after_a_cut(tmp_path, [sys.executable, "-m", "packseal", "init"])
    assert config.load(left / "packseal.toml").file.gateway.key == "gateway.key"
    kid = key_file.load(left / "gateway.key").kid
    assert public_key_from_pem((left / "gateway.pub").read_bytes()).kid == kid


def test_packseal_sink_init(tmp_path: Path) -> None:
    left = after_a_cut(tmp_path, [sys.executable, "-c", SINK, "init", "--id", "urn:example:sink"])
    assert settings.load(left / "sink.toml").settings.sink.id == "urn:example:sink"
    kid = key_file.load(left / "sink.key").kid
    assert public_key_from_pem((left / "sink.pub").read_bytes()).kid == kid

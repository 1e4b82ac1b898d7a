"""The cache of decoders: used when it is ours, made anew when it is not, and without cantools when it is warm."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.drivers import everything

from packseal_drivers import profile
from packseal_drivers.decoding import cache, compile_decoders

LOADED = """
import sys
from pathlib import Path
from packseal_drivers import profile
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import SocketCan, Stream
from packseal.clock import SystemClock
file, cache = profile.load("packseal/reference96"), Path(sys.argv[1])
for link in (Stream("x.sock"), SocketCan("can0")):
    open_driver(link, file, directory=Path(), cache=cache, clock=SystemClock())
print(sorted({"can", "cantools", "numpy", "pydantic", "rich"} & set(sys.modules)))
"""


def test_a_warm_cache_needs_neither_cantools_nor_python_can(tmp_path: Path) -> None:
    def loaded() -> str:
        command = [sys.executable, "-c", LOADED, str(tmp_path / "cache")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert "cantools" in loaded()
    assert loaded() == "[]"


def test_what_is_cached_is_what_was_generated(tmp_path: Path) -> None:
    file = everything.write(tmp_path)
    cold, warm = compile_decoders(file, tmp_path / "cache"), compile_decoders(file, tmp_path / "cache")
    assert only(tmp_path).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert cold.channels == warm.channels
    assert cold.table.keys() == warm.table.keys()
    one, other = [None] * 18, [None] * 18
    one[7] = other[7] = []  # type: ignore[call-overload]
    for address in cold.table:
        cold.table[address](bytes(range(64)), one, lambda slot, flaw: (slot, flaw))
        warm.table[address](bytes(range(64)), other, lambda slot, flaw: (slot, flaw))
    assert one == other


def test_another_dbc_or_profile_has_another_name(tmp_path: Path) -> None:
    file = everything.write(tmp_path)
    names = {cache.key(file)}
    (tmp_path / "everything.dbc").write_text(everything.DBC + "\n")
    names.add(cache.key(profile.load("everything.toml", tmp_path)))
    with (tmp_path / "everything.toml").open("a") as text:
        text.write("# a remark\n")
    names.add(cache.key(profile.load("everything.toml", tmp_path)))
    assert len(names) == 3


def damage(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-10] ^= 1
    path.write_bytes(raw)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace_by_link(path: Path) -> None:
    other = path.with_suffix(".other")
    path.rename(other)
    path.symlink_to(other)


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def open_directory(path: Path) -> None:
    path.parent.chmod(0o777)


def give_away(path: Path) -> None:
    os.chown(path, 65534, 65534)


def give_directory_away(path: Path) -> None:
    os.chown(path.parent, 65534, 65534)


@pytest.mark.parametrize(
    "spoil", [damage, cut, replace_by_link, open_to_all, open_directory, give_away, give_directory_away]
)
def test_a_file_that_others_could_have_written_or_that_is_damaged_is_not_believed(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    if spoil in (give_away, give_directory_away) and os.geteuid() != 0:
        pytest.skip("only root can give a file away: run this test as root")
    file = everything.write(tmp_path)
    compile_decoders(file, tmp_path / "cache")
    spoil(only(tmp_path))
    assert cache.read(tmp_path / "cache", cache.key(file)) is None
    assert compile_decoders(file, tmp_path / "cache").table


def test_a_directory_that_cannot_be_written_costs_only_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = everything.write(tmp_path)
    (tmp_path / "cache").write_text("a file where a directory should be")
    assert compile_decoders(file, tmp_path / "cache").table
    assert "cannot be kept" in caplog.text


def only(directory: Path) -> Path:
    (found,) = (directory / "cache").iterdir()
    return found

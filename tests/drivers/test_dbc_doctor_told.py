"""What the DBC doctor found reaches the user: in a profile's error, in the log and by the command."""

import logging
from pathlib import Path
from typing import Any

import pytest
from cantools.database.errors import Error
from tests.drivers.dbc_texts import CLEAN, HEAD, cantools_of, meant

from packseal.cli import main
from packseal.core.errors import ConfigError
from packseal_drivers import profile
from packseal_drivers.dbc_doctor import examine
from packseal_drivers.decoding import compile_decoders

KONA = Path(__file__).parents[3] / "shared" / "data" / "kona_can" / "pcan.dbc"


TOML = """name = "a/b"
title = "t"
source = "a test"
dbc = "a.dbc"
[[signal]]
message = "{}"
signal = "{}"
quantity = "pack_voltage_v"
"""
TWICE = CLEAN.replace("CM_ SG", 'BO_ 7 Pack: 8 B\n SG_ Y : 0|1@1+ (1,0) [0|0] "" B\nCM_ SG').replace(
    " SG_ Cell_2 m1", ' SG_ Group : 56|8@1+ (1,0) [0|0] "" B\n SG_ Cell_2 m1'
)


@pytest.mark.parametrize(
    ("message", "signal", "said"),
    [
        ("Pack", "Y", r"line 6: signal\[0\].message: .*a.dbc, line 21: message Pack is also defined in line 11"),
        ("Cells", "Group", r"line 7: signal\[0\].signal: .*a.dbc, line 15: message Cells has 2 signals Group"),
    ],
)
def test_a_name_that_is_there_twice_is_noted_and_cannot_be_mapped(
    tmp_path: Path, message: str, signal: str, said: str
) -> None:
    (tmp_path / "a.dbc").write_text(TWICE)
    (tmp_path / "a.toml").write_text(TOML.format(message, signal))
    with pytest.raises(ConfigError, match=said):
        compile_decoders(profile.load("a.toml", tmp_path))
    (tmp_path / "a.toml").write_text(TOML.format("Cells", "Cell_2"))
    assert compile_decoders(profile.load("a.toml", tmp_path)).table.keys() == {2147484048}


def test_a_profile_on_a_rejected_file_works_and_its_repair_is_logged_once_a_compilation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.dbc").write_text(CLEAN + 'VAL_ 100 Power 0 "off" ;\n')
    (tmp_path / "a.toml").write_text(TOML.format("Pack", "Voltage"))
    slots: list[Any] = [None]
    with caplog.at_level(logging.INFO, "packseal_drivers"):
        for _ in range(2):  # the second time from the cache
            decoders = compile_decoders(profile.load("a.toml", tmp_path), tmp_path / "cache")
            decoders.table[100](bytes([0xFE, 0x0F, 0, 0, 0, 0, 0, 0]), slots, lambda *_: None)
    assert slots == [pytest.approx(409.4)]
    assert [(r.levelname, "line 28: VAL_" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]


def test_the_powertrain_file_of_a_kona_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    if not KONA.exists():
        pytest.skip(f"{KONA} is not there: put the recordings of a Hyundai Kona beside the checkout")
    with pytest.raises(Error):
        cantools_of(KONA.read_text())
    found = examine(KONA.read_bytes(), KONA)
    repaired = KONA.read_text().replace("NS_ :\n  NS_DESC_\n", "")
    assert meant(found.database) == meant(cantools_of(repaired))
    assert sum(len(m.signals) for m in found.database.messages) == 445
    assert main(["doctor", "--dbc", str(KONA)]) == 0
    told = capsys.readouterr().out
    assert "107 messages, 445 signals" in told
    assert "line 1: section BS_ and BU_ is missing" in told


def test_the_command_names_what_cannot_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.dbc").write_text(HEAD + "BO_ what is this")
    assert main(["doctor", "--dbc", str(tmp_path / "a.dbc")]) == 1
    assert "a.dbc, line 11: " in capsys.readouterr().err
    assert main(["doctor", "--dbc", str(tmp_path / "b.dbc")]) == 1
    assert "No such file" in capsys.readouterr().err

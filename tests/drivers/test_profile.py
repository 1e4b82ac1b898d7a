"""Profiles: those that come with packseal are whole; a wrong one is told by file, line, key and what is allowed."""

from pathlib import Path

import pytest
from tests.drivers import everything

from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal_drivers import profile
from packseal_drivers.decoding import compile_decoders

ROOT = Path(__file__).parents[2]
SIGNAL = '[[signal]]\nmessage = "Wide"\nsignal = "Far"\nquantity = "cycles"\n'


@pytest.mark.parametrize("name", profile.names())
def test_every_profile_that_comes_along_is_whole(name: str) -> None:
    file = profile.load(name)
    assert file.profile.name == name
    assert file.profile.source
    assert file.profile.title
    assert file.dbc_path.stem == file.path.stem
    decoders = compile_decoders(file)
    assert decoders.channels == file.profile.channels
    assert len(decoders.averaged) == len(file.profile.channels) > 0
    page = ROOT / "docs" / "drivers" / f"{name.replace('/', '_')}.md"
    assert page.is_file(), f"{name} needs a page in docs/drivers"
    assert name in page.read_text()


def test_the_reference_pack_says_96_cells_and_counts_charging_as_positive() -> None:
    mapped = {m.channel: m for m in profile.load("packseal/reference96").profile.mapped()}
    assert [mapped[Channel(Quantity.CELL_VOLTAGE_V, i)].signal for i in (0, 95)] == ["Cell_1", "Cell_96"]
    assert mapped[Channel(Quantity.PACK_CURRENT_A)].line.factor == -1


def test_numbers_in_names_count_channels_and_messages(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[[signal]]\nmessage = "C{m}"\nsignal = "V{i}"\nquantity = "cell_voltage_v"\ncount = 5\nfirst = 0\n'
        "per_message = 2\nindex = 10\n",
    )
    mapped = profile.load("bad.toml", tmp_path).profile.mapped()
    assert [(m.message, m.signal, m.channel.index) for m in mapped] == [
        ("C0", "V0", 10), ("C0", "V1", 11), ("C1", "V2", 12), ("C1", "V3", 13), ("C2", "V4", 14),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (SIGNAL.replace("cycles", "speed"), 5, "quantity must be one of cell_voltage_max_v"),
        (SIGNAL + 'reduce = "max"\n', 9, "reduce"),
        (SIGNAL + "scale = 2\n", 9, "unknown field `scale`; allowed are quantity, count, index"),
        (SIGNAL + "factor = 0\n", 5, "factor must not be 0"),
        (SIGNAL + "factor = inf\n", 5, "must be finite"),
        (SIGNAL + "minimum = 3\nmaximum = 2\n", 5, "minimum must be below maximum"),
        (SIGNAL + "count = 2000\n", 5, "count must be at least 1"),
        (SIGNAL + SIGNAL, 1, "two tables give the same quantity"),
        ("signal = []\n", 1, "at least one [[signal]]"),
        (SIGNAL + "[sampling]\nperiod_s = -1\n", 9, "period_s must be from 0 to 600"),
        (SIGNAL + "[sampling\n", 0, "not TOML"),
        (SIGNAL.replace('"Wide"', "5"), 6, "Expected `str`, got `int`"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_key(tmp_path: Path, text: str, line: int, said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        profile.load("bad.toml", tmp_path)
    message = str(caught.value)
    assert said in message
    assert f"bad.toml, line {line}:" in message or not line
    assert "bad.toml" in message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (SIGNAL.replace("Wide", "Wied"), 6, "Wied is not in"),
        (SIGNAL.replace("Wide", "Wied"), 6, "there are Wide"),
        (SIGNAL.replace("Far", "Fra"), 7, "Fra is not in message Wide"),
        (SIGNAL + "not_available = [1, 1024]\n", 9, "1024 does not fit into the 10 bits of Far"),
        (SIGNAL + SIGNAL.replace("cycles", "pack_voltage_v"), 11, "Wide Far is mapped twice"),
    ],
)
def test_what_does_not_fit_the_dbc_is_told_by_line_and_key(tmp_path: Path, text: str, line: int, said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        compile_decoders(profile.load("bad.toml", tmp_path))
    assert said in str(caught.value)
    assert f"line {line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (" SG_ Far : 60|10@1+ (1,0)", "line 7: signal[0].signal: Far does not fit into the 8 bytes of Wide"),
        (" SG_ Far : 58|16@0+ (1,0)", "Far does not fit"),
        (" SG_ Far : 0|8@1+ (1e999,0)", "Far has no usable scale"),
        (" SG_ Far : 0|8@1+ (0,0)", "Far has no usable scale"),
        (' SG_ Far m1 : 0|8@1+ (1,0) [0|0] "" X\n SG_ Mux M : 62|4@1+ (1,0)', "multiplexer Mux of Wide does not fit"),
        (' SG_ Far m1 : 0|8@1+ (1,0) [0|0] "" X\n SG_ Mux M : 60|4@1+ (1e999,0)', "multiplexer Mux of Wide has no"),
    ],
)
def test_a_field_that_no_frame_can_hold_is_told(tmp_path: Path, field: str, said: str) -> None:
    write(tmp_path, SIGNAL)
    (tmp_path / "everything.dbc").write_text(f'BU_: X\nBO_ 1 Wide: 8 X\n{field} [0|0] "" X\n')
    with pytest.raises(ConfigError) as caught:
        compile_decoders(profile.load("bad.toml", tmp_path))
    assert said in str(caught.value)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is it bmw/i3\? packseal profiles lists them"):
        profile.load("bmw/i9")
    with pytest.raises(ConfigError, match=r"cannot read .*none.toml: No such file"):
        profile.load("none.toml", tmp_path)
    write(tmp_path, SIGNAL)
    (tmp_path / "everything.dbc").unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*everything.dbc"):
        profile.load("bad.toml", tmp_path)


@pytest.mark.parametrize("dbc", ["", "BO_ what is this", "\x00\x01", 'BO_ 1 A: 8 X\n SG_ B : 0|8@1+ (a,b) [0|0] "" X'])
def test_a_dbc_that_is_none_is_told(tmp_path: Path, dbc: str) -> None:
    write(tmp_path, SIGNAL)
    (tmp_path / "everything.dbc").write_text(dbc)
    with pytest.raises(ConfigError, match=r"everything.dbc"):
        compile_decoders(profile.load("bad.toml", tmp_path))


def write(directory: Path, text: str) -> None:
    """Write a profile whose first [[signal]] begins in line 5."""
    (directory / "everything.dbc").write_text(everything.DBC)
    (directory / "bad.toml").write_text(everything.HEAD + text if "signal = []" not in text else text + everything.HEAD)

"""bench.toml: what is wrong in it is named, and what is left out is a thing that this bench cannot do."""

from pathlib import Path

import pytest

from packseal_hil.rig import settings
from packseal_hil.rig.protocols import Need, RigError

EXAMPLE = Path(__file__).parents[3] / "hil" / "bench.example.toml"
LEAST = 'title = "t"\n[device]\nssh = "me@here"\n[network]\nhost = "127.0.0.1"\n'


def load(folder: Path, text: str) -> settings.Bench:
    file = folder / "bench.toml"
    file.write_text(text)
    return settings.load(file)


def test_the_example_is_sound() -> None:
    bench = settings.load(EXAMPLE)
    assert bench.needs_met == {
        Need.CAN,
        Need.BUS_FAULTS,
        Need.POWER,
        Need.CLOCK,
        Need.NETWORK,
        Need.LOSS,
        Need.DISK,
    }


def test_what_is_left_out_is_not_there(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).needs_met == set()
    assert load(tmp_path, f'has = ["tpm"]\n{LEAST}').needs_met == {Need.TPM}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[power]\ncut = { ask = "x" }\n', ["line 6", "power", "missing required field `on`"]),
        ('[power]\ncut = { ask = "x", command = "y" }\non = { ask = "z" }', ["power.cut", "exactly one of command"]),
        ('[power]\ncut = {}\non = { ask = "z" }', ["power.cut", "exactly one of command, device, send and ask"]),
        ('[power]\ncut = { send = "x" }\non = { ask = "z" }', ["power.cut", "send and to go together"]),
        ('[power]\ncut = { send = "x", to = "here" }\non = { ask = "z" }', ["to must be HOST:PORT, not 'here'"]),
        ('[bus]\ninterface = "pcan"\nchanel = 1\n', ["line 8", "chanel", "allowed are interface, channel"]),
        ('[bus]\ninterface = "p"\nchannel = 1\nfault = { of = { ask = "x" } }', ["fault has no `of`", "warning"]),
        ('[bus]\ninterface = "p"\nchannel = 1\nfault = { off = { ask = "x" } }', ["what mends the bus again?"]),
        ('[disk]\nfill = { ask = "x" }\n', ["line 6", "fill and free go together"]),
        ("[relay]\n", ["line 6", "relay", "allowed are title, device, network"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, more: str, said: list[str]) -> None:
    with pytest.raises(RigError) as caught:
        load(tmp_path, LEAST + more)
    text = str(caught.value)
    assert str(tmp_path / "bench.toml") in text
    assert [part for part in said if part not in text] == [], text


@pytest.mark.parametrize("directory", ["/", "/var", "bench", ""])
def test_a_directory_that_others_need_is_refused(tmp_path: Path, directory: str) -> None:
    """The bench empties it."""
    with pytest.raises(RigError, match="directory must be a path of its own"):
        load(tmp_path, LEAST.replace('ssh = "me@here"', f'ssh = "me@here"\ndirectory = "{directory}"'))


def test_a_bench_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot read the bench"):
        settings.load(tmp_path / "none.toml")

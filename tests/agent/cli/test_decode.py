"""packseal decode: recordings and single answers, for people and for programs; what cannot be decoded is told."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from packseal.cli import main

ROOT = Path(__file__).parents[3]
RECORDING = ROOT / "tests" / "recordings" / "hyundai_kona_uds" / "frames.log"
HEALTH = "7EC102E620105003FFF 7EC2190000000000000 7EC220000000014918E"
WHOLE = "620105003FFF90000000000000000014918E012927465000015013BB03E800000000BB0000CBCB01001300000000"

Capture = pytest.CaptureFixture[str]


def decoded(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(["decode", "--profile", "hyundai/kona_uds", "--json", *words]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_recording_is_decoded_for_programs(capsys: Capture) -> None:
    told = decoded(capsys, str(RECORDING), "--every", "0")
    assert told["format"] == "packseal-decode/1"
    assert told["profile"] == "hyundai/kona_uds"
    first = told["samples"][0]
    assert first["values"]["pack_current_a"] == {"value": -1.8, "unit": "A"}
    assert first["values"]["state_of_charge_pct[0]"] == {"value": 89.5, "unit": "%"}
    assert first["values"]["operating_time_h"]["unit"] == "h"
    assert [s["t_s"] for s in told["samples"]] == sorted(s["t_s"] for s in told["samples"])
    flawed = next(s for s in told["samples"] if s["flaws"])
    assert flawed["flaws"]["pack_current_a"] == "out_of_range"
    assert flawed["flaws"]["charge_charged_ah"] == "not_available"
    assert not flawed["flaws"].keys() & flawed["values"].keys()
    totals = told["totals"]
    lines = [line for line in RECORDING.read_text().splitlines() if not line.startswith("#")]
    assert totals["frames"] == len(lines)
    assert totals["samples"] == len(told["samples"])
    assert totals["answers"] == {"whole": 15, "decoded": 13, "refused": 2, "other": 0, "broken": 1}
    assert totals["short"] == 5
    assert totals["unknown"] == 0
    assert totals["notes"] == []


def test_a_period_and_a_limit_make_fewer_samples(capsys: Capture) -> None:
    every = decoded(capsys, str(RECORDING), "--every", "20")["samples"]
    assert [s["t_s"] for s in every] == [20, 40, 60]
    assert every[0]["values"]["pack_current_a"]["value"] == 100
    limited = decoded(capsys, str(RECORDING), "--every", "20", "--limit", "1")
    assert limited["samples"] == every[:1]


def test_a_recording_is_shown_to_people(capsys: Capture) -> None:
    assert main(["decode", "--profile", "hyundai/kona_uds", str(RECORDING)]) == 0
    told = capsys.readouterr().out
    for line in (
        "1.000 s",
        "  pack_current_a             -1.8 A",
        "  state_of_charge_pct[0-1]   89.5 93.5 %",
        "  cell_voltage_v[0-11]       " + "4.06 " * 12 + "V",
        "  charge_charged_ah          not available: the BMS says that it does not know",
        "  pack_voltage_v             out of range",
        "15 answers put together: 13 decoded, 2 refusals, 0 to what this profile does not ask; 1 broken",
    ):
        assert line in told.splitlines()


def test_broadcast_signals_and_broken_lines_of_a_packed_recording(tmp_path: Path, capsys: Capture) -> None:
    lines = [
        "(1.000000) can0 595#0000000055 what",
        "(1.000000) can0 595#000000005503C70D",
        "(1.100000) can0 1ABCDEF0#00",
    ]
    path = tmp_path / "bench.log.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert main(["decode", "--profile", "hyundai/kona_broadcast", "--json", str(path)]) == 0
    out, error = capsys.readouterr()
    told = json.loads(out)
    assert told["samples"][0]["values"] == {
        "pack_current_a": {"value": -85.3, "unit": "A"},
        "pack_voltage_v": {"value": 352.7, "unit": "V"},
    }
    assert told["totals"]["unknown_ids"] == {"1ABCDEF0": 1}
    assert "line 1" in told["totals"]["notes"][0]
    assert "line 1" in error
    assert main(["decode", "--profile", "hyundai/kona_broadcast", str(path)]) == 0
    assert "ids that this profile does not know: 1ABCDEF0 (1)" in capsys.readouterr().out


def test_one_answer_is_decoded_however_it_is_given(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    told = decoded(capsys, "--response", WHOLE)
    (sample,) = told["samples"]
    assert sample["t_s"] == 0
    assert sample["values"]["state_of_health_pct"] == {"value": 100, "unit": "%"}
    assert sample["values"]["cell_voltage_v[97]"] == {"value": 4.06, "unit": "V"}
    monkeypatch.setattr("sys.stdin", io.StringIO(WHOLE))
    assert decoded(capsys, "--response", "-") == told


def test_one_answer_is_shown_to_people(capsys: Capture) -> None:
    assert main(["decode", "--profile", "hyundai/kona_uds", "--response", WHOLE[:70]]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "35 bytes, the answer to 22 01 05 (health)"
    assert "  state_of_health_pct        100 %" in told
    assert "  state_of_charge_pct[1]     93.5 %" in told
    assert told[-1] == "shorter than the profile knows it: shown is what it holds"


def test_an_answer_without_a_value_is_a_failure(capsys: Capture) -> None:
    assert main(["decode", "--profile", "hyundai/kona_uds", "--response", WHOLE[:30]]) == 1
    assert "shorter than the profile knows it" in capsys.readouterr().out
    assert main(["decode", "--profile", "hyundai/kona_uds", "--json", "--response", WHOLE[:30]]) == 1
    assert json.loads(capsys.readouterr().out)["samples"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--response", "7F 22 31"],
            "refuses the request of service 22 with code 31: it does not know this identifier",
        ),
        (["--response", "7F2278"], "the answer comes later"),
        (
            ["--response", "62 02 00 11"],
            "62 02 00 … answers no request of hyundai/kona_uds; its answers begin with 62 01 01",
        ),
        (["--response", HEALTH], "breaks off"),
        (["--response", "NO DATA"], "when nothing answered"),
        (["--response", ""], "no answer in it"),
        ([], "one of the two"),
        (["some.log", "--response", "62"], "one of the two"),
        (["nowhere.log"], "no such file"),
        (["drive.txt"], "what kind of recording"),
        (["--response", "62", "--profile", "bmw/i3"], "asks nothing, so it knows no answers"),
        (["--response", "62", "--profile", "bmw/none"], "is unknown"),
    ],
)
def test_what_cannot_be_decoded_is_told_in_one_line(words: list[str], said: str, capsys: Capture) -> None:
    assert main(["decode", "--profile", "hyundai/kona_uds", *words]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [["--every", "601"], ["--every", "x"], ["--limit", "0"], ["--limit", "-1"]])
def test_numbers_that_are_not_allowed_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["decode", "--profile", "hyundai/kona_uds", str(RECORDING), *words])
    assert ended.value.code == 2


def test_every_profile_that_asks_decodes_its_recording(capsys: Capture) -> None:
    for name in ("hyundai/egmp", "vw/meb", "renault/zoe_uds", "generic/obd2"):
        log = ROOT / "tests" / "recordings" / name.replace("/", "_") / "frames.log"
        assert main(["decode", "--profile", name, "--json", str(log)]) == 0
        totals = json.loads(capsys.readouterr().out)["totals"]
        assert totals["samples"] >= 2
        assert totals["answers"]["decoded"] >= 5
        assert totals["answers"]["broken"] == 0

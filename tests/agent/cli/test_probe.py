"""packseal probe and packseal profiles, and the tables of supported batteries that are made of the same."""

import json
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import can
import pytest
from can.io.canutils import CanutilsLogReader
from can.io.player import MessageSync

from packseal import cli
from packseal_drivers import profile
from packseal_drivers.catalogue import OWN

ROOT = Path(__file__).parents[3]
RECORDINGS = ROOT / "tests" / "recordings"
REC = RECORDINGS / "rec_bms" / "frames.log"


def test_the_best_fit_reasons_and_near_misses_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", str(REC)]) == 0
    said = capsys.readouterr().out
    assert "12 frames of 7 ids in 3.2 s" in said
    assert "fits: rec/bms (REC BMS" in said
    assert "  0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x380 seen" in said
    assert "near misses:\n  sma/sunny_island: 0x380 seen" in said
    assert "ids that no profile knows" not in said


def test_ids_that_no_profile_knows_are_listed_with_rate_length_and_changing_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    more = "".join(f"({1_700_000_000 + i / 10:.6f}) can0 7F1#00{i:02X}05{'' if i % 2 else '06'}\n" for i in range(21))
    path.write_text(REC.read_text() + more)
    assert cli.main(["probe", str(path)]) == 0
    rows = capsys.readouterr().out.partition("ids that no profile knows:\n")[2].splitlines()
    assert [row.split() for row in rows] == [
        ["id", "frames", "per", "s", "bytes", "changing", "bytes"],
        ["0x7F1", "21", "10.0", "3-4", "1"],
    ]
    assert cli.main(["probe", "--all", str(path)]) == 0
    everything = capsys.readouterr().out.partition("all ids:\n")[2]
    assert len(everything.splitlines()) == 9
    assert "rec/bms" in next(row for row in everything.splitlines() if row.startswith("0x380"))


def test_when_nothing_fits_every_id_is_listed_and_the_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    path.write_text("(1.0) can0 351#00\n(1.0) can0 00000123#00\nnonsense\n")
    assert cli.main(["probe", str(path)]) == 1
    said = capsys.readouterr().out
    assert "no profile fits" in said
    assert "line 3: " in said
    assert "\n0x351" in said
    assert "\n0x00000123" in said


def test_json_says_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "--json", str(REC)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["best"], [f["profile"] for f in found["fits"]]) == ("rec/bms", ["rec/bms"])
    assert {f["profile"] for f in found["near"]} >= {"sma/sunny_island", "victron/can_bms"}
    row = next(row for row in found["ids"] if row["id"] == "0x356")
    assert (row["frames"], row["lengths"]) == (3, [6])
    assert "rec/bms" in row["known_to"]
    assert (found["frames"], found["error_frames"], found["noise"]) == (12, 0, False)


def test_a_live_bus_is_probed_and_sees_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    channel = secrets.token_hex(8)
    with can.Bus(interface="virtual", channel=channel) as bus, CanutilsLogReader(REC) as reader:

        def play() -> None:
            while len(bus.channel) < 2:  # type: ignore[attr-defined]  # the virtual bus's queues
                time.sleep(0.01)
            for message in MessageSync(reader, timestamps=False, gap=0.01):
                bus.send(message)

        thread = threading.Thread(target=play)
        thread.start()
        code = cli.main(["probe", "--interface", "virtual", "--channel", channel, "--seconds", "1", "--json"])
        thread.join()
        assert bus.recv(timeout=0) is None
    found = json.loads(capsys.readouterr().out)
    assert (code, found["best"], found["frames"]) == (0, "rec/bms", 12)


def test_own_profiles_are_tried_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "shed.toml"
    text = (Path(profile.load("rec/bms").path)).read_text()
    own.write_text(text.replace('name = "rec/bms"', 'name = "own/shed"').replace("0x380]", "0x380, 0x7F2]"))
    (tmp_path / "bms.dbc").write_bytes(profile.load("rec/bms").dbc)
    path = tmp_path / "a.log"
    path.write_text(REC.read_text() + "(1700000004.000000) can0 7F2#00\n")
    assert cli.main(["probe", str(path), "--profile", str(own)]) == 0
    assert "fits: own/shed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "name a recording"),
        (["no.log"], "no such file"),
        ([str(REC), "--channel", "x"], "one of the two"),
        ([str(REC), "--bus", "can7"], "it has can0"),
        ([str(REC), "--profile", "no.toml"], "cannot read"),
        (["--channel", "x", "--interface", "no_such"], "cannot open"),
        (["--channel", "x", "--interface", "virtual", "--seconds", "0.05"], "nothing was heard"),
    ],
)
def test_what_cannot_be_probed_is_said_in_one_line(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["probe", *words]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1


def test_profiles_lists_every_battery_that_one_can_buy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "--json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found.keys() == set(profile.names()) - OWN
    assert found["foxbms/foxbms2"]["delivers"]["cell_voltage_v"] == 18
    assert found["foxbms/foxbms2"]["placeholders"][0]["quantity"] == "state_of_health_pct"
    assert (found["hyundai/kona_uds"]["way"], found["rec/bms"]["way"]) == ("asks", "listens")
    assert cli.main(["profiles"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert {row.split()[0] for row in rows[1 : len(found) + 1]} == found.keys()


def test_one_profile_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "foxbms/foxbms2"]) == 0
    said = capsys.readouterr().out
    for words in ("cell_voltage_v (18 of them)", "is a placeholder of", "unverified", "source", "only listens"):
        assert words in said
    assert cli.main(["profiles", "no/such"]) == 1
    assert "is unknown" in capsys.readouterr().err


def test_the_tables_of_readme_and_docs_are_made_of_the_profiles() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "write-drivers-table"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run scripts/write-drivers-table"
    readme, index = (ROOT / "README.md").read_text(), (ROOT / "docs" / "drivers" / "README.md").read_text()
    for name in set(profile.names()) - OWN:
        page = f"{name.replace('/', '_')}.md"
        assert f"(docs/drivers/{page})" in readme
        assert f"[{name}]({page})" in index
        assert (ROOT / "docs" / "drivers" / page).exists(), f"docs/drivers/{page} is missing"

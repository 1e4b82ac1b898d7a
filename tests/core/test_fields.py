"""The field table: whole, in step with the passport, and applied to every snapshot."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from packseal.cli import main
from packseal.core.declared import CATEGORIES, Declared
from packseal.core.fields import ROW_OF, ROWS, Need, filled, not_to_be_filled
from packseal.core.meter import Meter
from packseal.core.passport import Field
from packseal.core.quantities import Quantity

ROOT = Path(__file__).parents[2]


def test_every_field_has_one_row_and_every_attribute_a_field() -> None:
    assert len(ROWS) == len(ROW_OF) == len(Field)
    assert sorted({row.attribute for row in ROWS if row.attribute is not None}) == list(range(1, 32))
    assert all((row.rules is None) == (row.attribute is None) for row in ROWS)


def test_what_is_outside_the_passport_says_so_in_both_tables() -> None:
    assert {r.field for r in ROWS if r.rules is None} == {f for f in Field if f.value.law == "not a field"}


def test_declared_data_are_named_as_they_are_entered() -> None:
    names = {f.name for f in msgspec.structs.fields(Declared)}
    assert {name for row in ROWS for name in row.declared} <= names


def test_what_the_guidance_forbids_is_what_is_left_out() -> None:
    """EC guidance v1.0: point 61 but for vehicles, points 62 to 66 for vehicles."""
    certified = {Field.STATE_OF_CERTIFIED_ENERGY}
    assert all(not_to_be_filled(c) == certified for c in ("lmt", "stationary", "industrial"))
    assert {f.value.guidance for f in not_to_be_filled("ev")} == {62, 63, 64, 65, 66}
    assert not_to_be_filled(None) == frozenset()
    assert not certified & filled("lmt")
    assert certified <= filled("ev") <= filled(None)
    rules = ROW_OF[Field.STATE_OF_CERTIFIED_ENERGY].rules
    assert rules is not None
    assert rules.ev.need is Need.MANDATORY


@pytest.mark.parametrize("category", [*CATEGORIES, None], ids=str)
def test_a_snapshot_carries_no_field_that_is_not_to_be_filled(category: str | None) -> None:
    snapshot = Meter(Declared(category=category), frozenset(Quantity)).snapshot()
    carried = {r.field for r in snapshot.readings}
    every = {r.field for r in Meter(Declared(), frozenset(Quantity)).snapshot().readings}
    assert carried == every - not_to_be_filled(category)
    assert Field.STATE_OF_HEALTH_BMS in carried


def test_the_page_is_what_the_table_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write-fields", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_shows_one_category(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields", "--category", "lmt"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "not to be filled" in lines["state_of_certified_energy"]
    assert "mandatory" in lines["remaining_capacity"]
    assert set(lines) >= {f.key for f in Field}


def test_the_command_gives_everything_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in told] == [row.field.key for row in ROWS]
    assert told[0]["categories"]["ev"] == {"need": "mandatory", "source": "EC 61, VII A"}


def test_the_command_shows_one_field_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields", "time_extreme_high"]) == 0
    out = capsys.readouterr().out
    assert "temperature_c or temperature_max_c" in out
    assert "temperature_max_c\n" in out
    assert "DIN 6.7.7.5" in out


def test_a_field_that_there_is_not_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields", "remaining_capasity"]) == 1
    assert "there is no field remaining_capasity: is it remaining_capacity" in capsys.readouterr().err

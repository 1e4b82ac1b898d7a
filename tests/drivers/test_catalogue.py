"""Catalogue: every row of the table of supported batteries says where it comes from and how it was checked."""

import importlib
import importlib.util
import pkgutil
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from packseal.core.errors import ConfigError
from packseal_drivers import profile
from packseal_drivers.ble.aiobmsble_allowlist import UNREAD
from packseal_drivers.catalogue import Entry, Road, Row, entries, totals
from packseal_drivers.models import Checked

ENTRIES = entries()
ROWS = [(e, row) for e in ENTRIES for row in e.rows]
LEAST = 60
README = Path(__file__).parents[2] / "docs" / "drivers" / "README.md"
NO_BATTERY = {"dummy_bms", "neey_bms"}
OUR_OWN = {"jbd_bms", "daly_bms", "jikong_bms"}
"""Types without a row: a dummy and a balancer, what a profile of our own reads, and what writes more than questions."""


def test_there_are_at_least_sixty_models_and_some_on_every_road() -> None:
    assert len(ROWS) >= LEAST
    assert Counter(e.road for e, _ in ROWS).keys() == set(get_args(Road))


@pytest.mark.parametrize(("entry", "row"), ROWS, ids=[f"{e.profile.name}:{row.name}" for e, row in ROWS])
def test_every_row_has_a_source_and_says_how_it_was_checked(entry: Entry, row: Row) -> None:
    assert len(row.source) >= len("evcc, sax.yaml"), "a source names a document, a program or a recording"
    assert row.checked in get_args(Checked)
    if row.checked == "recording":
        folder = Path(__file__).parents[1] / "recordings" / entry.page.removesuffix(".md")
        said = (folder / "expected.toml").read_text()
        assert (folder / "SOURCE.md").is_file() or "github.com" in said, "a recording of a real battery has an origin"


def test_no_model_stands_twice_in_the_table() -> None:
    twice = {name: count for name, count in Counter(row.name for _, row in ROWS).items() if count > 1}
    assert not twice


def test_the_totals_are_the_rows_and_stand_at_the_end_of_the_table() -> None:
    counts = totals(ENTRIES)
    assert sum(counts.values()) == len(ROWS)
    last = README.read_text().partition("## How many")[2].split("\n| all |")[1].splitlines()[0]
    each = [int(cell) for cell in last.strip(" |").split("|")]
    wanted = [sum(n for (_, checked), n in counts.items() if checked == check) for check in get_args(Checked)]
    assert each == [*wanted, len(ROWS), len(ENTRIES)]


def test_the_types_of_aiobmsble_are_those_that_the_library_has() -> None:
    if importlib.util.find_spec("aiobmsble") is None:
        pytest.skip("aiobmsble is not installed: pip install 'aiobmsble>=0.31,<0.32' into a Python 3.12 or newer")
    package = importlib.import_module("aiobmsble.bms")
    types = {found.name for found in pkgutil.iter_modules(package.__path__)} - NO_BATTERY - OUR_OWN - UNREAD.keys()
    models = profile.load("aiobmsble/any").profile.model
    assert {model.source.rpartition(" ")[2].removesuffix(".py") for model in models} == types


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[model]]\nname = "A"\nsource = ""\n', "a model needs its name, and the source"),
        ('[[model]]\nname = " "\nsource = "B"\n', "a model needs its name"),
        ('[[model]]\nname = "A"\nsource = "B"\nchecked = "guessed"\n', "guessed"),
        ('[[model]]\nname = "A"\nsource = "B"\n[[model]]\nname = "A"\nsource = "C"\n', "two .* have the same name"),
    ],
    ids=["no source", "no name", "no check", "twice"],
)
def test_a_wrong_model_is_told(tmp_path: Path, text: str, said: str) -> None:
    head = 'name = "own/one"\ntitle = "One"\nsource = "One"\n'
    register = '[[register]]\naddress = 1\nquantity = "pack_voltage_v"\n'
    (tmp_path / "one.toml").write_text(head + text + register)
    with pytest.raises(ConfigError, match=said):
        profile.load("one.toml", tmp_path)

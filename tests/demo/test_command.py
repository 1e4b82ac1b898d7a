"""The command's words: what is refused, and that the page about it knows each option and each key of the report."""

import argparse
import re
from pathlib import Path

import pytest

from packseal.cli import demo, main
from packseal.core.declared import Declared
from packseal.demo import report

PAGE = (Path(__file__).parents[2] / "docs/demo.md").read_text()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--speed", "0"], "must be max, or a number above zero"),
        (["--speed", "fast"], "must be max, or a number above zero"),
        (["--seconds", "nan"], "must be a number above zero"),
        (["--port", "80.5"], "must be a whole number from 1 to 65535"),
        (["--window", "0.5"], "must be from 1 to 600"),
        (["--window", "601"], "must be from 1 to 600"),
        (["--uplink", "carrier"], "mqtt, http"),
    ],
)
def test_a_wrong_word_is_answered_with_what_is_allowed(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err.replace("'", "")


@pytest.mark.parametrize("words", [["--replay", "none.csv"], ["--profile", "none/such"], ["--declared", "none.toml"]])
def test_what_is_not_there_is_told_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--seconds", "1", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("packseal demo: ")
    assert error.count("\n") == 1
    assert words[1] in error


def test_the_page_names_every_option_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    demo.arguments(parser)
    options = {word for action in parser._actions for word in action.option_strings}
    assert set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE)) == options


def test_the_page_names_every_key_of_declared_data() -> None:
    assert all(f"`{name}`" in PAGE for name in Declared.__struct_fields__)


def test_a_demo_that_did_not_start_reports_what_the_page_says() -> None:
    content = report.failure("because")
    assert set(content) == {"version", "program", "ok", "complaints", "records", "batteries"}
    assert content["complaints"] == ["because"]

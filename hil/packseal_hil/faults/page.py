"""The tables of a run, as Markdown and as lines."""

import re
from collections.abc import Sequence
from pathlib import Path

from packseal_hil.faults.matrix import Row
from packseal_hil.faults.starts import Tried

PLACE = re.compile(r"(?<![\w.])/[^\s,:]*/(?=[^/\s])")
"""The folders of a path, whose last part is kept."""


def line(row: Row) -> str:
    """Return one row as a line."""
    wrong = f" WRONG: {'; '.join(row.wrong)}" if row.wrong else ""
    said = _short(row.said) or "nothing to tell"
    return f"{row.of}: {row.file}, {row.call}, {row.error}: {row.met} failed; {said}{wrong}"


def matrix(rows: Sequence[Row]) -> str:
    """Return the table of the running programs; rows that differ in the error alone are one."""
    grouped: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.of, row.file, row.call, _cause(row.said)), []).append(row)
    lines = [
        "| of | on | call | errors | failed calls | what the status says meanwhile | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for (of, file, call, _), alike in grouped.items():
        errors = ", ".join(row.error for row in alike)
        met = sum(row.met for row in alike)
        wrong = "; ".join(one for row in alike for one in row.wrong) or "nothing"
        lines.append(
            f"| {of} | {file} | {call} | {errors} | {met} | {_short(alike[0].said) or 'nothing: it passes'} | {wrong} |"
        )
    return "\n".join(lines) + "\n"


def starts(tries: Sequence[Tried], directory: Path) -> str:
    """Return the table of starts and commands."""
    lines = ["| program | call | tries | ended with one sentence | wrong |", "|---|---|---|---|---|"]
    for tried in tries:
        program, _, call = tried.name.partition(": ")
        wrong = "; ".join(tried.wrong).replace(str(directory), "…") or "nothing"
        lines.append(f"| `{program}` | {call} | {tried.tries} | {tried.ended} | {wrong} |")
    said = sorted({_short(sentence) for tried in tries for sentence in tried.sentences})
    return "\n".join([*lines, "", *(f"* {sentence}" for sentence in said)]) + "\n"


def _short(sentence: str) -> str:
    return PLACE.sub("", sentence.strip())


def _cause(sentence: str) -> str:
    """Return the sentence without the system's own words for the error."""
    return re.sub(r"\([^)]*\)", "", sentence)

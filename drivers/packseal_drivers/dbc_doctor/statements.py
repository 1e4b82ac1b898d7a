"""Statements: a DBC's text cut where a line begins with a keyword, outside of quotation marks and comments."""

import re
from dataclasses import dataclass
from itertools import pairwise

from packseal_drivers.dbc_doctor.finding import Refused

# fmt: off
KNOWN = frozenset({
    "VERSION", "NS_", "BS_", "BU_", "BO_", "SG_", "VAL_", "VAL_TABLE_", "CM_", "BA_", "BA_DEF_", "BA_DEF_DEF_",
    "BA_REL_", "BA_DEF_REL_", "BA_DEF_DEF_REL_", "BA_SGTYPE_", "BA_DEF_SGTYPE_", "BO_TX_BU_", "BU_SG_REL_",
    "BU_EV_REL_", "BU_BO_REL_", "CAT_", "CAT_DEF_", "EV_", "EV_DATA_", "ENVVAR_DATA_", "FILTER", "NS_DESC_",
    "SGTYPE_", "SGTYPE_VAL_", "SIG_GROUP_", "SIG_TYPE_REF_", "SIG_VALTYPE_", "SIGTYPE_VALTYPE_", "SG_MUL_VAL_",
})
# fmt: on
"""Vector, DBC File Format Documentation, version 01/2007, §3: the keywords."""

_KEYWORD = re.compile(r"[ \t\f\v]*([A-Z][A-Z0-9_]*_|VERSION|FILTER)(?![A-Za-z0-9_])", re.ASCII)
_ONE_WORD = re.compile(r"[ \t\f\v]*\w+[ \t\f\v]*", re.ASCII)
_MARK = re.compile(r'\\"|"|//')
_INNER_SIGNAL = re.compile(r'(?<![A-Za-z0-9_])SG_(?![A-Za-z0-9_])|"(?:\\"|[^"])*"', re.ASCII)
_LIKE_A_SIGNAL = re.compile(r"\s*(?:BO_\s+\w+\s+\w+|SG_\s+\w+[^:|]{0,20}:\s*\d+\s*\|)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without its comments. `line` is where it begins."""

    keyword: str
    line: int
    text: str

    @property
    def is_known(self) -> bool:
        """Whether the format has such a keyword."""
        return self.keyword in KNOWN


def scan(text: str) -> list[Statement]:
    """Return the statements of a file; raises Refused where quotation marks are not closed."""
    begun: list[tuple[str, int, list[str]]] = []
    opened = 0
    for number, line in enumerate(text.split("\n"), 1):
        if opened and _LIKE_A_SIGNAL.match(line):
            raise Refused(number, f"looks like a definition, but a text that begins in line {opened} is still open")
        match = None if opened else _KEYWORD.match(line)
        names_space = bool(begun) and begun[-1][0] == "NS_"
        rest, opened = _without_comment(line, number, opened)
        if match and not (names_space and _ONE_WORD.fullmatch(rest)):
            begun.append((match[1], number, [rest]))
        elif begun:
            begun[-1][2].append(rest)
        elif rest.strip():
            raise Refused(number, "is not a statement of a DBC file")
    if opened:
        raise Refused(opened, "begins a text that is never closed: a quotation mark is missing")
    whole = [Statement(keyword, line, "\n".join(lines)) for keyword, line, lines in begun]
    return [part for statement in whole for part in _split(statement)]


def _without_comment(line: str, number: int, opened: int) -> tuple[str, int]:
    """Return the line up to its comment, and the line in which a text that goes on after it began, or 0."""
    for mark in _MARK.finditer(line):
        if mark[0] == '"':
            opened = 0 if opened else number
        elif mark[0] == "//" and not opened:
            return line[: mark.start()], 0
    return line, opened


def _split(statement: Statement) -> list[Statement]:
    """Return a message and the signals that stand in its line as statements of their own."""
    if statement.keyword not in ("BO_", "SG_"):
        return [statement]
    text = statement.text
    starts = [m.start() for m in _INNER_SIGNAL.finditer(text) if m[0] == "SG_"]
    places = [p for p in (starts if statement.keyword == "BO_" else starts[1:]) if p] + [len(text)]
    parts = [Statement(statement.keyword, statement.line, text[: places[0]])]
    for begin, end in pairwise(places):
        parts.append(Statement("SG_", statement.line + text.count("\n", 0, begin), text[begin:end]))
    return parts

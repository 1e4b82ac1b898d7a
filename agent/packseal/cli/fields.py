"""packseal fields: every field of a snapshot, whether a passport carries it, and how it is derived."""

import argparse
import json
import shutil
import sys
import textwrap
from difflib import get_close_matches
from typing import Any

from packseal.cli.present import safe, table
from packseal.core.declared import CATEGORIES
from packseal.core.errors import InputError
from packseal.core.fields import ROWS, Need, Row
from packseal.core.passport import FIELD_BY_KEY

WORDS = {
    Need.MANDATORY: "mandatory",
    Need.RECOMMENDED: "recommended",
    Need.IF_APPLICABLE: "if applicable",
    Need.NOT_REQUIRED: "not required",
    Need.NOT_TO_BE_FILLED: "not to be filled",
}

SOURCES = (
    "by: EC 61 is data point 61 of the EC guidance on data points by category,\n"
    "DIN is DIN DKE SPEC 99100, the rest is Regulation (EU) 2023/1542; where they\n"
    "differ the first decides. One field in full: packseal fields FIELD"
)
LEAST_COLUMN = 24
"""Narrower than this, a column is harder to read than long lines."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("field", metavar="FIELD", nargs="*", help="only these, in full")
    parser.add_argument("--category", choices=CATEGORIES, help="only what concerns a battery of this category")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def execute(args: argparse.Namespace) -> int:
    """Print the table; returns 0."""
    unknown = [name for name in args.field if name not in FIELD_BY_KEY]
    if unknown:
        near = get_close_matches(unknown[0], FIELD_BY_KEY, n=3)
        hint = f"is it {' or '.join(near)}? " if near else ""
        raise InputError(f"there is no field {safe(unknown[0])}: {hint}packseal fields lists them")
    rows = [row for row in ROWS if not args.field or row.field.key in args.field]
    if args.json:
        print(json.dumps([_facts(row, args.category) for row in rows], indent=2, ensure_ascii=False))
    elif args.field:
        print("\n\n".join("\n".join(_lines(row, args.category)) for row in rows))
    elif args.category:
        print("\n".join(_of_category(rows, args.category)))
    else:
        print("\n".join(_of_all(rows)))
    return 0


def _of_category(rows: list[Row], category: str) -> list[str]:
    inside = [(row, row.rules.of(category)) for row in rows if row.rules]
    cells = [(r.field.key, r.field.unit, WORDS[rule.need], rule.source, r.derivation) for r, rule in inside]
    outside = [(row.field.key, row.field.unit, "", "", row.derivation) for row in rows if row.rules is None]
    head = ("field", "unit", f"passport ({category})", "by", "how it comes about")
    lines = table(head, [*cells, *outside])
    columns = lines[0].index("by"), lines[0].index(head[-1])
    inner = [part for line in lines[: len(cells) + 1] for part in _folded(line, *columns)]
    outer = [part for line in lines[len(cells) + 1 :] for part in _folded(line, *columns)]
    beside = ["", "in the record beside it, not in the passport", *outer] if outer else []
    return [*inner, *beside, "", SOURCES]


def _folded(line: str, by: int, how: int) -> list[str]:
    """Return a table's line as a terminal can show it: its last column folded, on a narrow one the last two below."""
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty():
        return [line]
    if width - how < LEAST_COLUMN:
        below = ": ".join(part for part in (line[by:how].strip(), line[how:]) if part)
        return [line[:by].rstrip(), *("    " + part for part in _wrapped(below, width - 4))]
    first, *others = _wrapped(line[how:], width - how)
    return [line[:how] + first, *(" " * how + other for other in others)]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _of_all(rows: list[Row]) -> list[str]:
    cells = [
        (row.field.key, row.field.unit, *(row.rules.of(c).need.value if row.rules else "" for c in CATEGORIES))
        for row in rows
    ]
    lines = table(("field", "unit", *CATEGORIES), cells)
    key = ", ".join(f"{need.value} {word}" for need, word in WORDS.items())
    return [*lines, "", f"{key}; no mark: not in the passport", "more: packseal fields FIELD, or --category"]


def _lines(row: Row, category: str | None) -> list[str]:
    spec = row.field.value
    numbers = [f"EC {spec.guidance}"] if spec.guidance else []
    lines = [f"{row.field.key}  {spec.title}, {spec.unit}"]
    if row.rules:
        lines.append(f"  passport    attribute {row.attribute}, {row.data_type}; {row.access}")
        lines.append(f"  clauses     {', '.join([spec.law, *numbers, f'DIN {spec.clause}'])}")
        rules = ((c, row.rules.of(c)) for c in CATEGORIES if category in (None, c))
        lines += [f"  {c:<11} {WORDS[rule.need]}{f' ({rule.source})' if rule.source else ''}" for c, rule in rules]
    else:
        lines.append("  passport    not in it; in the record beside it")
    lines.append(f"  update      {row.update.value}")
    lines.append(f"  how         {row.derivation}")
    joint = " or " if row.any_quantity else ", "
    lines.append(f"  battery     {joint.join(q.key for q in row.quantities) or 'need not deliver anything'}")
    lines.append(f"  declared    {', '.join(row.declared) or 'nothing needed'}")
    return lines


def _facts(row: Row, category: str | None) -> dict[str, Any]:
    spec = row.field.value
    categories = [c for c in CATEGORIES if category in (None, c)]
    return {
        "key": row.field.key,
        "code": row.field.code,
        "title": spec.title,
        "unit": spec.unit,
        "attribute": row.attribute,
        "data_type": row.data_type,
        "passport": row.rules is not None,
        "categories": {
            c: {"need": WORDS[row.rules.of(c).need], "source": row.rules.of(c).source} for c in categories if row.rules
        },
        "access": row.access,
        "law": spec.law,
        "ec_guidance": spec.guidance,
        "din_dke_spec_99100": spec.clause,
        "update": row.update.value,
        "derivation": row.derivation,
        "quantities": [q.key for q in row.quantities],
        "any_quantity": row.any_quantity,
        "declared": list(row.declared),
    }

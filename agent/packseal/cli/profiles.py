"""packseal profiles: which batteries are supported, what they deliver, and how well that is checked."""

import argparse
import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from packseal.cli.present import table

if TYPE_CHECKING:
    from packseal_drivers.catalogue import Entry

WIDTH = 100
CHECKED = {
    "recording": "on recorded frames of a real battery",
    "simulator": "against a simulator",
    "paper": "on paper: against its documents",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("name", nargs="?", metavar="PROFILE", help="VENDOR/MODEL or a .toml: say all of this one")
    parser.add_argument("--json", action="store_true", help="for programs")


def execute(args: argparse.Namespace) -> int:
    """Print the list, or one profile; returns 0."""
    from packseal_drivers import catalogue, profile  # noqa: PLC0415 - lazy, as every command is

    found = catalogue.entries() if args.name is None else [catalogue.entry(profile.load(args.name).profile)]
    if args.json:
        print(json.dumps([_json(entry) for entry in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_list(found) if args.name is None else _whole(found[0])))
    return 0


def _json(entry: "Entry") -> dict[str, Any]:
    of = entry.profile
    return {
        "name": of.name,
        "title": of.title,
        "way": "asks" if entry.asks else "listens",
        "delivers": {quantity.key: count for quantity, count in entry.delivers.items()},
        "checked": of.checked,
        "unverified": list(of.unverified),
        "placeholders": [{"quantity": p.quantity, "equals": p.equals, "firmware": p.firmware} for p in of.placeholder],
        "source": of.source.strip(),
    }


def _list(entries: "list[Entry]") -> list[str]:
    rows = [
        (e.profile.name, e.profile.title, "asks" if e.asks else "listens", e.profile.checked, str(len(e.delivers)))
        for e in entries
    ]
    lines = table(("profile", "battery", "way", "checked", "quantities"), rows, right=(4,))
    checks = (f"{word}: {text}" for word, text in CHECKED.items())
    return [*lines, "", f"checked {'; '.join(checks)}", "all of one: packseal profiles VENDOR/MODEL"]


def _whole(entry: "Entry") -> list[str]:
    of = entry.profile
    way = "asks with read services" if entry.asks else "only listens"
    lines = [f"{of.name}: {of.title}", f"way: {way}", f"checked: {CHECKED[of.checked]}", "", "delivers"]
    for quantity, count in entry.delivers.items():
        times = f" ({count} of them)" if count > 1 else ""
        lines.append(f"  {quantity.key}{times}: {quantity.value.title}, in {quantity.unit}")
    lines += [f"  {p.quantity} = {p.equals:g} is a placeholder of {p.firmware}" for p in of.placeholder]
    if of.unverified:
        lines += ["", "unverified", *(line for text in of.unverified for line in _wrapped(text))]
    return [*lines, "", "source", *_wrapped(of.source)]


def _wrapped(text: str) -> Iterator[str]:
    plain = " ".join(text.split())
    yield from textwrap.wrap(plain, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)

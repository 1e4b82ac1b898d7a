"""packseal commission: enter what is declared of a battery, and what happened to it, into the registry."""

import argparse
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from packseal import config
from packseal.cli import commission_ask, commission_from
from packseal.cli.declared_text import LABELS
from packseal.cli.present import safe, table, utc
from packseal.config import Config
from packseal.core.changes import MAX_TEXT_BYTES, NOT_SAID, Change, Happening
from packseal.core.declared import STATUSES, ContradictionError, Declared, join
from packseal.core.errors import InputError, PacksealError
from packseal.core.toml_error import line_of
from packseal.registry import book
from packseal.registry.book import Entry
from packseal.runtime.asking import ask

ID_BYTES = 8
TAKEN_UP_WITHIN_S = 10.0
"""The agent looks every second; a disk that is slow makes it wait."""
ASK_EVERY_S = 0.2
NO_TERMINAL = "there is no terminal to ask on: name --file, --passport or --set KEY=VALUE, or what happened"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("battery", metavar="BATTERY", nargs="?", help="battery URI; not needed where there is one only")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--show", action="store_true", help="what is declared now, and where")
    data = parser.add_argument_group("declared data (without any of these it is asked for)")
    data.add_argument("--file", type=Path, metavar="FILE", help="declared data as .toml or .json")
    data.add_argument("--passport", type=Path, metavar="FILE", help="a passport in Battery Pass, IDTA or Catena-X")
    data.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        default=[],
        help="one value; KEY= removes it; --show has the keys",
    )
    happened = parser.add_argument_group("what happened to the battery; the log says so, and a new baseline starts")
    happened.add_argument("--status", choices=STATUSES, help="its status is now this one")
    happened.add_argument("--module-replaced", action="store_true", help="a module was replaced")
    happened.add_argument("--bms-replaced", action="store_true", help="the BMS was replaced")
    happened.add_argument("--accident", metavar="TEXT", help="put an accident on record; no names, the log keeps it")
    happened.add_argument("--note", metavar="TEXT", default="", help="what the log shall say of it")


def execute(args: argparse.Namespace) -> int:
    """Change the battery's entry in the registry, or show it. Returns 0."""
    settings = config.read(args.config)
    number = _number(settings, args.battery)
    name = settings.file.battery[number].id
    if args.show:
        entry = book.read(settings.registry).get(name, Entry(id=name))
        config.joined(settings, number, entry.declared)
        print("\n".join(_shown(settings, number, entry)))
        return 0
    with book.opened(settings.registry) as registry:
        if registry.trouble:
            print(f"note: {registry.trouble}", file=sys.stderr)
        old = registry.entries.get(name, Entry(id=name))
        new = _happened(_entered(old, args, settings, number), args)
        _check(settings, number, new.declared)
        if new == old:
            print("nothing changed")
            return 0
        registry.put(new)
    print("\n".join(_told(settings, old, new)), flush=True)
    print("\n".join(_when(settings, name)))
    return 0


def _check(settings: Config, number: int, declared: Declared) -> None:
    """Refuse what the configuration contradicts; raises ConfigError, InputError."""
    try:
        join(settings.file.battery[number].declared, declared)
    except ContradictionError as error:
        line = line_of(settings.text.decode(), ("battery", number, "declared", error.name))
        raise InputError(
            f"nothing was written: {error.name} is {error.first} in {settings.path}, line {line}, and would be "
            f"{error.second} in the registry: change it there, or remove it there first"
        ) from None
    except ValueError:
        config.joined(settings, number, declared)


def _number(settings: Config, wanted: str | None) -> int:
    ids = [battery.id for battery in settings.file.battery]
    if wanted is None and len(ids) == 1:
        return 0
    if wanted in ids:
        return ids.index(wanted)
    first = "which battery?" if wanted is None else f"there is no battery {safe(wanted)} in {settings.path}:"
    raise InputError(f"{first} name one of {', '.join(ids)}")


def _entered(old: Entry, args: argparse.Namespace, settings: Config, number: int) -> Entry:
    """Return the entry with declared data from every source that is named, or asked for where nothing is."""
    said: dict[str, Any] = {}
    if args.passport:
        said |= commission_from.passport(args.passport)
        if old.declared.status is not None and said.pop("status", old.declared.status) != old.declared.status:
            print(f"  not taken: its status, for it has been {old.declared.status} since", file=sys.stderr)
    if args.file:
        said |= commission_from.file(args.file)
    said |= commission_from.pairs(args.set)
    happened = args.status or args.module_replaced or args.bms_replaced or args.accident is not None
    if not (args.passport or args.file or args.set or happened):
        if not sys.stdin.isatty():
            raise InputError(NO_TERMINAL)
        said = commission_ask.ask(old.declared, settings.file.battery[number].declared)
    return msgspec.structs.replace(old, declared=commission_from.with_values(old.declared, said))


def _happened(entry: Entry, args: argparse.Namespace) -> Entry:
    """Return the entry with what is said to have happened."""
    declared, changes = entry.declared, list(entry.changes)
    if args.accident is not None:
        if not args.accident.strip():
            raise InputError("say in a few words what happened: --accident TEXT")
        declared = msgspec.structs.replace(declared, accidents=declared.accidents + 1)
        changes.append(_change(Happening.ACCIDENT, args.accident))
    if args.module_replaced:
        changes.append(_change(Happening.MODULE_REPLACED, args.note))
    if args.bms_replaced:
        changes.append(_change(Happening.BMS_REPLACED, args.note))
    if args.status and args.status != declared.status:
        if declared.status or args.status != STATUSES[0]:
            changes.append(_change(Happening.STATUS, args.note, declared.status or "", args.status))
        declared = msgspec.structs.replace(declared, status=args.status)
    return Entry(id=entry.id, declared=declared, changes=tuple(changes))


def _change(kind: Happening, text: str, before: str = "", after: str = "") -> Change:
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise InputError(f"the text may have at most {MAX_TEXT_BYTES} bytes; keep the rest in a document")
    now_ms = time.time_ns() // 1_000_000
    return Change(
        id=secrets.token_hex(ID_BYTES), kind=kind, entered_ms=now_ms, text=text.strip(), before=before, after=after
    )


def _told(settings: Config, old: Entry, new: Entry) -> list[str]:
    before, after = (msgspec.to_builtins(e.declared) for e in (old, new))
    rows = [(n, _word(before[n]), _word(after[n])) for n in after if before[n] != after[n]]
    happened = [_words(change) for change in new.changes[len(old.changes) :]]
    lines = [*table(("declared", "before", "now"), rows), *happened] if rows else happened
    return [*lines, f"wrote {settings.registry}"]


def _when(settings: Config, name: str) -> list[str]:
    """Return how the agent takes up what was written: waits for one that runs."""
    until = time.monotonic() + TAKEN_UP_WITHIN_S
    while True:
        try:
            status = ask(settings.socket)
        except PacksealError:
            return ["no agent is running here: it takes this up, and its log says so, when it starts"]
        registry = status.get("registry") or {}
        if any(battery["id"] == name and battery["ended"] for battery in status["batteries"]):
            return ["the battery's recording has ended: its log says so when the agent is started again"]
        if registry.get("seen") == book.mark_of(settings.registry):
            if registry["trouble"]:
                return [f"THE RUNNING AGENT DOES NOT TAKE IT UP: {registry['trouble']}"]
            if registry["taken_up"]:
                return ["the running agent has taken it up, and its log says so", *map(safe, registry["notes"])]
        if time.monotonic() > until:
            return [f"the running agent has not taken it up within {TAKEN_UP_WITHIN_S:.0f} s: ask packseal status"]
        time.sleep(ASK_EVERY_S)


def _shown(settings: Config, number: int, entry: Entry) -> list[str]:
    sources = ((settings.path.name, settings.file.battery[number].declared), (settings.registry.name, entry.declared))
    rows: list[tuple[str, ...]] = []
    for name in LABELS:
        default = getattr(Declared(), name)
        said = [(getattr(d, name), where) for where, d in sources if getattr(d, name) != default]
        value, where = said[0] if said else (default, "" if default is None else "default")
        rows.append((name, _word(value), LABELS[name][1], where))
    return [f"battery {entry.id}", *table(("declared", "value", "unit", "where"), rows), *map(_words, entry.changes)]


def _words(change: Change) -> str:
    """Return one change as a line."""
    kind = change.kind.value.replace("bms", "BMS").replace("_", " ")
    became = f" {change.before or NOT_SAID} -> {change.after}" if change.after else ""
    return f"happened, entered {utc(change.entered_ms)}: {kind}{became}" + (
        f": {safe(change.text)}" if change.text else ""
    )


def _word(value: object) -> str:
    return NOT_SAID if value is None else str(value)

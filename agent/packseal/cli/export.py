"""packseal export: the newest snapshot of a battery in a public data model of the battery passport."""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from packseal.cli.export_source import Found, found
from packseal.cli.present import safe, table, utc
from packseal.core.declared import CATEGORIES
from packseal.core.errors import InputError
from packseal.core.translate import MODELS, Document, LeftOut, Model, Subject

ALL = "all"
MOST_LINES = 3
WIDTH, INDENT = 88, " " * 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="record or exported log, instead of the journal; - reads"
    )
    parser.add_argument("--as", dest="model", choices=[*MODELS, ALL], metavar="MODEL", help="see --list; all for each")
    parser.add_argument("--list", action="store_true", help="which models there are")
    parser.add_argument("--battery", metavar="ID", help="battery URI, or the beginning of a log id")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--journal", type=Path, metavar="PATH", help="journal file, instead of the configuration's")
    parser.add_argument("--key", type=Path, metavar="PUB", action="append", help="the gateway's public key (PEM)")
    parser.add_argument("--category", choices=CATEGORIES, help="of the battery, instead of the declared one")
    parser.add_argument("--passport", metavar="URI", help="the digital product passport that the document is of")
    parser.add_argument("-o", dest="output", type=Path, metavar="PATH", help="file, or with --as all a folder")
    parser.add_argument("--quiet", action="store_true", help="do not say what was left out")


def execute(args: argparse.Namespace) -> int:
    """Write the document or documents; returns 0, also when fields are left out."""
    if args.list:
        print("\n".join(table(("model", "what it is"), [(m.name, m.title) for m in MODELS.values()])))
        return 0
    if args.model is None:
        raise InputError(f"which model? Name it with --as: {', '.join(MODELS)} or {ALL}")
    if args.model == ALL and args.output is None:
        raise InputError("--as all writes several files; name a folder with -o DIR")
    source = found(args)
    category = args.category or source.category
    subject = Subject(source.snapshot, source.entry.subject, category, args.passport)
    models = list(MODELS.values()) if args.model == ALL else [MODELS[args.model]]
    documents = [(model, model.translate(subject)) for model in models]
    for model, document in documents:
        _write(document, _target(args, model))
    if not args.quiet:
        wrote = [] if args.output is None else [f"wrote     {args.output}"]
        print("\n".join([*wrote, *_told(source, category, documents)]), file=sys.stderr)
    return 0


def _target(args: argparse.Namespace, model: Model) -> Path | None:
    output: Path | None = args.output
    return output / f"{model.name}.json" if output is not None and args.model == ALL else output


def _write(document: Document, target: Path | None) -> None:
    text = json.dumps(document.body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target is None:
        sys.stdout.write(text)
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error


def _told(source: Found, category: str | None, documents: list[tuple[Model, Document]]) -> Iterator[str]:
    header = source.entry.header
    yield f"battery   {safe(source.entry.subject)}, category {category or 'not declared'}"
    yield f"snapshot  record {header.sequence} of {utc(header.wall_ms)}, verified"
    if category is None:
        yield "          without a category no field is left out for its sake; name it with --category"
    everywhere = set.intersection(*(set(document.left_out) for _, document in documents))
    if len(documents) > 1:
        yield "all models"
        yield from _lines(left for left in documents[0][1].left_out if left in everywhere)
    for model, document in documents:
        yield f"{model.name}: {model.title}"
        yield from _lines(left for left in document.left_out if len(documents) == 1 or left not in everywhere)
        if document.lacking:
            yield f"  a patch   the model also requires {len(document.lacking)} values that are not here:"
            yield from _wrapped(", ".join(document.lacking))


def _lines(left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Yield a line for each field; one for all that are left out for the same plain reason, where there are many."""
    by_reason: dict[str, list[str]] = {}
    for left in left_out:
        by_reason.setdefault(left.reason, []).append(left.field.value.title)
    for reason, titles in by_reason.items():
        if len(titles) > MOST_LINES:
            yield f"  left out  {len(titles)} fields: {reason}"
            yield from _wrapped("; ".join(titles))
        else:
            yield from (f"  left out  {title}: {reason}" for title in titles)


def _wrapped(text: str) -> list[str]:
    return [INDENT + part for part in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)]

"""packseal journal: what is recorded, for people and programs. Reads also while an agent is writing."""

import argparse
from datetime import datetime
from pathlib import Path

from packseal.cli import journal_check, journal_list, journal_prove, journal_repair, journal_whole
from packseal.cli.journal_source import Source, open_source

ACTIONS = {
    "list": (journal_list.run_list, "list records, newest last"),
    "show": (journal_list.run_show, "show one record in full"),
    "export": (journal_check.run_export, "write one battery's records to a file for packseal verify"),
    "prove": (journal_prove.run_prove, "write a record with the sink's receipt for it, for packseal verify"),
    "check": (journal_whole.run_check, "check that the file is whole, also while an agent writes; needs no key"),
    "backup": (journal_whole.run_backup, "copy the journal to a file, also while an agent writes"),
    "verify": (journal_check.run_verify, "check everything: signatures, chains, receipts and the index"),
}
KINDS = ("snapshot", "telemetry", "event", "gap", "lifecycle")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (_, text) in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument(
            "--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal"
        )
        action.add_argument("--journal", type=Path, metavar="PATH", help="journal file, instead of the configuration's")
        action.add_argument("--log", metavar="LOG", help="battery URI, or the beginning of a log id")
        action.add_argument("--json", action="store_true", help="for programs")
        _ARGUMENTS[name](action)
    text = "save every sound record of a damaged journal into a new one"
    journal_repair.arguments(actions.add_parser("repair", help=text, description=text[0].upper() + text[1:] + "."))


def execute(args: argparse.Namespace) -> int:
    """Do the action; returns 1 when a verification fails."""
    if args.action == "repair":
        return journal_repair.execute(args)
    source: Source = open_source(args.config, args.journal)
    with source.journal:
        return ACTIONS[args.action][0](args, source)


def _list_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--last", type=_count, default=20, metavar="N", help="at most so many records per log")
    action.add_argument("--kind", choices=KINDS, help="only records of this kind")
    action.add_argument("--since", type=_time, metavar="TIME", help="only from this UTC time, 2027-01-15T08:00")


def _show_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("sequence", type=_count, metavar="SEQ", help="sequence number")
    action.add_argument("--rows", type=_count, default=10, metavar="N", help="rows of telemetry")
    action.add_argument("--csv", action="store_true", help="all rows of telemetry as CSV")


def _export_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("file", metavar="FILE", help="where to write; - is standard output")


def _backup_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("file", metavar="FILE", help="where to write")


def _prove_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("sequence", type=_count, metavar="SEQ", help="sequence number of the record to prove")
    action.add_argument("file", metavar="FILE", nargs="?", help="default: record-SEQ.proof; - is standard output")


def _verify_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--key", type=Path, metavar="PUB", action="append", help="the gateway's public key (PEM)")
    action.add_argument("--sink-key", type=Path, metavar="PUB", help="the sink's public key, to check its receipts")


_ARGUMENTS = {
    "list": _list_arguments,
    "show": _show_arguments,
    "export": _export_arguments,
    "prove": _prove_arguments,
    "check": lambda _: None,
    "backup": _backup_arguments,
    "verify": _verify_arguments,
}


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2027-01-15T08:00:00Z") from error
    # A time without a zone is UTC, as all that the commands print.
    zone = "" if moment.tzinfo else "+00:00"
    return round(datetime.fromisoformat(moment.isoformat() + zone).timestamp() * 1000)

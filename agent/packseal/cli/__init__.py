"""The `packseal` command. Each subcommand is a module of its own, loaded only when it is called.

A command module has `HELP` in COMMANDS here, `arguments(parser)` and `execute(args) -> int`.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from packseal import __version__
from packseal.core.errors import PacksealError

COMMANDS = {
    "init": "make a configuration and the gateway's key",
    "commission": "enter what is declared of a battery, and what happened to it",
    "doctor": "check the configuration, the battery's wire, the disk and the way to the sink",
    "run": "record, until it is told to stop",
    "status": "ask the running agent how it is",
    "journal": "list, show, export, prove, verify, check, back up or repair what is recorded",
    "verify": "check records in a file against a public key; needs nothing else",
    "export": "write a battery's newest snapshot in a public data model of the battery passport",
    "dpp": "what the operator's passport backend took of each battery, and what it refused and why",
    "profiles": "which batteries are supported, what they deliver and how well that is checked",
    "probe": "which profile fits a live bus or a recording, and which ids none knows",
    "capture": "write what a live bus says to a file, only listening",
    "estimate": "capacity, state of health and every field from a table of a battery's log",
    "fields": "every field of the passport: who must carry it, and how it comes about",
    "decode": "show what a recording, or one answer of a battery, says in quantities",
    "demo": "a simulated battery, an agent, a sink and its page on this machine",
}
FAILED, USAGE, INTERRUPTED = 1, 2, 130  # 128 + SIGINT, as shells do


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed with one line why, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    args = _parser(words).parse_args(words)  # the parser is not kept: a running agent has no use for it
    if args.command is None:
        _parser(words).print_help()
        return USAGE
    try:
        return int(importlib.import_module(f"packseal.cli.{args.command}").execute(args))
    except PacksealError as error:
        print(f"packseal {args.command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output, such as `head`, is gone; the interpreter must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="packseal",
        description="The edge half of the EU battery passport: reads a battery, seals, keeps, delivers.",
        formatter_class=_help,
    )
    parser.add_argument("--version", action="version", version=f"packseal {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        described = text[0].upper() + text[1:] + "."
        command = commands.add_parser(name, help=text, description=described, formatter_class=_help)
        if name in words:
            importlib.import_module(f"packseal.cli.{name}").arguments(command)
    return parser


def _help(prog: str) -> argparse.HelpFormatter:
    """Format as argparse does, without `shutil`: with what it imports it takes a running agent half a megabyte."""
    try:
        columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size().columns
    except (OSError, ValueError):  # no terminal
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)

"""packseal run: the agent, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import logging
import os
from pathlib import Path

from packseal import config
from packseal.core.errors import PacksealError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--verbose", action="store_true", help="say more")


def execute(args: argparse.Namespace) -> int:
    """Run; returns 0 after an orderly stop."""
    settings = config.load(args.config)
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.INFO, format=_format())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    from packseal.runtime import agent  # noqa: PLC0415 - a wrong configuration is told without loading all of it

    try:
        asyncio.run(agent.run(settings))
    except* PacksealError as group:
        raise _first(group) from None
    return 0


def _first(group: BaseExceptionGroup[PacksealError]) -> PacksealError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, PacksealError) else PacksealError(str(error))


def _format() -> str:
    # systemd sets JOURNAL_STREAM for services whose output goes to its journal, which keeps the time itself
    # (systemd.exec(5)).
    return "%(levelname)s %(message)s" if "JOURNAL_STREAM" in os.environ else "%(asctime)s %(levelname)s %(message)s"

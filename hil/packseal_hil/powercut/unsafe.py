"""The negative control: the agent's command line on a journal that never syncs. Only for the bench.

`python unsafe.py run --config FILE` does what `packseal run` does, but every `PRAGMA synchronous` says OFF: SQLite then
leaves it to the kernel when something reaches the disk (https://sqlite.org/pragma.html#pragma_synchronous). A power cut
must lose acknowledged records of such a journal, else the bench does not cut. Needs packseal and nothing else, so that
it runs in a guest too.
"""

import sqlite3
import sys
from typing import Any

from packseal.cli import main

_connect = sqlite3.connect


class NeverSyncs(sqlite3.Connection):
    """A connection that waits for no disk."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement, with syncing off where it would set it otherwise."""
        words = sql.upper().split()
        if words[:2] == ["PRAGMA", "SYNCHRONOUS"]:
            sql = "PRAGMA synchronous = OFF"
        return super().execute(sql, parameters)


def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    """Open a database as sqlite3 does, but never sync it."""
    connection: sqlite3.Connection = _connect(*args, **{**kwargs, "factory": NeverSyncs})
    connection.execute("PRAGMA synchronous = OFF")
    return connection


if __name__ == "__main__":
    print("negative control: this journal is NOT safe against power cuts", file=sys.stderr, flush=True)  # noqa: T201
    sqlite3.connect = connect  # type: ignore[assignment]
    sys.exit(main())

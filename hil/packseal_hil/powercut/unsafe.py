"""The negative control: the agent's command line on a journal that does not sync as it should. Only for the bench.

`python unsafe.py LEVEL run --config FILE` does what `packseal run` does, but every `PRAGMA synchronous` says LEVEL
(https://sqlite.org/pragma.html#pragma_synchronous). With OFF SQLite leaves it to the kernel when something reaches the
disk; with NORMAL it syncs only now and then. A power cut must lose acknowledged records of such a journal, else the
bench does not cut. Not in the wheel, and needs packseal and nothing else, so that it runs in a guest too.
"""

import sqlite3
import sys
from typing import Any

from packseal.cli import main

LEVELS = ("OFF", "NORMAL")

_connect = sqlite3.connect


class Unsafe(sqlite3.Connection):
    """A connection whose statements cannot make it sync more than `level` says."""

    level = LEVELS[0]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; one that sets how it syncs sets `level`."""
        words = sql.upper().split()
        if words[:2] == ["PRAGMA", "SYNCHRONOUS"]:
            sql = f"PRAGMA synchronous = {self.level}"
        return super().execute(sql, parameters)


def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    """Open a database as sqlite3 does, with the level set."""
    connection: sqlite3.Connection = _connect(*args, **{**kwargs, "factory": Unsafe})
    connection.execute("PRAGMA synchronous")
    return connection


if __name__ == "__main__":
    print("negative control: this journal is NOT safe against power cuts", file=sys.stderr, flush=True)  # noqa: T201
    Unsafe.level = sys.argv.pop(1)
    if Unsafe.level not in LEVELS:
        sys.exit(f"unsafe.py: the level must be {' or '.join(LEVELS)}, not {Unsafe.level!r}")
    sqlite3.connect = connect  # type: ignore[assignment]
    sys.exit(main())

"""The table of faults: which call on which file fails how, and what a keeper of records must then do."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from packseal_hil.faults.shim import FOR_EVER, Call, Error

LOG, DATABASE, INDEX = "-wal", "", "-shm"
NAMES = {LOG: "write-ahead log", DATABASE: "database", INDEX: "shared index"}
CALLS = {
    Call.OPEN: "open",
    Call.WRITE: "write",
    Call.SYNC: "sync",
    Call.TRUNCATE: "truncate",
    Call.READ: "read",
    Call.MAP: "map",
    Call.RENAME: "rename",
    Call.UNLINK: "unlink",
}


class Outcome(enum.Enum):
    """What must be seen while the fault lasts."""

    REFUSED = "not acknowledged; one sentence says why"
    STORED = "stored all the same"
    EITHER = "stored, or not acknowledged with one sentence"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault: `calls` on the file that ends with `ending`, after `skip` of them, `times` times."""

    ending: str
    calls: Call
    error: Error
    skip: int
    times: int
    outcome: Outcome

    @property
    def is_quick(self) -> bool:
        """Whether it is among those that every change has to pass."""
        return not self.skip and (self.error is Error.EIO or (self.times == FOR_EVER and self.ending == LOG))

    @property
    def name(self) -> str:
        """A name that is the same in every run."""
        how = "for ever" if self.times == FOR_EVER else "once"
        late = f" after {self.skip}" if self.skip else ""
        return f"{NAMES[self.ending]}, {CALLS[self.calls]}, {self.error.name}, {how}{late}"


def storing() -> Sequence[Cell]:
    """Return the faults that meet what is stored: a transaction is written to the write-ahead log and synced there."""
    cells = []
    for times in (1, FOR_EVER):
        for skip in (0, 1):
            for error in Error:
                is_noticed = (
                    error is not Error.SHORT or times == FOR_EVER
                )  # a short write alone is taken up where it ended
                outcome = Outcome.REFUSED if is_noticed else Outcome.STORED
                cells.append(Cell(LOG, Call.WRITE, error, skip, times, outcome))
        cells += [Cell(LOG, Call.SYNC, error, 0, times, Outcome.REFUSED) for error in Error if error is not Error.SHORT]
    return cells


def folding() -> Sequence[Cell]:
    """Return the faults that meet the folding of the write-ahead log into the database, after something was stored."""
    cells = [Cell(DATABASE, Call.WRITE, error, 0, FOR_EVER, Outcome.STORED) for error in Error]
    cells += [
        Cell(DATABASE, Call.SYNC, error, 0, times, Outcome.STORED)
        for error in Error
        for times in (1, FOR_EVER)
        if error is not Error.SHORT
    ]
    return cells


def opening(calls: Call, how_many: int) -> Sequence[Cell]:
    """Return the faults that meet each of `how_many` such calls while the files are opened."""
    short = (Error.SHORT,) if calls is Call.WRITE else ()
    errors = (Error.ENOSPC, Error.EIO, Error.EROFS, *short)
    return [
        Cell(DATABASE, calls, error, skip, FOR_EVER, Outcome.EITHER) for skip in range(how_many) for error in errors
    ]

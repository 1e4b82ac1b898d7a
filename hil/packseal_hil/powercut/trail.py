"""Trail: what a recording leaves in a directory: the disk before, the log of its writes, and what was promised when."""

from bisect import bisect_right
from pathlib import Path

import msgspec

from packseal_hil.powercut.judge import Promise
from packseal_hil.rig.protocols import RigError

NAME = "trail.json"


class Ack(msgspec.Struct, frozen=True):
    """At this position of the log, somebody knew that a log is stored up to this record.

    The position is read after the word came, so it is never too early: no loss is reported that was none. `hash` is
    None where only the number was said.
    """

    position: int
    log_id: bytes
    sequence: int
    hash: bytes | None = None


class Phase(msgspec.Struct, frozen=True):
    """What the agent was doing while the log grew from one position to the other."""

    name: str
    start: int
    end: int


class Trail(msgspec.Struct):
    """One disk's recording. `base`, `log` and `key` are names beside the trail's own file.

    `directory` is the absolute path of the journal's directory on that disk, `journal` the file's name in it; `issuer`
    is the gateway's id and `key` its private key.
    """

    name: str
    base: str
    log: str
    key: str
    issuer: str
    directory: str
    journal: str
    acks: list[Ack] = []
    phases: list[Phase] = []

    def promised(self, position: int) -> dict[bytes, Promise]:
        """Return what was promised, by log, when the log had this length."""
        newest: dict[bytes, Promise] = {}
        known = bisect_right(self.acks, position, key=lambda ack: ack.position)
        for ack in self.acks[:known]:
            before = newest.get(ack.log_id)
            if before is None or ack.sequence >= before.sequence:
                newest[ack.log_id] = Promise(ack.sequence, ack.hash)
        return newest

    def phase_at(self, position: int) -> str:
        """Return the name of the phase in which the log had this length."""
        return next((p.name for p in self.phases if p.start <= position <= p.end), "between")


def write(directory: Path, trail: Trail) -> None:
    """Keep it beside its files."""
    (directory / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(trail), indent=1))


def read(directory: Path) -> Trail:
    """Read it again; raises RigError when it is not there or not one."""
    try:
        return msgspec.json.decode((directory / NAME).read_bytes(), type=Trail)
    except (OSError, msgspec.DecodeError) as error:
        raise RigError(f"no recording in {directory}: {error}") from error

"""DBC doctor: files that are not quite DBC, loaded where that is safe, with every finding told by its line.

Only what says where signals lie is handed on to cantools: messages, signals, float types, multiplexer ranges and long
names. What nobody reads cannot break anything; what would have to be guessed is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import ConfigError
from packseal_drivers.dbc_doctor import crosscheck, repair, text
from packseal_drivers.dbc_doctor.finding import Finding, Refused
from packseal_drivers.dbc_doctor.statements import scan

if TYPE_CHECKING:
    from cantools.database.can import Database

__all__ = ["Examined", "Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Examined:
    """A DBC file as it was understood. `ambiguous` has, for names that are there twice, why nobody may rely on them.

    A key is a message's name alone, or with a signal's.
    """

    database: "Database"
    findings: tuple[Finding, ...]
    ambiguous: dict[tuple[str, ...], str]

    @property
    def repaired(self) -> bool:
        """Whether anything was mended or left out."""
        return any(f.repaired for f in self.findings)


def examine(raw: bytes, path: Path) -> Examined:
    """Load a DBC file.

    Raises:
        ConfigError: names file and line where the file cannot be loaded without guessing.
    """
    try:
        decoded = text.decode(raw)
        mended = repair.mend(scan(decoded.text))
        database = crosscheck.load(mended)
        checked = crosscheck.check(database, mended)
    except Refused as refused:
        raise ConfigError(f"{path}, line {refused.line}: {refused}") from None
    findings = sorted((*decoded.findings, *mended.findings, *checked.findings), key=lambda f: f.line)
    return Examined(database, tuple(findings), checked.ambiguous)

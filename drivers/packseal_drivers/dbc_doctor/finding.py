"""Finding: one thing that is wrong with a DBC file, or the reason why it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in which line, counted from 1. `repaired`: it was mended or left out, and not only noted."""

    line: int
    what: str
    repaired: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


class Refused(Exception):  # noqa: N818 - it never leaves the package: a ConfigError does
    """The file would have to be guessed at. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line

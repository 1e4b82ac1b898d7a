"""The table of all cells, for the terminal and for docs/peers.md."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.cell import Outcome, Trouble

PAGE = Path("docs/peers.md")
BEGIN, END = "<!-- table: make bench-peers writes it -->", "<!-- end of the table -->"
HEAD = ("gateway, store", "made", "lost", "doubled", "out of order", "first after, s", "all after, s", "catch-up /s")
MORE = ("CPU ms/1,000", "written B/sample", "peak MB")


@dataclass(frozen=True, slots=True)
class Line:
    """One cell's outcome, or why there is none."""

    trouble: Trouble
    rate_per_s: int
    gateway: str
    outcome: Outcome | None
    why: str = ""


def table(lines: Sequence[Line]) -> str:
    """Return Markdown: one table per trouble and rate."""
    parts = []
    for trouble, rate in dict.fromkeys((line.trouble, line.rate_per_s) for line in lines):
        rows = [line for line in lines if (line.trouble, line.rate_per_s) == (trouble, rate)]
        head = [*HEAD, *MORE]
        cells = [head, ["---"] + ["---:"] * (len(head) - 1), *(_cells(line) for line in rows)]
        body = "\n".join(f"| {' | '.join(row)} |" for row in cells)
        parts.append(f"**{trouble}, {rate} samples/s**\n\n{body}\n")
    return "\n".join(parts)


def write(lines: Sequence[Line], version: str) -> None:
    """Put the table into the page."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    said = f"thingsboard-gateway {version}, {platform.machine()}, Python {platform.python_version()} for packseal.\n"
    PAGE.write_text(f"{before}{BEGIN}\n\n{said}\n{table(lines)}\n{END}{after}", "utf-8")


def _cells(line: Line) -> list[str]:
    got = line.outcome
    if got is None:
        return [line.gateway, line.why, *[""] * (len(HEAD) + len(MORE) - 2)]
    lost = f"{got.lost:,}" + (f" (named by {got.gaps_named} signed gap)" if got.lost and got.gaps_named else "")
    made = max(got.made, 1)
    return [
        line.gateway,
        f"{got.made:,}",
        lost,
        f"{got.doubled:,}",
        f"{got.out_of_order:,}",
        "never" if got.first_s is None else f"{got.first_s:.1f}",
        "" if got.caught_up_s is None else f"{got.caught_up_s:.1f}",
        "" if got.catch_up_per_s is None else f"{got.catch_up_per_s:,.0f}",
        f"{got.cost.cpu_s * 1e6 / made:,.0f}",
        f"{got.cost.written_bytes / made:,.0f}",
        f"{got.cost.resident_mb:.0f}",
    ]

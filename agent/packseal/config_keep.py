"""The table [keep]: how long and how much the journal holds. docs/operations.md says what goes first.

The Struct is the table; its docstrings are the reference.
"""

import math

import msgspec

BYTES_PER_MB = 1_000_000
MAX_DAYS = 36_500
MIN_JOURNAL_MB, MAX_MB = 0.1, 10_000_000


class Keep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[keep]: what stays in the journal, and when it is made smaller. Ages are by the records' own wall clocks."""

    delivered_days: float = 30.0
    """How long records that the sink has receipted stay, for the workshop."""
    thin_10s_after_days: float = 90.0
    """Telemetry that the sink does not have and that is older becomes summaries of 10 s."""
    thin_60s_after_days: float = 365.0
    """Older still, it becomes summaries of 60 s. The age of a summary is counted from when it was made."""
    journal_mb: float = 4000.0
    """How many megabytes of records the journal holds at most, of all logs together."""
    free_disk_mb: float = 500.0
    """How many megabytes the disk keeps free, the journal's own free pages included; a tenth of it at most."""

    def __post_init__(self) -> None:
        for key in ("delivered_days", "thin_10s_after_days", "thin_60s_after_days"):
            _check(key, getattr(self, key), 0, MAX_DAYS, "days")
        if self.thin_60s_after_days < self.thin_10s_after_days:
            raise ValueError("thin_60s_after_days must not be less than thin_10s_after_days")
        _check("journal_mb", self.journal_mb, MIN_JOURNAL_MB, MAX_MB, "megabytes")
        _check("free_disk_mb", self.free_disk_mb, 0, MAX_MB, "megabytes")


def _check(key: str, value: float, least: float, most: float, unit: str) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{key} must be from {least:g} to {most} {unit}")

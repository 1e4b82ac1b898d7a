"""Credentials: a TLS context from files that may be replaced at any time, as certificates are renewed.

The files are looked at for every new connection. A set that does not fit together, because it is still being written,
is not used: the old one stays, and `notes` says so.
"""

import logging
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from packseal.core.errors import FormatError, InputError
from packseal.uplink.expiry import expiry
from packseal.uplink.tls import TlsFiles, context

log = logging.getLogger(__name__)

WARN_DAYS, URGENT_DAYS = 30, 7
DAY_S = 86_400
Marks = tuple[tuple[int, int, int] | None, ...]


class Credentials:
    """The newest whole set of `files`; raises InputError when there is none to begin with."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._marks = self._look()
        self._context = context(files)
        self._expires = _expiry(files.certificate)
        self._trouble = ""
        self.generation = 0
        """Goes up by one with each renewal."""

    def context(self) -> ssl.SSLContext:
        """Return what the next connection uses."""
        self.refresh()
        return self._context

    def refresh(self) -> bool:
        """Read the files again where one has changed; return whether there is a new set."""
        marks = self._look()
        if marks == self._marks:
            return False
        self._marks = marks
        try:
            fresh, expires = context(self._files), _expiry(self._files.certificate)
        except InputError as error:
            self._trouble = f"the renewed certificate is not used, the old one stays: {error}"
            log.warning("%s", self._trouble)
            return False
        self._context, self._expires, self._trouble = fresh, expires, ""
        self.generation += 1
        log.info("certificates read again from %s", ", ".join(str(path) for path in self._paths()))
        return True

    def notes(self, now_s: float | None = None) -> Sequence[str]:
        """Return what somebody should act on. `now_s`: UTC seconds; None asks the machine's clock."""
        notes = [self._trouble] if self._trouble else []
        left = self.days_left(now_s)
        if self._expires is not None and left is not None and left <= WARN_DAYS:
            day = datetime.fromtimestamp(self._expires, UTC).date().isoformat()
            when = f"expires in {left:.0f} days, on {day}" if left > 0 else f"has expired on {day}"
            renew = "renew it" if left > URGENT_DAYS else "renew it NOW"
            notes.append(f"the certificate {self._files.certificate} {when}: {renew}")
        return notes

    def days_left(self, now_s: float | None = None) -> float | None:
        """Return for how many days the own certificate is still good; None where there is none."""
        now_s = time.time() if now_s is None else now_s
        return None if self._expires is None else (self._expires - now_s) / DAY_S

    def _paths(self) -> list[Path]:
        files = self._files
        return [path for path in (files.authorities, files.certificate, files.key) if path is not None]

    def _look(self) -> Marks:
        return tuple(_mark(path) for path in self._paths())


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever the file does: the inode by a rename, the change time by a write or chmod."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def _expiry(certificate: Path | None) -> float | None:
    """Return when the certificate expires, in UTC seconds; raises InputError."""
    try:
        return None if certificate is None else expiry(certificate.read_text("ascii", "replace"))
    except (OSError, FormatError) as error:
        raise InputError(f"{certificate}: {error}") from error

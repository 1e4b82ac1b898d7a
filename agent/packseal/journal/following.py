"""Following: what may be appended to a log is its very next records. Pure."""

from collections.abc import Sequence

from packseal.core import chain
from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.core.record import Record, parse


def parsed(log_id: bytes, head: Head, records: Sequence[SealedRecord]) -> list[Record]:
    """Return what the records say, which follow `head` one after the other.

    Raises:
        StorageError: one of them does not, or is not what it was sealed as.
    """
    entries = []
    for sealed in records:
        try:
            entry = parse(sealed.raw)
            head = chain.advance(head, entry)
            entries.append(entry)
        except (FormatError, VerifyError) as error:
            raise StorageError(f"not stored in log {log_id.hex()}: {error}") from error
        if (entry.header.log_id, head) != (log_id, Head(sealed.sequence + 1, sealed.hash)):
            raise StorageError(f"not stored in log {log_id.hex()}: record {sealed.sequence} is not what it says")
    return entries

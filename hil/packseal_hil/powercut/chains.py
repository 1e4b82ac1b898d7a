"""Chains: verifies the logs of one recording again and again, and checks each record's signature only once."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from packseal.core import cose
from packseal.core.chain import Head, SealedRecord, verify_log
from packseal.core.errors import VerifyError
from packseal.core.record import record_hash


class Chains:
    """What was found to be whole so far, by log.

    Args:
        key_of: gives the public key for a kid; raises VerifyError when it is unknown.
    """

    def __init__(self, key_of: Callable[[bytes], cose.PublicKey]) -> None:
        self._key_of = key_of
        self._known: dict[bytes, list[bytes]] = {}

    def verify(self, log_id: bytes, records: Sequence[SealedRecord]) -> None:
        """Check a log as it was read from a journal, from its first record on.

        Raises:
            FormatError, VerifyError: a record is missing, changed, not signed by our key or not in its place.
        """
        hashes = [record_hash(record.raw) for record in records]
        _check_filing(records, hashes)
        known = self._known.setdefault(log_id, [])
        # The hash of a record covers those before it: what is the same up to here was verified before. The last of that
        # is verified again, so that what follows must be of the same gateway and battery.
        start = max(0, _common(known, hashes) - 1)
        head = Head(start, hashes[start - 1]) if start else Head()
        end = verify_log([record.raw for record in records[start:]], self._key_of, head)
        if end.next_sequence != len(records):
            raise VerifyError(f"{len(records)} records are stored, the chain has {end.next_sequence}")
        if len(hashes) > len(known):
            self._known[log_id] = hashes


def key_from_pem(pem: bytes) -> Callable[[bytes], cose.PublicKey]:
    """Return what knows the one gateway key in `pem`; raises InputError when it is none."""
    key = cose.public_key_from_pem(pem)

    def key_of(kid: bytes) -> cose.PublicKey:
        if kid != key.kid:
            raise VerifyError(f"signed by the unknown key {kid.hex()[:16]}")
        return key

    return key_of


def _check_filing(records: Sequence[SealedRecord], hashes: Sequence[bytes]) -> None:
    for record, found in zip(records, hashes, strict=True):
        if record.hash != found:
            raise VerifyError(f"record {record.sequence} is filed under another hash than its own")
    for one, other in pairwise(records):
        if other.sequence != one.sequence + 1:
            raise VerifyError(f"record {other.sequence} stands where {one.sequence + 1} must follow")


def _common(known: Sequence[bytes], hashes: Sequence[bytes]) -> int:
    """Return how many entries both begin with."""
    for number, (one, other) in enumerate(zip(known, hashes, strict=False)):
        if one != other:
            return number
    return min(len(known), len(hashes))

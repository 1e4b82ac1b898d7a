"""The hash chain of a log: where it stands, what may come next, and the pen that writes it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from packseal.core import cose, record
from packseal.core.bodies import KIND_OF, Body, Kind
from packseal.core.errors import VerifyError
from packseal.core.record import GENESIS, Header, Record
from packseal.core.sample import Instant

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: the sequence number that comes next and the hash it must name."""

    next_sequence: int = 0
    previous: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record's bytes with what the journal files them under."""

    raw: bytes
    hash: bytes
    sequence: int
    kind: Kind
    wall_ms: int


class Pen:
    """Writes one log: gives each body its place, time and signature, and moves the head on.

    Args:
        signer: the gateway's key.
        issuer: the gateway's URI.
        subject: the battery's (or, for the gateway's own log, the gateway's) URI.
        log_id: 16 bytes.
        boot_id: 8 bytes naming this boot of the machine.
        head: where the log stands.
    """

    def __init__(
        self, signer: cose.Signer, issuer: str, subject: str, log_id: bytes, boot_id: bytes, head: Head
    ) -> None:
        self._envelope = cose.Envelope(signer, issuer, subject)
        self._log_id = log_id
        self._boot_id = boot_id
        self.head = head

    def write(self, body: Body, at: Instant) -> SealedRecord:
        """Return the sealed record of `body` at `at`; the next call continues from it."""
        header = Header(
            log_id=self._log_id,
            sequence=self.head.next_sequence,
            previous=self.head.previous,
            boot_id=self._boot_id,
            mono_ms=at.mono_ns // NS_PER_MS,
            wall_ms=max(0, at.wall_ns // NS_PER_MS),
            quality=at.quality,
        )
        raw = self._envelope.seal(record.encode_payload(header, body))
        sealed = SealedRecord(raw, record.record_hash(raw), header.sequence, KIND_OF[type(body)], header.wall_ms)
        self.head = Head(header.sequence + 1, sealed.hash)
        return sealed


def advance(head: Head, entry: Record) -> Head:
    """Return the head after `entry`, which must be the very next record of the log.

    Raises:
        VerifyError: a record is missing before it, it was already there, or it names another predecessor.
    """
    if entry.header.sequence != head.next_sequence:
        raise VerifyError(f"record {entry.header.sequence} stands where {head.next_sequence} must follow")
    if entry.header.previous != head.previous:
        raise VerifyError(f"record {entry.header.sequence} does not name the record before it: the chain is broken")
    return Head(entry.header.sequence + 1, entry.hash)


def verify_log(records: Iterable[bytes], key_of: Callable[[bytes], cose.PublicKey], head: Head | None = None) -> Head:
    """Verify consecutive records of one log and return where it ends.

    Args:
        records: raw records in order.
        key_of: gives the public key for a kid; raises VerifyError when it is unknown.
        head: where the first must continue; None takes the first record's own word.

    Raises:
        FormatError, VerifyError: naming the sequence number where it fails.
    """
    owner: tuple[bytes, str, str] | None = None
    for raw in records:
        entry = record.verify(raw, key_of(record.parse(raw).kid))
        place = (entry.header.log_id, entry.issuer, entry.subject)
        if owner not in (None, place):
            raise VerifyError(f"record {entry.header.sequence} belongs to another log, gateway or battery")
        owner = place
        head = advance(head or Head(entry.header.sequence, entry.header.previous), entry)
    return head or Head()

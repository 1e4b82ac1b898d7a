"""The hash chain of a log: where it stands, what may come next, and the pen that writes it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from packseal.core import cose, record
from packseal.core.bodies import KIND_OF, Body, Kind
from packseal.core.errors import VerifyError
from packseal.core.holes import Hole, covers, hole_of, merged
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


def advance(head: Head, entry: Record, holes: Sequence[Hole] = ()) -> Head:
    """Return the head after `entry`, which must be the very next record of the log.

    Args:
        head: where the log stands.
        entry: the record.
        holes: what the log's own gap records name, as `holes.merged` returns it. Numbers in them may be missing before
            `entry`; its word for the hash of the record before it is then taken, for nobody has that record.

    Raises:
        VerifyError: a record is missing before it, it was already there, or it names another predecessor.
    """
    sequence = entry.header.sequence
    if sequence > head.next_sequence and covers(holes, head.next_sequence, sequence - 1):
        head = Head(sequence, entry.header.previous)
    if sequence != head.next_sequence:
        raise VerifyError(_misplaced(sequence, head.next_sequence))
    if entry.header.previous != head.previous:
        raise VerifyError(f"record {sequence} does not name the record before it: the chain is broken")
    return Head(sequence + 1, entry.hash)


def verify_log(
    records: Iterable[bytes],
    key_of: Callable[[bytes], cose.PublicKey],
    head: Head | None = None,
    holes: Iterable[Hole] = (),
) -> Head:
    """Verify records of one log, in order, and return where it ends.

    What is missing between them must be named by gap records among them, or by `holes`.

    Args:
        records: raw records in order.
        key_of: gives the public key for a kid; raises VerifyError when it is unknown.
        head: where the first must continue; None takes the first record's own word.
        holes: what gap records of this log that are not among `records` name.

    Raises:
        FormatError, VerifyError: naming the sequence number where it fails; a number that nothing accounts for after
            all else, since the gap record that names it may come last.
    """
    owner: tuple[bytes, str, str] | None = None
    named, missing = list(holes), []
    for raw in records:
        entry = record.verify(raw, key_of(record.parse(raw).kid))
        place = (entry.header.log_id, entry.issuer, entry.subject)
        if owner not in (None, place):
            raise VerifyError(f"record {entry.header.sequence} belongs to another log, gateway or battery")
        owner = place
        here = Head(entry.header.sequence, entry.header.previous)
        head = head or here
        if here.next_sequence > head.next_sequence:
            missing.append((head.next_sequence, here.next_sequence - 1))
            head = here
        head = advance(head, entry)
        hole = hole_of(entry)
        if hole is not None:
            named.append(hole)
    _account_for(missing, merged(named))
    return head or Head()


def _account_for(missing: Iterable[Hole], holes: Sequence[Hole]) -> None:
    for first, last in missing:
        if not covers(holes, first, last):
            raise VerifyError(_misplaced(last + 1, first))


def _misplaced(sequence: int, expected: int) -> str:
    return f"record {sequence} stands where {expected} must follow"

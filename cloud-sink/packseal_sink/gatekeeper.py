"""Who may send: finds a record's gateway and verifies the record with that gateway's key."""

from collections.abc import Callable, Iterable, Mapping

from packseal.core import cbor, cose, record
from packseal.core.bodies import Kind
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import Refusal, Refused
from packseal.core.record import LOG_ID_BYTES, Record
from packseal_sink.store import Gateway

TEXT_LIMIT = 300

Admission = Record | tuple[Refused, bytes]
"""A verified record, or why it is refused and the kid it named."""

_VOUCHED = (Kind.TELEMETRY, Kind.SUMMARY)
"""Kinds of which nobody asks for one alone: of all others, each signature is checked."""


class Gatekeeper:
    """Verifies records of enrolled gateways.

    Args:
        load: returns the gateways by kid.
        version: returns a number that changes when another process, such as `packseal-sink gateway`, has changed them.
    """

    def __init__(self, load: Callable[[], Mapping[bytes, Gateway]], version: Callable[[], int]) -> None:
        self._load = load
        self._version = version
        self._seen: int | None = None
        self._gateways: Mapping[bytes, Gateway] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take note of gateways that were added or removed meanwhile; raises StorageError."""
        version = self._version()
        if version != self._seen:
            self._gateways = self._load()
            self._seen = version

    def admit(self, raws: Iterable[bytes], *, chained: bool = False) -> list[Admission]:
        """Return each verified record, or why it is refused, up to the first bytes that are no record.

        Args:
            raws: what was sent.
            chained: whether a telemetry record, or a summary, may be taken on the word of the record after it, which
                was signed with the same key and names its hash, that of its signature included (docs/adr/0016).
        """
        found: list[Admission] = []
        for raw in raws:
            found.append(self._read(raw))
            if not isinstance(found[-1], Record) and not found[-1][0].log_id:
                break  # what follows is not worth the work
        successor: Record | None = None
        for place in reversed(range(len(found))):
            entry = found[place]
            if isinstance(entry, Record):
                vouched = chained and successor is not None and _vouches(successor, entry)
                entry = found[place] = self._verify(entry, vouched=vouched)
            successor = entry if isinstance(entry, Record) else None
        return found

    def _read(self, raw: bytes) -> Admission:
        """Return the record, of which only the form is checked, or why it is refused all the same."""
        kid = b""
        try:
            kid = record.claimed_kid(raw)
            gateway = self._gateways.get(kid)
            if gateway is None or gateway.removed_ms is not None:
                text = f"gateway key {kid.hex()} is not enrolled here: packseal-sink gateway add"
                return _refused(raw, Refusal.UNKNOWN_GATEWAY, text), kid
            return record.parse(raw)
        # A CBOR array where a code is expected cannot be looked up in a table: TypeError.
        except (FormatError, TypeError) as error:
            return _refused(raw, Refusal.BAD_FORMAT, str(error)), kid

    def _verify(self, entry: Record, *, vouched: bool) -> Admission:
        gateway = self._gateways[entry.kid]
        try:
            if not vouched:
                record.check_signature(entry, gateway.key)
            record.check_contents(entry)
        except VerifyError as error:
            return _refused(entry.raw, Refusal.BAD_SIGNATURE, str(error)), entry.kid
        except (FormatError, TypeError) as error:
            return _refused(entry.raw, Refusal.BAD_FORMAT, str(error)), entry.kid
        if entry.issuer != gateway.issuer:
            text = f"this key is enrolled for {gateway.issuer}, the record says {entry.issuer}"
            return _refused(entry.raw, Refusal.UNKNOWN_GATEWAY, text), entry.kid
        return entry


def _vouches(successor: Record, entry: Record) -> bool:
    """Whether a verified record stands for the one before it: content, key and place."""
    return (
        entry.kind in _VOUCHED
        and successor.header.previous == entry.hash
        and successor.header.sequence == entry.header.sequence + 1
        and (successor.header.log_id, successor.kid, successor.issuer, successor.subject)
        == (entry.header.log_id, entry.kid, entry.issuer, entry.subject)
    )


def _refused(raw: bytes, code: Refusal, text: str) -> Refused:
    log_id, sequence = _claim(raw)
    return Refused(log_id, code, sequence, text[:TEXT_LIMIT])


def _claim(raw: bytes) -> tuple[bytes, int]:
    """Return the log id and sequence that the bytes name, as far as they can be read: only to say what was refused."""
    try:
        parts = cbor.decode(cose.parse(raw).payload, "record payload")
        return cbor.as_bytes(parts[2], "log id", LOG_ID_BYTES), cbor.as_uint(parts[3], "sequence")
    except (FormatError, LookupError, TypeError):
        return b"", 0

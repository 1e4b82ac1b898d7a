"""Who may send: finds a record's gateway and verifies the record with that gateway's key."""

from collections.abc import Callable, Mapping

from packseal.core import cbor, cose, record
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import Refusal, Refused
from packseal.core.record import LOG_ID_BYTES, Record
from packseal_sink.store import Gateway

KIDS_KEPT = 4096
TEXT_LIMIT = 300


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
        self._kids: dict[bytes, bytes] = {}

    def refresh(self) -> None:
        """Take note of gateways that were added or removed meanwhile; raises StorageError."""
        version = self._version()
        if version != self._seen:
            self._gateways = self._load()
            self._seen = version

    def admit(self, raw: bytes) -> Record | tuple[Refused, bytes]:
        """Return the verified record, or why it is refused and the kid it named."""
        kid = b""
        try:
            kid = self._kid(raw)
            gateway = self._gateways.get(kid)
            if gateway is None or gateway.removed_ms is not None:
                text = f"gateway key {kid.hex()} is not enrolled here: packseal-sink gateway add"
                return _refused(raw, Refusal.UNKNOWN_GATEWAY, text), kid
            entry = record.verify(raw, gateway.key)
            record.check_contents(entry)
        # A CBOR array where a code is expected cannot be looked up in a table: TypeError.
        except (FormatError, TypeError) as error:
            return _refused(raw, Refusal.BAD_FORMAT, str(error)), kid
        except VerifyError as error:
            return _refused(raw, Refusal.BAD_SIGNATURE, str(error)), kid
        if entry.issuer != gateway.issuer:
            text = f"this key is enrolled for {gateway.issuer}, the record says {entry.issuer}"
            return _refused(raw, Refusal.UNKNOWN_GATEWAY, text), kid
        return entry

    def _kid(self, raw: bytes) -> bytes:
        # The protected header is the same in every record of a log, so it is taken apart once.
        protected = cose.parse(raw).protected
        kid = self._kids.get(protected)
        if kid is None:
            kid = record.parse(raw).kid
            if len(self._kids) >= KIDS_KEPT:
                self._kids.clear()
            self._kids[protected] = kid
        return kid


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

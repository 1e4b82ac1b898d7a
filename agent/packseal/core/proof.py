"""Proof of delivery: consecutive records of one log and then the sink's receipt for the last (docs/formats/proof.md).

The chain carries the receipt back: it names the last record's hash, and every record names the hash of the one before.
"""

from dataclasses import dataclass

import cbor2

from packseal.core import cbor, cose, exchange
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import Receipt
from packseal.core.record import Record

MAX_RECEIPT_BYTES = 1024
"""Two names of 255 bytes, and 230 for all else: more is a record."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a verified receipt says of the verified records before it: all from `first` to `last` are at the sink.

    `receipt.wall_ms` is when the sink signed: the records had arrived by then, by the sink's clock.
    """

    receipt: Receipt
    first: Record
    last: Record


def receipt_kid(raw: bytes) -> bytes | None:
    """Return the thumbprint of the key that a receipt names, None when the bytes are no receipt. Verifies nothing."""
    if len(raw) > MAX_RECEIPT_BYTES:
        return None
    try:
        message = cose.parse(raw)
        payload = cbor2.loads(message.payload, max_depth=cbor.MAX_DEPTH)
        header = cbor2.loads(message.protected, max_depth=cbor.MAX_DEPTH)
        kind, kid = payload[1], header[cose.HEADER_KID]
    except (FormatError, cbor2.CBORError, ValueError, TypeError, KeyError, IndexError):
        return None
    return kid if kind == exchange.RECEIPT_KIND and isinstance(kid, bytes) else None


def verify_delivery(raw: bytes, key: cose.PublicKey, first: Record, last: Record) -> Delivery:
    """Verify the receipt that stands after the records `first` to `last`, themselves verified and chained.

    Raises:
        FormatError: not a receipt in its one form.
        VerifyError: not signed by `key`, or about another record, log or battery.
    """
    receipt = exchange.verify_receipt(raw, key)
    header = last.header
    if (receipt.log_id, receipt.sequence, receipt.hash) != (header.log_id, header.sequence, last.hash):
        raise VerifyError(
            f"the receipt names record {receipt.sequence} of log {receipt.log_id.hex()[:8]} with another hash or place "
            f"than record {header.sequence} of log {header.log_id.hex()[:8]} before it: it does not cover it"
        )
    about = cose.read_claims(cbor.decode(cose.parse(raw).protected, "protected header")[cose.HEADER_CWT_CLAIMS])[1]
    if about != last.subject:
        raise VerifyError(f"the receipt speaks of another battery than record {header.sequence} before it")
    return Delivery(receipt, first, last)

"""Deliveries: the sink's receipts among verified records, checked, and told in plain words."""

from collections.abc import Mapping
from typing import Any

from packseal.cli.audit import SHOWN, Audit
from packseal.cli.present import counted, safe, utc
from packseal.core import cose, proof
from packseal.core.errors import PacksealError, VerifyError
from packseal.core.proof import Delivery


class Deliveries:
    """Verifies receipts one by one, each against the records that the audit has taken before it.

    Args:
        audit: takes the records, and notes what is wrong with a receipt.
        keys: the public keys of the sinks that count, by thumbprint.
    """

    def __init__(self, audit: Audit, keys: Mapping[bytes, cose.PublicKey]) -> None:
        self._audit = audit
        self._keys = keys
        self.found: list[Delivery] = []

    def take(self, raw: bytes, kid: bytes, where: str) -> None:
        """Verify the receipt that stands here and names key `kid`, or note what is wrong with it."""
        try:
            key = self._keys.get(kid)
            if key is None:
                raise VerifyError(
                    f"a receipt signed by key {kid.hex()[:16]}…, not given: name the sink's with --sink-key PUB"
                )
            log = self._audit.newest
            if log is None:
                raise VerifyError("a receipt without the record it names before it")
            self.found.append(proof.verify_delivery(raw, key, log.unbroken, log.last))
        except PacksealError as error:
            self._audit.faults.add(f"{where}: {error}")

    def lines(self) -> list[str]:
        """Return what a person is told: who received what, and when."""
        told = [line for delivery in self.found[-SHOWN:] for line in _lines(delivery)]
        more = len(self.found) - SHOWN
        return [f"… and {more} receipts before these", *told] if more > 0 else told

    def as_json(self) -> list[dict[str, Any]]:
        """Return the same for programs."""
        return [
            {
                "sink": d.receipt.issuer,
                "key": d.receipt.kid.hex(),
                "log": d.receipt.log_id.hex(),
                "first": d.first.header.sequence,
                "last": d.last.header.sequence,
                "received_by_ms": d.receipt.wall_ms,
                "received_by": utc(d.receipt.wall_ms),
            }
            for d in self.found
        ]


def _lines(delivery: Delivery) -> list[str]:
    receipt, first, last = delivery.receipt, delivery.first.header, delivery.last.header
    count = counted(last.sequence - first.sequence + 1, "record")
    which = f"{first.sequence}" if count == "1 record" else f"{first.sequence} to {last.sequence}"
    return [
        f"received  {safe(receipt.issuer)} signed that it holds {count} of this log, {which},",
        f"          no later than {utc(receipt.wall_ms)} by its own clock",
        f"          log {receipt.log_id.hex()}, key {receipt.kid.hex()}",
    ]

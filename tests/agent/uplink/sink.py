"""A small sink built from the core alone: what any sink must do, and nothing of how one stores it."""

import time
from collections import defaultdict

from packseal.core import chain, cose, exchange, record
from packseal.core.chain import Head
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import LogEnd, Position, Refusal, Refused, Reply
from packseal.keys.file import FileSigner

ISSUER = "urn:example:sink:1"


class TrialSink:
    """Verifies, stores contiguously, answers with receipts. `busy` refusals are given first, then work begins."""

    def __init__(self, signer: FileSigner, gateway: cose.PublicKey) -> None:
        self._envelope = cose.Envelope(signer, ISSUER, "urn:example:gateway:1")
        self._gateway = gateway
        self.key = signer.public
        self.stored: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self.arrivals: list[tuple[float, bytes, int]] = []  # monotonic seconds, log, sequence of what was new
        self.repeated = 0
        self.forks: list[int] = []  # sequence numbers at which another record was shown
        self.busy = 0
        self.requests = 0

    def handle(self, request: bytes) -> bytes:
        self.requests += 1
        refused: list[Refused] = []
        named: list[bytes] = []
        content = exchange.decode_request(request)
        if isinstance(content, Position):
            for end in content.ends:
                named.append(end.log_id)
                refused += self._compare(end)
        else:
            for raw in content.records:
                named.append(record.parse(raw).header.log_id)
                refused += self._take(raw)
        receipts = [self._receipt(log_id) for log_id in dict.fromkeys(named) if self.stored[log_id]]
        return exchange.encode_reply(Reply(receipts, refused[:1]))

    def _compare(self, end: LogEnd) -> list[Refused]:
        held = len(self.stored[end.log_id])
        if end.next_sequence < held:
            return [Refused(end.log_id, Refusal.ROLLBACK, end.next_sequence, f"{held} records are stored here")]
        return []

    def _take(self, raw: bytes) -> list[Refused]:
        header = record.parse(raw).header
        log_id, held = header.log_id, self.stored[header.log_id]
        if self.busy:
            self.busy -= 1
            return [Refused(log_id, Refusal.BUSY, header.sequence, "later")]
        if header.sequence > len(held):
            return [Refused(log_id, Refusal.AHEAD, header.sequence, f"{len(held)} comes next")]
        if header.sequence < len(held):
            return self._take_again(raw, header.sequence, log_id)
        try:
            entry = record.verify(raw, self._gateway)
            chain.advance(self._head(log_id), entry)
        except VerifyError as error:
            return [Refused(log_id, Refusal.BROKEN_CHAIN, header.sequence, str(error))]
        except FormatError as error:
            return [Refused(log_id, Refusal.BAD_FORMAT, header.sequence, str(error))]
        held.append(raw)
        self.arrivals.append((time.monotonic(), log_id, header.sequence))
        return []

    def _take_again(self, raw: bytes, sequence: int, log_id: bytes) -> list[Refused]:
        self.repeated += 1
        if self.stored[log_id][sequence] == raw:
            return []
        self.forks.append(sequence)
        return [Refused(log_id, Refusal.FORK, sequence, "another record stands here")]

    def _head(self, log_id: bytes) -> Head:
        held = self.stored[log_id]
        return Head(len(held), record.record_hash(held[-1])) if held else Head()

    def _receipt(self, log_id: bytes) -> bytes:
        head = self._head(log_id)
        return exchange.write_receipt(
            self._envelope, (log_id, head.next_sequence - 1, head.previous), time.time_ns() // 1_000_000
        )

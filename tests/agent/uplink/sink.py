"""A small sink built from the core alone: what any sink must do, and nothing of how one stores it."""

import time
from collections import defaultdict

from packseal.core import chain, cose, exchange, record
from packseal.core.chain import Head
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import Early, LogEnd, Position, Refusal, Refused, Reply
from packseal.core.holes import hole_of
from packseal.keys.file import FileSigner
from packseal.uplink.ranges import Ranges, spans

ISSUER = "urn:example:sink:1"
HOLE = b""
"""What stands in `stored` for a record that a gap record names as removed."""


class TrialSink:
    """Verifies, stores contiguously, answers with receipts. `busy` refusals are given first, then work begins.

    What comes early is kept in `early`, at most `early_limit` records of a log; an older sink does not know it. A gap
    record that names a hole is kept there in any case, and in place of another record.
    """

    def __init__(self, signer: FileSigner, gateway: cose.PublicKey) -> None:
        self._envelope = cose.Envelope(signer, ISSUER, "urn:example:gateway:1")
        self._gateway = gateway
        self.key = signer.public
        self.stored: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self.early: defaultdict[bytes, dict[int, bytes]] = defaultdict(dict)
        self.early_limit = 1_000_000
        self.older = False
        self.holes: defaultdict[bytes, Ranges] = defaultdict(Ranges)
        self.whole: defaultdict[bytes, Ranges] = defaultdict(Ranges)
        self.arrivals: list[tuple[float, bytes, int]] = []  # monotonic seconds, log, sequence of what was new
        self.repeated = 0
        self.forks: list[int] = []  # sequence numbers at which another record was shown
        self.busy = 0
        self.requests = 0

    def handle(self, request: bytes) -> bytes:
        self.requests += 1
        refused: list[Refused] = []
        named: list[bytes] = []
        held: dict[bytes, list[tuple[int, int]]] = {}
        content = exchange.decode_request(request)
        if isinstance(content, Position):
            for end in content.ends:
                named.append(end.log_id)
                self.whole[end.log_id] = Ranges()
                refused += self._compare(end)
                held[end.log_id] = spans(sorted(self.early[end.log_id]))
        elif self.older and (isinstance(content, Early) or content.whole):
            refused = [Refused(b"", Refusal.BAD_FORMAT, 0, "request kind 3 is unknown")]
        else:
            take = self._take_early if isinstance(content, Early) else self._take
            for stretch in content.whole:
                named.append(stretch.log_id)
                self.whole[stretch.log_id].add(stretch.first, stretch.end)
            for raw in content.records:
                named.append(record.parse(raw).header.log_id)
                refused += take(raw)
            for log_id in dict.fromkeys(named):
                self._join(log_id)
                if isinstance(content, Early):
                    held[log_id] = spans(sorted(self.early[log_id]))
        receipts = [self._receipt(log_id) for log_id in dict.fromkeys(named) if self.stored[log_id]]
        return exchange.encode_reply(Reply(receipts, refused[:1], {k: v for k, v in held.items() if v}))

    def present(self, log_id: bytes) -> list[bytes]:
        """Return what is stored in turn, without the holes."""
        return [raw for raw in self.stored[log_id] if raw != HOLE]

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
        self._join(log_id, header.sequence)
        if header.sequence > len(held) and not self.older and hole_of(record.parse(raw)) is not None:
            return self._put_aside(raw)
        if header.sequence > len(held):
            return [Refused(log_id, Refusal.AHEAD, header.sequence, f"{len(held)} comes next")]
        if header.sequence < len(held):
            return self._take_again(raw, header.sequence, log_id)
        return self._append(raw)

    def _take_early(self, raw: bytes) -> list[Refused]:
        header = record.parse(raw).header
        early = self.early[header.log_id]
        if self.busy:
            self.busy -= 1
            return [Refused(header.log_id, Refusal.BUSY, header.sequence, "later")]
        if header.sequence in early or header.sequence < len(self.stored[header.log_id]):
            self.repeated += 1
            return []
        if len(early) >= self.early_limit:
            return [Refused(header.log_id, Refusal.AHEAD, header.sequence, "no room")]
        return self._put_aside(raw)

    def _put_aside(self, raw: bytes) -> list[Refused]:
        entry = record.verify(raw, self._gateway)
        self._learn(entry)
        if self.early[entry.header.log_id].get(entry.header.sequence) == raw:
            self.repeated += 1
            return []
        self.early[entry.header.log_id][entry.header.sequence] = raw
        self.arrivals.append((time.monotonic(), entry.header.log_id, entry.header.sequence))
        return []

    def _append(self, raw: bytes, *, new: bool = True) -> list[Refused]:
        header = record.parse(raw).header
        log_id, sequence, held = header.log_id, header.sequence, self.stored[header.log_id]
        try:
            entry = record.verify(raw, self._gateway)
            # After a hole the record's own signed word counts for what was before it.
            word = Head(sequence, header.previous)
            chain.advance(word if held and held[-1] == HOLE else self._head(log_id), entry)
        except VerifyError as error:
            return [Refused(log_id, Refusal.BROKEN_CHAIN, sequence, str(error))]
        except FormatError as error:
            return [Refused(log_id, Refusal.BAD_FORMAT, sequence, str(error))]
        self._learn(entry)
        held.append(raw)
        if new:
            self.arrivals.append((time.monotonic(), log_id, sequence))
        return []

    def _join(self, log_id: bytes, end: int = 1 << 40) -> None:
        """Move on over what came early and what was removed, as far as that goes, but not beyond `end`."""
        held, early = self.stored[log_id], self.early[log_id]
        while True:
            if (raw := early.pop(len(held), None)) is not None:
                assert not self._append(raw, new=False)
                continue
            number = len(held)
            passes = self.holes[log_id], self.whole[log_id]
            while number < end and number not in early and all(number in ranges for ranges in passes):
                number += 1
            if number > len(held) and (number in early or number == end):
                held += [HOLE] * (number - len(held))
                continue
            return

    def _learn(self, entry: record.Record) -> None:
        if (hole := hole_of(entry)) is not None:
            self.holes[entry.header.log_id].add(hole[0], hole[1] + 1)

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

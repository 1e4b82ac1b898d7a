"""What the model of a gateway and its sink is made of: what was promised, the faulty ways between both, bodies."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

from tests.end_to_end.crashing import signer

from packseal.core import chain, columns, exchange, holes, record
from packseal.core.bodies import Body, Event, Telemetry
from packseal.core.cose import Envelope
from packseal.core.errors import UplinkError, VerifyError
from packseal.core.exchange import Reply
from packseal.core.holes import Hole
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import Record
from packseal.core.sample import ClockQuality, EventCode, Instant, Sample
from packseal.journal.store import Journal

T = TypeVar("T")
NS = 1_000_000_000
WALL_MS, WINDOW_MS = 1_800_000_000_000, 60_000
FIRST_MARK = 1 << 41
"""Monotonic ms of the first record that the model seals: beyond those of this machine, which seals some of its own."""

LOST_S, LATE_S = 0.002, 0.003

Records = dict[int, bytes]
Promises = dict[bytes, Records]


@lru_cache(1 << 14)
def parsed(raw: bytes) -> Record:
    """Parse once what is looked at in every step."""
    return record.parse(raw)


@lru_cache(1 << 14)
def verified(raw: bytes, key: bytes) -> Record:
    """Verify once with the public half of a private key."""
    return record.verify(raw, signer(key).public)


def mark_of(raw: bytes) -> int:
    """Return what the model knows a record by, wherever it stands; 0 for one that it has not sealed itself."""
    mono_ms = parsed(raw).header.mono_ms
    return mono_ms if mono_ms >= FIRST_MARK else 0


def marks(raws: Iterable[bytes]) -> Counter[int]:
    """Count the records that the model has sealed."""
    return Counter(mark for mark in map(mark_of, raws) if mark)


def named(raws: Iterable[bytes]) -> list[Hole]:
    """Return what gap records among these name."""
    return holes.merged(hole for raw in raws if (hole := holes.hole_of(parsed(raw))) is not None)


def check_chain(raws: Sequence[bytes], key: bytes, accounted_for: Iterable[Hole] = ()) -> chain.Head:
    """Return where the log ends; raises VerifyError unless it is whole and of this key."""
    head, missing = None, []
    for raw in raws:
        entry = verified(raw, key)
        here = chain.Head(entry.header.sequence, entry.header.previous)
        head = head or here
        if here.next_sequence > head.next_sequence:
            missing.append((head.next_sequence, here.next_sequence - 1))
            head = here
        head = chain.advance(head, entry)
    known = holes.merged([*named(raws), *accounted_for])
    if lost := [hole for hole in missing if not holes.covers(known, *hole)]:
        raise VerifyError(f"nothing accounts for {lost}")
    return head or chain.Head()


def at(mark: int) -> Instant:
    """Return the time of the record with this mark."""
    return Instant(mark * 1_000_000, (WALL_MS + mark - FIRST_MARK) * 1_000_000, ClockQuality.NTP)


def body(kind: int, mark: int) -> Body:
    """Return a body of one of KINDS."""
    if kind == 0:
        return Snapshot((), {})
    if kind == 1:
        return Event(EventCode.BUS_SILENT, {"n": mark})
    began, count = at(mark), 1 if kind == 2 else 20
    times = [began._replace(mono_ns=began.mono_ns + n * NS, wall_ns=began.wall_ns + n * NS) for n in range(count)]
    window = [Sample(t, {Channel(Quantity.PACK_VOLTAGE_V): 400 + n / 7}) for n, t in enumerate(times)]
    return Telemetry(mark, began.wall_ns // 1_000_000, count, (count - 1) * 1000, columns.pack(window))


KINDS = 4


@dataclass(slots=True)
class Book:
    """What a journal has promised to keep, and what retention has taken out of that since."""

    logs: Promises = field(default_factory=dict)
    removed: dict[bytes, set[int]] = field(default_factory=dict)

    def copy(self) -> "Book":
        """Return one that can be changed without changing this."""
        return deepcopy(self)

    def begin(self, log_id: bytes) -> None:
        """Know a log."""
        self.logs.setdefault(log_id, {})
        self.removed.setdefault(log_id, set())

    def remove(self, log_id: bytes, stretches: Iterable[Hole]) -> None:
        """Note that these are removed on purpose."""
        for first, last in stretches:
            self.removed[log_id] |= {n for n in range(first, last + 1) if n in self.logs[log_id]}

    def kept(self, log_id: bytes) -> Records:
        """Return what must be there."""
        return {n: raw for n, raw in self.logs[log_id].items() if n not in self.removed[log_id]}

    def marks(self) -> Counter[int]:
        """Count what must be there of all logs."""
        return marks(raw for log_id in self.logs for raw in self.kept(log_id).values())


class Fate(Enum):
    """What becomes of one request and its reply."""

    GOOD = auto()
    REQUEST_LOST = auto()
    REPLY_LOST = auto()
    DOUBLED = auto()  # the request arrives twice; the reply to the second counts
    REQUEST_LATE = auto()  # after others, where the way is not ordered
    REPLY_LATE = auto()  # after others
    OLD_REPLY = auto()  # one that was given before comes again in place of the new one
    FORGED_REPLY = auto()  # it says, with another key, that everything is there


class FaultyWay:
    """An uplink to `handle`, one fate for each exchange; after the last of them all is well.

    Args:
        handle: the sink.
        journal: what a forger would have receipted.
        fates: of the first exchanges.
        breaks_after: so many exchanges; None never. Then it cannot be connected either.
        ordered: whether requests keep their order.
    """

    notes = ()
    max_request_bytes = None

    def __init__(
        self,
        handle: Callable[[bytes], bytes],
        journal: Callable[[], Journal],
        fates: Sequence[Fate],
        breaks_after: int | None,
        *,
        ordered: bool,
    ) -> None:
        self._handle = handle
        self._journal = journal
        self._fates = list(reversed(fates))
        self._left = breaks_after
        self._given: list[bytes] = []
        self.ordered = ordered

    @property
    def is_broken(self) -> bool:
        """Whether nothing goes over it any more."""
        return self._left == 0

    async def __aenter__(self) -> Self:
        """Connect; raises UplinkError."""
        self._check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    async def exchange(self, request: bytes) -> bytes:
        """Have the sink answer, as the next fate will have it; raises UplinkError."""
        self._check()
        if self._left is not None:
            self._left -= 1
        fate = self._fates.pop() if self._fates else Fate.GOOD
        if fate is Fate.REQUEST_LATE and not self.ordered:
            await asyncio.sleep(LATE_S)
        if fate is Fate.REQUEST_LOST:
            await self._lose()
        reply = self._handle(request)
        if fate is Fate.DOUBLED:
            reply = self._handle(request)
        self._given.append(reply)
        if fate is Fate.REPLY_LATE:
            await asyncio.sleep(LATE_S)
        if fate is Fate.REPLY_LOST:
            await self._lose()
        if fate is Fate.OLD_REPLY:
            return self._given[len(self._given) // 2]
        return _forged(self._journal()) if fate is Fate.FORGED_REPLY else reply

    def _check(self) -> None:
        if self.is_broken:
            raise UplinkError("the link is gone")

    async def _lose(self) -> None:
        await asyncio.sleep(LOST_S)
        raise UplinkError("the sink did not answer in time")


def _forged(journal: Journal) -> bytes:
    envelope = Envelope(signer(b"forged key of just 32 bytes long"), "urn:example:sink:1", "urn:example:battery:1")
    heads = [(log.log_id, journal.head(log.log_id)) for log in journal.logs()]
    ends = [(log_id, head.next_sequence - 1, head.previous) for log_id, head in heads if head.next_sequence]
    return exchange.encode_reply(Reply([exchange.write_receipt(envelope, end, WALL_MS) for end in ends]))

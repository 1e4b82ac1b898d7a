"""Nothing sealed is ever lost: the real journal, retention, sync engine, epochs and sink against a model.

Appends, retention, lost, doubled, late, old and forged exchanges, copies that are put back, two gateways of one key in
turn, and deaths of either side at any system call, in any order. One step is one of them, after which all must be well.

By default it is a small part of PACKSEAL_MODEL_STEPS=100000, which `-s` shows the progress of.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.end_to_end.crashing import Crasher
from tests.end_to_end.model import KINDS, Fate, check_chain, marks, named, parsed
from tests.end_to_end.pair import KEY, Pair, Way

from packseal.core import holes
from packseal.core.bodies import Gap, GapCause, Kind
from packseal.journal import epochs, retention
from packseal.journal.retention import Urgency
from packseal.uplink.terms import Order

STEPS_PER_EXAMPLE, MEAN_STEPS = 40, 30
STEPS = int(os.environ.get("PACKSEAL_MODEL_STEPS", "300"))
TELL_EVERY = 1000
NEVER_MS = 1 << 62
COPIES = 3
LAST_CALL = 230  # opening a journal and appending take some 200 system calls

CALLS = st.integers(0, LAST_CALL)
KINDS_OF = st.lists(st.integers(0, KINDS - 1), min_size=1, max_size=8)
WAYS = st.tuples(
    st.lists(st.sampled_from(Fate), max_size=6), st.none() | st.integers(0, 8), st.booleans(), st.sampled_from(Order)
)
WELL: Way = ([], None, True, Order.OLDEST_FIRST)


class Count:
    """What was done since `began`."""

    began = 0.0
    steps: Counter[str]
    more: Counter[str]

    def begin(self) -> None:
        """Begin to count."""
        self.began, self.steps, self.more = time.monotonic(), Counter(), Counter()

    def step(self, what: str) -> None:
        """Count one step, and tell now and then how far it is."""
        self.steps[what] += 1
        if self.steps.total() % TELL_EVERY == 0:
            self.tell()

    def tell(self) -> None:
        """Write a line on standard error."""
        done = ", ".join(f"{number} {what}" for what, number in sorted((self.steps + self.more).items()))
        seconds = time.monotonic() - self.began
        sys.stderr.write(
            f"model: {self.steps.total()} steps in {seconds:.0f} s ({time.process_time():.0f} s of CPU): {done}\n"
        )


counted = Count()


@pytest.fixture(scope="module", autouse=True)
def crasher() -> Iterator[None]:
    """Small bounds for retention, no pause between epochs, a process that dies for us; at the end, what was done."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("THIN_RECORDS", "DROP_RECORDS", "FORGET_RECORDS"):
            patch.setattr(retention, name, 4)
        patch.setattr(retention, "WORTH_RECORDS", 2)
        patch.setattr(epochs, "LEAST_APART_MS", 0)
        counted.begin()
        NothingIsLost.crasher = Crasher()
        yield
        NothingIsLost.crasher.close()
        counted.tell()


class NothingIsLost(RuleBasedStateMachine):
    """`_there`: what the sink had in its turn in the step before, by log."""

    crasher: Crasher

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        counted.more["examples"] += 1
        self._pair = Pair(Path(self._folder.name), self.crasher, counted.more)
        self._there: dict[bytes, list[bytes]] = {}

    def teardown(self) -> None:
        """At the end all is well again: then everything must come through."""
        self._pair.deliver([WELL])
        for log_id in self._pair.live():
            assert self._pair.journal.delivered(log_id) == self._pair.journal.head(log_id).next_sequence
        self.nothing_receipted_is_missing()
        there = marks(raw for raws in self._pair.at_the_sink().values() for raw in raws)
        everything = self._pair.at_the_sink(early=True)
        for log_id in self._pair.book.logs:
            known = named(everything.get(log_id, ()))
            for number, raw in self._pair.book.kept(log_id).items():
                # A copy may still have what the other one had removed and named before it was sent.
                assert holes.covers(known, number, number) or not marks([raw]).keys() - there.keys()
        self._pair.close()
        self._folder.cleanup()

    @rule(kinds=KINDS_OF)
    def append(self, kinds: list[int]) -> None:
        counted.step("append")
        self._pair.append(self._pair.sealed(kinds))

    @rule(kinds=KINDS_OF, at_call=CALLS)
    def die_while_appending(self, kinds: list[int], at_call: int) -> None:
        counted.step("die while appending")
        self._pair.append(self._pair.sealed(kinds), at_call=at_call)

    @precondition(lambda self: self._pair.journal.head(self._pair.newest).next_sequence > 3)
    @rule(first=st.integers(0, 200), length=st.integers(1, 20), at_call=st.none() | CALLS)
    def drop(self, first: int, length: int, at_call: int | None) -> None:
        counted.step("drop")
        log_id, head = self._pair.newest, self._pair.journal.head(self._pair.newest).next_sequence
        first, last = min(first, head - 2), min(first + length, head - 2)
        entries = self._pair.journal.entries(log_id, first, last + 1, 1000, 1 << 20)
        taken = [(n, n) for n, raw in entries if parsed(raw).kind is Kind.TELEMETRY]
        if taken:
            gap = Gap(GapCause.DROPPED, 0, 1, {"first": first, "last": last, "records": len(taken)})
            self._pair.append(self._pair.written([gap]), taken, at_call)

    @rule(how=st.sampled_from(Urgency), at_call=st.none() | CALLS)
    def retain(self, how: Urgency, at_call: int | None) -> None:
        counted.step("retain")
        log_id = self._pair.newest
        if how is Urgency.FORGET:
            step = retention.forget(self._pair.journal, log_id, NEVER_MS)
        else:
            found = retention.find(self._pair.journal, log_id, how, NEVER_MS)
            step = retention.step(found, how) if found.entries else None
        if step is not None:
            self._pair.append(self._pair.written(step.bodies), step.removed, at_call)

    @rule(ways=st.lists(WAYS, min_size=1, max_size=2), at_call=st.none() | CALLS)
    def exchange(self, ways: list[Way], at_call: int | None) -> None:
        counted.step("exchange")
        self._pair.deliver(ways, at_call)

    @precondition(lambda self: self._pair.receipted)
    @rule(at_call=CALLS)
    def die_while_acknowledging(self, at_call: int) -> None:
        counted.step("die while acknowledging")
        self._pair.acknowledge(at_call)

    @precondition(lambda self: self._pair.journal.head(self._pair.newest).next_sequence)
    @rule(behind=st.integers(0, 3), at_call=CALLS)
    def the_sink_dies(self, behind: int, at_call: int) -> None:
        counted.step("the sink dies")
        start = max(0, self._pair.journal.delivered(self._pair.newest) - behind)
        self._pair.kill_the_sink(start, at_call)

    @precondition(lambda self: len(self._pair.copies) < COPIES)
    @rule()
    def copy(self) -> None:
        counted.step("copy")
        self._pair.copies.append((self._pair.copied(), self._pair.book.copy()))

    @precondition(lambda self: self._pair.copies)
    @rule(number=st.integers(0, COPIES - 1), clone=st.booleans())
    def put_a_copy_back(self, number: int, *, clone: bool) -> None:
        """Go on with the copy; with `clone` the other one lives on too, and goes on when it is put back."""
        counted.step("clone" if clone else "put a copy back")
        path, book = self._pair.copies.pop(number % len(self._pair.copies))
        if clone:
            self._pair.copies.append((self._pair.copied(), self._pair.book))
        self._pair.put_back(path, book)

    @invariant()
    def everything_promised_is_there(self) -> None:
        for log in self._pair.journal.logs():
            present = {entry.sequence: entry.raw for entry in self._pair.journal.records(log.log_id)}
            assert present == self._pair.book.kept(log.log_id)

    @invariant()
    def the_chains_are_whole(self) -> None:
        for log in self._pair.journal.logs():
            raws = [entry.raw for entry in self._pair.journal.records(log.log_id)]
            if raws:
                assert check_chain(raws, KEY) == self._pair.journal.head(log.log_id)
        everything = self._pair.at_the_sink(early=True)
        for log_id, raws in self._pair.at_the_sink().items():
            check_chain(raws, KEY, named(everything[log_id]))

    @invariant()
    def nothing_receipted_is_missing(self) -> None:
        """What was signed for is there, but what gap records name; and what is there stays as it is."""
        there, everything = self._pair.at_the_sink(), self._pair.at_the_sink(early=True)
        for log_id, end in self._pair.receipted.items():
            missing = set(range(end)) - {parsed(raw).header.sequence for raw in there[log_id]}
            known = named(everything[log_id])
            assert all(holes.covers(known, n, n) for n in missing)
        for log in self._pair.journal.logs():
            assert self._pair.journal.delivered(log.log_id) <= self._pair.receipted.get(log.log_id, 0)
        assert all(there[log_id][: len(raws)] == raws for log_id, raws in self._there.items())
        self._there = there

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        there = self._pair.at_the_sink()
        assert all(raw in self._pair.ever for raws in there.values() for raw in raws)
        found = marks(raw for raws in there.values() for raw in raws)
        assert not [mark for mark, times in found.items() if times > 1 and mark not in self._pair.excused]


TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(
    max_examples=max(1, STEPS // MEAN_STEPS),
    stateful_step_count=STEPS_PER_EXAMPLE,
    deadline=None,
    derandomize="PACKSEAL_MODEL_STEPS"
    not in os.environ,  # the small part is the same every time; the long run searches
)

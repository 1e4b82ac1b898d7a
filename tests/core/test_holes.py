"""Holes: which missing records a log accounts for itself, and the chain over them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from packseal.core import chain, holes, record
from packseal.core.bodies import Body, Event, Gap, GapCause
from packseal.core.chain import Head, Pen
from packseal.core.errors import FormatError, VerifyError
from packseal.core.holes import Hole
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.keys.file import FileSigner

SIGNER = FileSigner(Ed25519PrivateKey.generate())
AT = Instant(0, 1_800_000_000_000_000_000, ClockQuality.NTP)
NUMBERS = 40
RANGES = st.lists(st.tuples(st.integers(0, NUMBERS), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1])), max_size=6)


def gap(first: int, last: int, records: int = 1, cause: GapCause = GapCause.DROPPED) -> Gap:
    return Gap(cause, 0, 0, {"first": first, "last": last, "records": records})


def written(bodies: Sequence[Body]) -> list[bytes]:
    pen = Pen(SIGNER, "urn:g", "urn:b", b"L" * 16, bytes(8), Head())
    return [pen.write(body, AT).raw for body in bodies]


def events(count: int) -> list[Body]:
    return [Event(EventCode.BUS_SILENT) for _ in range(count)]


def verified(raws: Sequence[bytes], head: Head | None = None, known: Sequence[Hole] = ()) -> Head:
    return chain.verify_log(raws, lambda _: SIGNER.public, head, known)


@given(RANGES)
def test_merged_holes_hold_the_same_numbers_and_do_not_touch(ranges: list[Hole]) -> None:
    found = holes.merged(ranges)
    assert {n for a, b in found for n in range(a, b + 1)} == {n for a, b in ranges for n in range(a, b + 1)}
    assert all(one[1] + 1 < other[0] for one, other in pairwise(found))


@given(RANGES, st.integers(0, NUMBERS), st.integers(-1, 8))
def test_a_stretch_is_covered_when_each_of_its_numbers_is(ranges: list[Hole], first: int, more: int) -> None:
    numbers = {n for a, b in ranges for n in range(a, b + 1)}
    expected = numbers.issuperset(range(first, first + more + 1))
    assert holes.covers(holes.merged(ranges), first, first + more) is expected


@given(st.data())
def test_a_log_verifies_over_exactly_what_its_gaps_name(data: st.DataObject) -> None:
    named = data.draw(RANGES)
    missing = data.draw(st.sets(st.integers(1, NUMBERS - 2)))  # nothing follows the last one
    raws = written([*events(NUMBERS), *(gap(a, b) for a, b in named)])
    left = [raw for number, raw in enumerate(raws) if number not in missing]
    numbers = {n for a, b in named if b < NUMBERS for n in range(a, b + 1)}
    if missing <= numbers:
        assert verified(left, Head()).next_sequence == len(raws)
    else:
        first = min(n for n in missing if n not in numbers)
        with pytest.raises(VerifyError, match="must follow"):
            verified(left, Head())
        assert verified([*raws[:first], *raws[first:]], Head()).next_sequence == len(raws)


def test_the_gap_may_be_known_from_elsewhere() -> None:
    raws = written(events(6))
    with pytest.raises(VerifyError, match="record 4 stands where 2 must follow"):
        verified([*raws[:2], *raws[4:]])
    assert verified([*raws[:2], *raws[4:]], known=[(2, 3)]).next_sequence == 6


def test_a_changed_record_after_a_hole_is_found_by_the_one_that_follows() -> None:
    raws = written([*events(6), gap(2, 3, 2)])
    other = written([*events(4), Event(EventCode.BUS_OFF)])[4]
    with pytest.raises(VerifyError, match="record 5 does not name the record before it"):
        verified([*raws[:2], other, *raws[5:]])


def test_a_gap_names_nothing_from_itself_on() -> None:
    raws = written([*events(3), gap(1, 3), *events(3)])
    assert [holes.hole_of(record.parse(raw)) for raw in raws] == [None] * 7
    with pytest.raises(VerifyError):
        verified([raws[0], *raws[2:]])


@pytest.mark.parametrize("cause", [GapCause.DAMAGED, GapCause.NO_SAMPLES])
def test_only_what_was_removed_on_purpose_is_a_hole(cause: GapCause) -> None:
    raws = written([*events(3), gap(1, 1, 1, cause)])
    with pytest.raises(VerifyError):
        verified([raws[0], *raws[2:]])


@pytest.mark.parametrize("facts", [{}, {"first": 1, "last": 2}, {"first": 3, "last": 2, "records": 1}])
def test_a_gap_that_does_not_say_which_records_is_refused(facts: dict[str, int]) -> None:
    (raw,) = written([Gap(GapCause.THINNED, 0, 0, facts)])
    with pytest.raises(FormatError):
        record.parse(raw)

"""Every verdict holds in a world that is well, and fails in one that is not."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.hil.scenarios import logs

from packseal.core.bodies import GapCause
from packseal.core.passport import Field
from packseal.keys import file as key_file
from packseal.keys.file import FileSigner
from packseal_hil.scenario import judge
from packseal_hil.scenario.evidence import Evidence
from packseal_hil.scenario.schema import Expect, GapBounds, Scenario, Step, Tolerance

EXPECT = Expect(
    event={"bus_off": (1, 1)},
    gap={"no_samples": GapBounds(times=(1, 1), seconds=(3, 5))},
    lifecycle={"log_begun": (1, 1)},
    field={"state_of_charge": Tolerance(absolute=0.5)},
    figure={"first_receipt_s": (0, 10)},
    said=("recording 1 of 1",),
)


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    return key_file.create(tmp_path / "gateway.key")


@pytest.fixture
def found(signer: FileSigner) -> Evidence:
    made = logs.evidence(signer)
    made.figures["first_receipt_s"] = 4.0
    return made


def failed(expect: Expect, found: Evidence) -> list[str]:
    return [verdict.title for verdict in judge.verdicts(expect, found) if not verdict.held]


def test_a_world_that_is_well_is_found_well(found: Evidence) -> None:
    assert failed(EXPECT, found) == []


def less(found: Evidence, name: str) -> None:
    for log in found.audits:
        setattr(log, name, getattr(log, name) - 1)


SPOILS: dict[str, Callable[[Evidence], object]] = {
    "the journal holds a whole chain": lambda found: setattr(found, "trouble", "record 3: another key's"),
    "the agent has not crashed": lambda found: setattr(found, "said", "recording 1 of 1\nTraceback (most recent"),
    "the sink shows the newest snapshot": lambda found: setattr(
        found, "snapshot", {**(found.snapshot or {}), "sequence": 1}
    ),
    "every record is counted once": lambda found: setattr(found, "counted", found.counted + 1),
    "no other refusal": lambda found: found.refused.update({"bad_signature": 1}),
    "the sink shows 1 log": lambda found: setattr(found, "logs_shown", 2),
    "first_receipt_s: 0 to 10": lambda found: found.figures.update(first_receipt_s=11),
    "the agent says 'recording 1 of 1'": lambda found: setattr(found, "said", ""),
    "state_of_charge is true within 0.5 %": lambda found: setattr(found, "truth", {Field.STATE_OF_CHARGE: 50.6}),
    "state_of_charge is true": lambda found: setattr(found, "truth", {}),
}


@pytest.mark.parametrize("title", SPOILS)
def test_each_verdict_fails_alone(found: Evidence, title: str) -> None:
    SPOILS[title](found)
    assert failed(EXPECT, found) == [title]


@pytest.mark.parametrize("name", ["received", "verified", "receipted"])
def test_one_record_that_is_missing_somewhere_is_missed(found: Evidence, name: str) -> None:
    less(found, name)
    assert failed(EXPECT, found) == ["everything sealed is received, verified and receipted"]


def test_only_the_batterys_logs_count_where_it_says_so(found: Evidence) -> None:
    (audit,) = found.audits
    audit.is_battery = False
    less(found, "received")
    expect = msgspec.structs.replace(EXPECT, delivered="battery")
    assert failed(expect, found) == ["everything sealed is received, verified and receipted of the battery"]
    assert failed(msgspec.structs.replace(EXPECT, delivered="no"), found) == []


def test_what_is_not_named_must_not_be_there(found: Evidence) -> None:
    nothing = Expect()
    assert failed(nothing, found) == ["no other event", "no other gap"]


def test_gaps_are_held_to_their_seconds_and_times(found: Evidence) -> None:
    short = msgspec.structs.replace(EXPECT, gap={"no_samples": GapBounds(times=(2, 3), seconds=(5, 6))})
    assert failed(short, found) == ["gap no_samples: 2 to 3", "seconds of no_samples: 5 to 6"]


def test_a_log_without_its_last_word_did_not_end_in_good_order(signer: FileSigner) -> None:
    cut = logs.evidence(signer, logs.GOOD[:-1])
    assert "the battery's log ends in good order" in failed(Expect(), cut)
    assert "the battery's log ends in good order" not in failed(Expect(orderly=False), cut)


def test_a_refusal_must_be_shown_on_the_page(found: Evidence) -> None:
    found.refused = Counter(fork=2)
    expect = msgspec.structs.replace(EXPECT, refused={"fork": (1, 5)})
    assert failed(expect, found) == ["the sink's page shows fork"]
    found.page = "<td>fork</td>"
    assert failed(expect, found) == []
    perhaps = msgspec.structs.replace(EXPECT, refused={"fork": (1, 5), "rollback": (0, 5)})
    assert failed(perhaps, found) == []
    found.refused["rollback"] = 1
    assert failed(perhaps, found) == ["the sink's page shows rollback"]


def test_no_records_at_all_is_no_success() -> None:
    titles = failed(Expect(), Evidence())
    assert "the journal holds a whole chain" in titles
    assert "everything sealed is received, verified and receipted" in titles
    assert "the battery's log ends in good order" in titles


def test_the_comparison_says_what_the_sink_has_not(found: Evidence) -> None:
    found.truth = {Field.STATE_OF_CHARGE: 50.4, Field.CAPACITY_FADE: 3.0}
    quiet = Scenario(title="", why="", run="commit", expect=EXPECT)
    charge, fade = judge.comparisons(quiet, found)
    assert (charge.field, charge.truth, charge.derived) == ("state_of_charge", 50.4, 50.0)
    assert (fade.field, fade.derived) == ("capacity_fade", None)
    troubled = msgspec.structs.replace(quiet, step=(Step(agent="kill"),))
    assert [c.field for c in judge.comparisons(troubled, found)] == ["state_of_charge"]


def test_gap_seconds_are_those_of_all_gaps_of_a_cause(found: Evidence) -> None:
    assert found.gaps == {GapCause.NO_SAMPLES.name.lower(): (1, 4.0)}

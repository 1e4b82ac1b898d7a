"""Faults as bands: from the step that makes one to the step that mends it."""

from packseal_hil.rig.protocols import BusFault
from packseal_hil.rig.shape import Shape
from packseal_hil.scenario.bands import Bands
from packseal_hil.scenario.schema import ClockStep, Step


def told(*steps: tuple[Step, float]) -> list[tuple[str, float, float]]:
    bands = Bands()
    for step, at_s in steps:
        bands.take(step, at_s, at_s + 0.5)
    return [(band.title, band.from_s, band.to_s) for band in bands.end(100)]


def test_a_fault_lasts_until_it_is_mended() -> None:
    assert told((Step(bus=BusFault.OFF), 1), (Step(network="down"), 2), (Step(bus=BusFault.NONE), 3)) == [
        ("bus: off", 1, 3.5),
        ("network: down", 2, 100),
    ]


def test_a_fault_that_follows_another_of_its_kind_ends_it() -> None:
    assert told((Step(bus=BusFault.WARNING), 1), (Step(bus=BusFault.PASSIVE), 2), (Step(bus=BusFault.NONE), 3)) == [
        ("bus: warning", 1, 2.5),
        ("bus: passive", 2, 3.5),
    ]


def test_what_is_over_at_once_is_as_long_as_it_took() -> None:
    assert told((Step(clock=ClockStep(by_s=-3600)), 1), (Step(clock="synchronise"), 2), (Step(sink="restart"), 3)) == [
        ("clock: -3600 s", 1, 1.5),
        ("clock: synchronise", 2, 2.5),
        ("sink: restart", 3, 3.5),
    ]


def test_each_fault_has_its_words() -> None:
    shaped = Step(network=Shape(loss_pct=30, delay_ms=50))
    titles = [title for title, _, _ in told((shaped, 1), (Step(babble=800), 2), (Step(clock=ClockStep(to_s=0)), 3))]
    assert titles == ["network: 30 % lost, 50 ms late", "bus: 800 foreign frames/s", "clock: set to 0 s"]
    mended = told((shaped, 1), (Step(network=Shape()), 4), (Step(babble=800), 5), (Step(babble=0), 6))
    assert [to_s for _, _, to_s in mended] == [4.5, 6.5]

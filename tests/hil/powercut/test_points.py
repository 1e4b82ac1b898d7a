"""The choice of cuts: every phase gets its share, and its end, whatever it wrote."""

import random
from collections import Counter
from pathlib import Path

from tests.hil.powercut import made_log
from tests.hil.powercut.made_log import FLUSH, SECTOR, Step

from packseal_hil.powercut.cut import Tear
from packseal_hil.powercut.points import choose
from packseal_hil.powercut.trail import Ack, Phase, Trail
from packseal_hil.powercut.write_log import WriteLog

STEPS = [Step(n % 50, b"d" * SECTOR, FLUSH * (n % 3 == 0)) for n in range(300)]
ENDS = [made_log.end_of(STEPS[:n]) for n in (0, 5, 290, 300)]
PHASES = [Phase("short", ENDS[0], ENDS[1]), Phase("long", ENDS[1], ENDS[2]), Phase("last", ENDS[2], ENDS[3])]


def test_phases_share_the_cuts_evenly_however_long_they_are(tmp_path: Path) -> None:
    with WriteLog.read(made_log.write(tmp_path / "log", STEPS)) as log:
        points = choose(log, [*PHASES, Phase("empty", ENDS[3] + 1, ENDS[3] + 1)], 41, random.Random(1))
        assert Counter(point.phase for point in points) == {"short": 14, "long": 14, "last": 14}
        assert points == sorted(points, key=lambda point: point.position)
        for phase in PHASES:
            inside = [point.position for point in points if point.phase == phase.name]
            assert max(inside) == phase.end
            assert min(inside) >= phase.start
            assert set(inside) <= set(log.positions(0, log.end))
        assert {point.tear for point in points} == {Tear.PAGES, Tear.LOST, Tear.WRITES}


def test_a_seed_repeats_the_choice(tmp_path: Path) -> None:
    with WriteLog.read(made_log.write(tmp_path / "log", STEPS)) as log:
        one, same, other = (choose(log, PHASES, 30, random.Random(seed)) for seed in (1, 1, 2))
        assert one == same != other


def test_what_is_promised_grows_with_the_position() -> None:
    one, two = bytes(16), bytes([1]) * 16
    trail = Trail("t", "b", "l", "k", "i", "/d", "j")
    trail.acks = [Ack(10, one, 3, b"c"), Ack(20, two, 0, None), Ack(20, one, 2, None), Ack(30, one, 9, b"z")]
    assert trail.promised(9) == {}
    assert trail.promised(10) == {one: (3, b"c")}
    assert trail.promised(29) == {one: (3, b"c"), two: (0, None)}
    assert trail.promised(30) == {one: (9, b"z"), two: (0, None)}

"""Recorded talk is put together whole, told at its times, and means what cantools reads from the car's own DBC."""

from pathlib import Path
from typing import Any

import cantools.database
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.long_answers import ANSWER, MADE, VALUES, cut

from packseal.core.quantities import Quantity
from packseal.core.sample import Frame, Sample
from packseal_drivers import profile, recordings
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.framing.isotp import Fault, single_frame
from packseal_drivers.offline import Offline

KONA = Path(__file__).parents[2] / "../shared/data/kona_can"
PACK = (
    (Quantity.STATE_OF_CHARGE_PCT, "SoC_Maybe", 1),
    (Quantity.PACK_CURRENT_A, "IBatt", -1),
    (Quantity.PACK_VOLTAGE_V, "VBatt", 1),
)
"""What the car's own DBC calls them; it counts discharging as positive."""

CAR = """
name = "test/car"
title = "A test"
source = "a test"
dbc = "DBC"
[[signal]]
message = "BatteryLimits"
signal = "SoC_Maybe"
quantity = "state_of_charge_pct"
[[signal]]
message = "Batt_HV_Status"
signal = "IBatt"
quantity = "pack_current_a"
factor = -1
[[signal]]
message = "Batt_HV_Status"
signal = "VBatt"
quantity = "pack_voltage_v"
"""


def test_recorded_talk_of_a_scan_tool_is_put_together_whole() -> None:
    """The bus-wide reading of trouble codes of a Kona of 2021: 768 answers of seven control units."""
    offline, samples = replayed("221210-1-2021-dcan-car-scanner-elm327.csv.gz", "hyundai/kona_uds")
    counts = offline.totals.answers
    assert not samples
    assert (counts.whole, counts.broken.total(), counts.refused, counts.other) == (768, 0, 42, 726)
    assert offline.totals.unknown_ids[0x7DF] == 375
    assert 0x7E4 not in offline.totals.unknown_ids
    assert sum(offline.totals.unknown_ids.values()) == offline.totals.link.unknown == 1047
    assert offline.totals.link.unknown + 798 == offline.totals.frames


@pytest.mark.parametrize("log", ["bms-idle-30s.asc", "bms-precharge.asc"])
@pytest.mark.parametrize("own", [True, False], ids=["our profile", "the car's DBC"])
def test_the_pack_on_the_bus_means_what_cantools_reads_from_the_cars_own_dbc(
    log: str, tmp_path: Path, *, own: bool
) -> None:
    name = "hyundai/kona_broadcast" if own else str(tmp_path / "car.toml")
    (tmp_path / "car.toml").write_text(CAR.replace("DBC", str(KONA.resolve() / "pcan.dbc")))
    _, samples = replayed(log, name, 0)
    body = (KONA / "pcan.dbc").read_text("cp1252")
    body = body[body.index("BO_ ") :]  # its head lacks what cantools wants
    database = cantools.database.load_string(f'VERSION ""\nNS_ :\nBS_:\nBU_:\n{body}', "dbc", strict=False)
    assert isinstance(database, cantools.database.can.Database)
    values = [(s.at.mono_ns, c.quantity, v) for s in samples for c, v in s.values.items()]
    theirs = []
    for frame in recordings.read(KONA / log):
        if frame.address in (0x594, 0x595):
            scaled: Any = database.decode_message(frame.address, frame.data, decode_choices=False)
            theirs += [(frame.mono_ns, q, scaled[name] * sign) for q, name, sign in PACK if name in scaled]
    ours = [value for value in values if value[1] in {q for q, _, _ in PACK}]
    assert len(ours) > 100
    assert [o[:2] for o in ours] == [t[:2] for t in theirs]
    assert [o[2] for o in ours] == pytest.approx([t[2] for t in theirs])


def replayed(log: str, name: str, period_s: float = 1.0) -> tuple[Offline, list[Sample]]:
    if not KONA.is_dir():
        pytest.skip(f"{KONA} is not there: put the recorded traffic of the Kona beside the checkout")
    file = profile.load(name)
    offline = Offline(file.profile, compile_decoders(file), period_s)
    return offline, list(offline.samples(recordings.read(KONA / log)))


def test_answers_and_signals_are_told_at_their_times_and_what_is_under_way_at_the_end_is_broken() -> None:
    offline = Offline(VALUES.profile, compile_decoders(VALUES), 0)
    frames = [
        Frame(0x7E4, single_frame(b"\x22\x01\x05"), 0),
        *(Frame(0x7EC, data, 1000 + i) for i, data in enumerate(cut(ANSWER))),
        Frame(0x7EC, single_frame(b"\x7f\x22\x78"), 2000),
        Frame(0x123, b"\x01", 3000),
        Frame(0x2000_0004, bytes(8), 3500),
        *(Frame(0x7EC, data, 4000 + i) for i, data in enumerate(cut(ANSWER)[:3])),
    ]
    (sample,) = offline.samples(frames)
    assert sample.at.mono_ns == 1006
    assert {c.quantity.key: v for c, v in sample.values.items()}["state_of_health_pct"] == 100
    totals = offline.totals
    assert (totals.frames, totals.errors, totals.unknown_ids) == (len(frames), 1, {0x123: 1})
    assert (totals.answers.decoded, totals.answers.refused) == (1, 1)
    assert totals.answers.broken == {Fault.TIMEOUT: 1}


@given(st.lists(st.tuples(st.sampled_from((0x7E4, 0x7EC, 0x7E8, 0x123)), st.binary(max_size=64)), max_size=60))
def test_any_frames_are_survived_and_counted(frames: list[tuple[int, bytes]]) -> None:
    offline = Offline(VALUES.profile, MADE, 0)
    for sample in offline.samples(Frame(address, data, i) for i, (address, data) in enumerate(frames)):
        assert sample.values or sample.flaws
    counts = offline.totals.answers
    assert offline.totals.frames == len(frames)
    assert counts.whole == counts.decoded + counts.refused + counts.other

"""Answers: short ones give what they hold whole, recorded talk is put together, and text of any kind is read."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import cantools.database
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from packseal.core.errors import InputError
from packseal.core.quantities import Quantity
from packseal.core.sample import Flaw, Frame, Sample
from packseal_drivers import profile, recordings
from packseal_drivers.answers import answered
from packseal_drivers.decoding import SHORT, Decoders, compile_decoders
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.isotp import Fault, single_frame
from packseal_drivers.framing.written import payloads
from packseal_drivers.offline import Offline, Totals, sample_of
from packseal_drivers.profile import ProfileFile

RECORDINGS = Path(__file__).parents[1] / "recordings"
KONA = Path(__file__).parents[2] / "../shared/data/kona_can"
ASKING = [name for name in profile.names() if profile.load(name).profile.request]
VALUES = profile.load("hyundai/kona_uds")
ANSWER = bytes.fromhex("620105003FFF90000000000000000014918E012927465000015013BB03E800000000BB0000CBCB01001300000000")
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

TEXT = """
name = "test/pack"
title = "A test"
source = "a test"
[[request]]
name = "all"
protocol = "uds"
to = 0x7E4
answer = 0x7EC
ask = "22 01 01"
"""


@pytest.fixture(scope="module")
def decoders() -> dict[str, tuple[ProfileFile, Decoders]]:
    return {name: (file, compile_decoders(file)) for name in ASKING for file in [profile.load(name)]}


@pytest.mark.parametrize("name", ASKING)
@given(data=st.data())
def test_a_short_answer_gives_just_what_it_holds_whole(
    name: str, decoders: dict[str, tuple[ProfileFile, Decoders]], data: st.DataObject
) -> None:
    file, made = decoders[name]
    number = data.draw(st.integers(0, len(file.profile.request) - 1))
    places = {slot: a for slot, a in enumerate(file.profile.asked()) if a.table == number}
    length = max(a.at + a.line.length for a in places.values())
    whole = data.draw(st.binary(min_size=length, max_size=length))
    cut = data.draw(st.integers(0, length - 1))

    def said(payload: bytes) -> tuple[dict[int, object], int | None]:
        slots: list[object] = [None] * len(made.channels)
        result = made.answers[number](payload, slots, lambda _, flaw: Flaw(flaw))
        return {slot: value for slot, value in enumerate(slots) if value is not None}, result

    everything, result = said(whole)
    assert result is None
    assert everything.keys() == places.keys()
    some, result = said(whole[:cut])
    assert result == SHORT
    assert some == {slot: everything[slot] for slot, a in places.items() if a.at + a.line.length <= cut}
    assert said(whole + b"\xaa\xaa") == (everything, None)


def test_fields_of_any_kind_end_where_they_end(tmp_path: Path) -> None:
    fields = """
[[request.field]]
quantity = "pack_voltage_v"
at = 5
length = 2
order = "little"
bits = 12
[[request.field]]
quantity = "pack_current_a"
at = 3
length = 4
floating = true
order = "little"
[[request.field]]
quantity = "cycles"
at = 7
length = 2
encoding = "bcd"
"""
    path = tmp_path / "pack.toml"
    path.write_text(TEXT + fields)
    decode = compile_decoders(profile.load(str(path))).answers[0]
    whole = bytes.fromhex("620101 00 00 48 41 1234")  # 12.5 as a float; 0x148 = 328 of the same bytes; 1234

    def slots(payload: bytes) -> list[object]:
        made: list[object] = [None] * 3
        decode(payload, made, lambda _, flaw: Flaw(flaw))
        return made

    assert slots(whole) == [328, 12.5, 1234]
    assert slots(whole[:8]) == [328, 12.5, None]
    assert slots(whole[:6]) == [None, None, None]


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


@pytest.mark.parametrize("name", ASKING)
@settings(max_examples=30)
@given(seed=st.integers(0, 1 << 32))
def test_spoilt_recordings_never_give_a_value_beyond_the_profiles_limits(
    name: str, decoders: dict[str, tuple[ProfileFile, Decoders]], seed: int
) -> None:
    file, made = decoders[name]
    recorded = list(recordings.read(RECORDINGS / name.replace("/", "_") / "frames.log"))
    limits = {a.channel: (a.line.minimum, a.line.maximum) for a in file.profile.asked()}
    offline = Offline(file.profile, made, 0)
    spoilt = list(spoil(recorded, Random(seed)))
    for sample in offline.samples(spoilt):
        for channel, value in sample.values.items():
            low, high = limits[channel]
            assert (-math.inf if low is None else low) <= value <= (math.inf if high is None else high)
        assert not sample.values.keys() & sample.flaws.keys()
    assert offline.totals.frames == len(spoilt)


def spoil(frames: list[Frame], chance: Random) -> Iterator[Frame]:
    """Yield frames of which some are lost, doubled, cut, longer, or have other bits; times stay in order."""
    for frame in frames:
        data, kind = bytearray(frame.data), chance.randrange(30)
        if kind == 0:
            continue
        if kind == 1 and data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if kind == 2:
            del data[chance.randrange(len(data) + 1) :]
        if kind == 3:
            data += chance.randbytes(chance.randrange(56))
        made = frame._replace(data=bytes(data))
        yield made
        if kind == 4:
            yield made


MADE = compile_decoders(VALUES)


def cut(payload: bytes) -> list[bytes]:
    """Return the frames of a long payload, as ISO 15765-2 has them, padded as Hyundai does."""
    frames = [bytes((0x10 | len(payload) >> 8, len(payload) & 0xFF)) + payload[:6]]
    for number, start in enumerate(range(6, len(payload), 7), 1):
        frames.append(bytes((0x20 | number % 16,)) + payload[start : start + 7].ljust(7, b"\xaa"))
    return frames


def elm(payload: bytes) -> str:
    """Return what an ELM327 prints of a long answer without headers."""
    parts = [frame[2:] if i == 0 else frame[1:] for i, frame in enumerate(cut(payload))]
    lines = [f"{i % 16:X}: {part.hex(' ').upper()}" for i, part in enumerate(parts)]
    return "\r".join([f"{len(payload):03X}", *lines, ">"])


WAYS: dict[str, Callable[[bytes], str]] = {
    "payload": lambda p: p.hex(),
    "payload with spaces": lambda p: p.hex(" "),
    "frames, a word each": lambda p: " ".join(f.hex() for f in cut(p)),
    "frames with commas": lambda p: ",".join(f.hex() for f in cut(p)),
    "bytes of frames": lambda p: b"".join(cut(p)).hex(" "),
    "lines with ids": lambda p: "\n".join(f"7EC{f.hex()}" for f in cut(p)),
    "lines with ids and spaces": lambda p: "\r\n".join(f"7EC {f.hex(' ')}" for f in cut(p)) + "\r\n>",
    "one line with ids": lambda p: " ".join(f"7EC {f.hex(' ')}" for f in cut(p)),
    "long ids": lambda p: "\n".join(f"18DAF1DB{f.hex()}" for f in cut(p)),
    "long ids and spaces": lambda p: "\n".join(f"18 DA F1 DB {f.hex(' ')}" for f in cut(p)),
    "candump": lambda p: "\n".join(f"7EC#{f.hex().upper()}" for f in cut(p)),
    "ELM327": elm,
    "while searching": lambda p: f"SEARCHING...\r{elm(p)}",
}


@pytest.mark.parametrize("way", WAYS)
@given(payload=st.binary(min_size=8, max_size=300).map(lambda b: b"\x62" + b))
def test_an_answer_is_read_however_it_is_written(way: str, payload: bytes) -> None:
    assert payloads(WAYS[way](payload), {0x18DA_F1DB}) == [payload]


def test_two_control_units_and_two_answers_are_kept_apart() -> None:
    mixed = [line for a, b in zip(cut(ANSWER), cut(ANSWER), strict=True) for line in (f"7EC{a.hex()}", f"7ED{b.hex()}")]
    assert payloads("\n".join(mixed)) == [ANSWER, ANSWER]
    assert payloads("41 5B CC, 03 41 5B 80") == [b"\x41\x5b\xcc", b"\x41\x5b\x80"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no answer in it"),
        ("NO DATA", "what an adapter says"),
        ("62 01 0", "half a byte"),
        ("hello", "not hexadecimal"),
        ("10 2E 62 01 05 00 3F FF", "breaks off"),
        ("102E620105003FFF 2290000000000000", "does not fit (sequence)"),
        ("02E\r0: 62 01 05 00 3F FF", "6 of 46 bytes"),
        ("0: 62 01 05 00 3F FF\r2: 90 00 00 00 00 00 00", "line 1: of the answer"),
    ],
)
def test_what_is_no_answer_is_told(text: str, said: str) -> None:
    with pytest.raises(InputError) as told:
        payloads(text)
    assert said in str(told.value)


@given(st.text(alphabet=st.sampled_from("0123456789ABCDEFabcdef #:,>\r\nNOXzé"), max_size=200))
@example("0:")
@example("18DAF1DB")
@example("18 DA F1 DB")
def test_any_text_gives_payloads_or_one_clear_error(text: str) -> None:
    try:
        found = payloads(text, {0x18DA_F1DB})
    except InputError:
        return
    assert found
    assert all(found)


def test_answers_are_found_by_how_they_begin() -> None:
    assert [r.name for _, r in answered(VALUES.profile, ANSWER)] == ["health"]
    assert answered(VALUES.profile, b"\x62\x01") == []
    totals = Totals()
    sample = sample_of(VALUES.profile, MADE, [ANSWER, ANSWER[:20]], totals)
    assert sample is not None
    assert (totals.answers.whole, totals.link.short) == (2, 1)
    assert sample_of(VALUES.profile, MADE, [ANSWER[:20]], Totals()) is None
    assert sorted(MADE.answers) == list(range(len(VALUES.profile.request)))
    assert min(MADE.table, default=0) < ANSWERS

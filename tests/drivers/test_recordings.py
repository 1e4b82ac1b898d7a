"""Recordings: each folder of tests/recordings replayed through its profile gives what was worked out by hand.

A folder is named VENDOR_MODEL like the profile's page. Its `frames.log` is a candump log; its `expected.toml` says what
must be known after all frames up to `t_s`. Every distinct time makes one sample (a period of 0), whatever the profile's
period; a later word on a channel, a flaw as well, takes the place of an earlier one. Where the profile asks, the log
holds the ISO-TP frames of questions and answers.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cantools.database
import pytest
from cantools.database.errors import DecodeError
from tests.drivers.clocks import instant

from packseal.core.quantities import BY_KEY, Channel
from packseal.core.sample import NS_PER_S, Flaw, Frame, Sample
from packseal_drivers import profile
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.decoding.layout import EXTENDED
from packseal_drivers.lines import Conversion, RequestField
from packseal_drivers.offline import Offline
from packseal_drivers.profile import Mapped, Profile, ProfileFile

RECORDINGS = Path(__file__).parents[1] / "recordings"
FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/frames.log"))
PROFILES = {name.replace("/", "_"): name for name in profile.names()}
OWN = {"packseal/reference96", "bmw/i3_replay"}  # their frames are made up by the project itself, so none are recorded
CANDUMP = re.compile(r"\((\d+)\.(\d{6})\) \w+ ([0-9A-F]{3}|[0-9A-F]{8})#((?:[0-9A-F]{2}){0,8})")
CHANNEL = re.compile(r"([a-z_]+)(?:\[(\d+)])?")
FAR_NS = 1 << 60

Words = dict[Channel, float | Flaw]


@dataclass(frozen=True)
class Case:
    """One folder, with its profile in both understandings: ours and cantools'."""

    file: ProfileFile
    frames: list[Frame]
    samples: list[Sample]
    expected: list[Mapping[str, Any]]
    messages: Mapping[int, Any]

    def known(self, t_s: float) -> Words:
        words: Words = {}
        for sample in self.samples:
            if sample.at.mono_ns <= round(t_s * NS_PER_S):
                words |= {**sample.values, **sample.flaws}
        return words

    def met(self) -> Iterator[tuple[Channel, float | Flaw]]:
        for sample in self.samples:
            yield from sample.values.items()
            yield from sample.flaws.items()


def frames(text: str) -> list[Frame]:
    """Read a candump log; times count from its first frame."""
    found: list[Frame] = []
    start_ns: int | None = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = CANDUMP.fullmatch(line)
        assert match, f"{line!r} is not a line of candump"
        seconds, micros, address, data = match.groups()
        time_ns = int(seconds) * NS_PER_S + int(micros) * 1000
        start_ns = time_ns if start_ns is None else start_ns
        number = int(address, 16) | (EXTENDED if len(address) == 8 else 0)
        found.append(Frame(number, bytes.fromhex(data), time_ns - start_ns))
    return found


def replayed(file: ProfileFile, decoders: Decoders, recorded: list[Frame]) -> list[Sample]:
    return list(Offline(file.profile, decoders, 0).samples(recorded))


def case_of(folder: Path) -> Case:
    file = profile.load(PROFILES[folder.name])
    recorded = frames((folder / "frames.log").read_text())
    messages: dict[int, Any] = {}
    if file.profile.dbc is not None:
        database = cantools.database.load_string(file.dbc.decode("cp1252"), "dbc")
        assert isinstance(database, cantools.database.can.Database)
        messages = {m.frame_id | (EXTENDED if m.is_extended_frame else 0): m for m in database.messages}
    expected = tomllib.loads((folder / "expected.toml").read_text())
    assert expected["source"]
    return Case(file, recorded, replayed(file, compile_decoders(file), recorded), expected["sample"], messages)


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


def test_every_foreign_profile_has_a_recording_and_every_recording_a_profile() -> None:
    assert {f.name for f in FOLDERS} <= PROFILES.keys()
    on_a_bus = {name for name in PROFILES.values() if is_on_a_bus(profile.load(name).profile)}
    assert {PROFILES[f.name] for f in FOLDERS} | OWN == on_a_bus


def is_on_a_bus(of: Profile) -> bool:
    return bool(of.signal or of.request or of.pgn)


def test_what_comes_out_is_what_was_worked_out_by_hand(case: Case) -> None:
    told: set[str] = set()
    for sample in case.expected:
        known = case.known(sample["t_s"])
        for key, value in sample.get("values", {}).items():
            word = known.get(channel(key))
            assert isinstance(word, float), f"{key} at {sample['t_s']} s is {word!r}, not {value}"
            assert math.isclose(word, value, rel_tol=1e-9), f"{key} at {sample['t_s']} s is {word!r}, not {value}"
            told.add(channel(key).quantity.key)
        for key, flaw in sample.get("flaws", {}).items():
            assert known.get(channel(key)) is Flaw[flaw.upper()], f"{key} at {sample['t_s']} s is not {flaw}"
            told.add(channel(key).quantity.key)
        for key in sample.get("absent", []):
            assert channel(key) not in known
    assert told == {q.key for q in case.file.profile.delivers}, "a quantity of the profile is nowhere expected"


def test_every_line_of_the_profile_is_met_and_where_it_can_be_negative_with_both_signs(case: Case) -> None:
    values = [(c, v) for c, v in case.met() if not isinstance(v, Flaw)]
    for name, (channels, negative) in lines_of(case).items():
        met = [v for c, v in values if c in channels]
        assert any(v > 0 for v in met), f"{name} is nowhere above 0"
        assert not negative or any(v < 0 for v in met), f"{name} is nowhere below 0"


def lines_of(case: Case) -> dict[str, tuple[set[Channel], bool]]:
    """Return what each line gives and whether it can be negative. Answers' lines that differ by place alone are one."""
    lines: dict[str, tuple[set[Channel], bool]] = {}
    for mapped in case.file.profile.mapped():
        name = f"{mapped.line.quantity} of table {mapped.table}"
        lines.setdefault(name, (set(), can_be_negative(case, mapped)))[0].add(mapped.channel)
    for asked in case.file.profile.asked():
        line = asked.line
        name = f"{line.quantity} * {line.factor} + {line.offset}"
        lines.setdefault(name, (set(), asked_can_be_negative(line)))[0].add(asked.channel)
    return lines


def asked_can_be_negative(line: RequestField) -> bool:
    half = 1 << (line.width - 1)
    raws = (-half, half - 1) if line.signed else (0, 2 * half - 1)
    return min(raw * line.factor + line.offset for raw in raws) < 0 and (line.minimum is None or line.minimum < 0)


def can_be_negative(case: Case, mapped: Mapped) -> bool:
    signal = signal_of(case, mapped)
    half = 1 << (signal.length - 1)
    if signal.is_float:
        ends = [-math.inf, math.inf]
    else:
        raws = (-half, half - 1) if signal.is_signed else (0, 2 * half - 1)
        ends = [float(signal.raw_to_scaled(raw, decode_choices=False)) for raw in raws]
    low = min(end * mapped.line.factor + mapped.line.offset for end in ends)
    return low < 0 and (mapped.line.minimum is None or mapped.line.minimum < 0)


def signal_of(case: Case, mapped: Mapped) -> Any:
    message = next(m for m in case.messages.values() if m.name == mapped.message)
    return message.get_signal_by_name(mapped.signal)


def test_what_the_bms_does_not_know_and_what_is_out_of_range_is_met(case: Case) -> None:
    lines: list[Conversion] = [*case.file.profile.signal, *(a.line for a in case.file.profile.asked())]
    flaws = {word for _, word in case.met() if isinstance(word, Flaw)}
    if any(line.not_available for line in lines):
        assert Flaw.NOT_AVAILABLE in flaws
    if any(line.minimum is not None or line.maximum is not None for line in lines):
        assert Flaw.OUT_OF_RANGE in flaws


def test_every_frame_means_what_cantools_says(case: Case) -> None:
    if case.file.profile.dbc is None:
        return  # answers are no matter of cantools; what they mean was worked out by hand
    decoders = compile_decoders(case.file)
    compared = 0
    for frame in case.frames:
        message = case.messages.get(frame.address)
        if message is None or frame.address not in decoders.table or len(frame.data) < message.length:
            continue
        (sample,) = replayed(case.file, decoders, [frame]) or [Sample(instant(0), {})]
        words: Words = {**sample.values, **sample.flaws}
        try:
            scaled = message.decode(frame.data, decode_choices=False, allow_excess=True)
        except DecodeError:  # a multiplexer that the DBC does not know
            assert not words
            continue
        raw = message.decode(frame.data, decode_choices=False, scaling=False, allow_excess=True)
        mine = [m for m in case.file.profile.mapped() if m.message == message.name and m.signal in scaled]
        assert {m.channel for m in mine} == words.keys()
        for mapped in mine:
            word, value = words[mapped.channel], scaled[mapped.signal]
            if is_placeholder(case, mapped, value):
                assert word is Flaw.PLACEHOLDER
            else:
                check(mapped, word, value, raw[mapped.signal], signal_of(case, mapped))
            compared += 1
    assert compared


def is_placeholder(case: Case, mapped: Mapped, scaled: float) -> bool:
    value = scaled * mapped.line.factor + mapped.line.offset
    constants = [p.equals for p in case.file.profile.placeholder if p.quantity == mapped.line.quantity]
    return any(math.isclose(value, constant, rel_tol=1e-9) for constant in constants)


def check(mapped: Mapped, word: float | Flaw, scaled: float, raw: float, signal: Any) -> None:
    line = mapped.line
    value = scaled * line.factor + line.offset
    low = -math.inf if line.minimum is None else line.minimum
    high = math.inf if line.maximum is None else line.maximum
    patterns = {pattern % 2**signal.length for pattern in line.not_available}
    if isinstance(raw, int) and raw % 2**signal.length in patterns:
        assert word is Flaw.NOT_AVAILABLE
    elif math.isnan(value):
        assert word is Flaw.NOT_A_NUMBER
    elif not low <= value <= high or math.isinf(value):
        assert word is Flaw.OUT_OF_RANGE
    else:
        assert not isinstance(word, Flaw)
        assert math.isclose(word, value, rel_tol=1e-9, abs_tol=1e-12)


def channel(key: str) -> Channel:
    match = CHANNEL.fullmatch(key)
    assert match, f"{key!r} names no channel"
    return Channel(BY_KEY[match[1]], int(match[2] or 0))

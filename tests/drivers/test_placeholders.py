"""Placeholders: what a firmware is known to fake is never a value, from the wire to the passport's reading."""

import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.clocks import instant
from tests.drivers.test_recordings import FAR_NS, RECORDINGS, frames

from packseal.core.declared import Declared
from packseal.core.errors import ConfigError
from packseal.core.meter import Meter
from packseal.core.passport import Field, Missing, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Flaw, Frame, LinkCounts, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.placeholders import bands, is_affected
from packseal_drivers.profile import Placeholder, ProfileFile
from packseal_drivers.sampler import Sampler
from packseal_drivers.version import parse_version

SOH = Channel(Quantity.STATE_OF_HEALTH_PCT)
FOXBMS, VESC = "foxbms/foxbms2", "vesc/bms"
DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 1 M: 4 A
 SG_ S : 0|16@1+ (0.5,0) [0|0] "" A
 SG_ X : 16|16@1+ (1,0) [0|0] "" A
"""
TOML = """name = "a/b"
title = "t"
source = "a test"
dbc = "a.dbc"
[[signal]]
message = "M"
signal = "S"
quantity = "state_of_health_pct"
{more}
[[placeholder]]
quantity = "state_of_health_pct"
equals = {equals}
until = "2.0"
firmware = "F"
source = "a test"
"""


def own(directory: Path, equals: float = 99.8, more: str = "") -> ProfileFile:
    (directory / "a.dbc").write_text(DBC)
    (directory / "a.toml").write_text(TOML.format(equals=equals, more=more))
    return profile.load("a.toml", directory)


def said(
    file: ProfileFile, recorded: Sequence[Frame], firmware: str | None = None, period_s: float = 0
) -> list[Sample]:
    sampler = Sampler(compile_decoders(file, None, firmware), period_s, LinkCounts())
    return [*sampler.feed(recorded, instant), *sampler.finish(FAR_NS, instant)]


def health(samples: Sequence[Sample]) -> list[float | Flaw]:
    return [{**s.values, **s.flaws}[SOH] for s in samples if SOH in s.values or SOH in s.flaws]


def recorded(name: str) -> list[Frame]:
    return frames((RECORDINGS / name.replace("/", "_") / "frames.log").read_text())


def reading(samples: Sequence[Sample], name: str) -> Reading:
    meter = Meter(Declared(), profile.load(name).profile.delivers)
    for sample in samples:
        meter.feed(sample)
    return next(r for r in meter.snapshot().readings if r.field is Field.STATE_OF_HEALTH_BMS)


@pytest.mark.parametrize(
    ("name", "firmware", "faked"),
    [
        (FOXBMS, None, True),
        (FOXBMS, "1.9", True),
        (FOXBMS, "v1.11.0", True),
        (FOXBMS, "1.11.0-vendor", True),
        (FOXBMS, "1.11.1", False),
        (FOXBMS, "1.12.0", False),
        (FOXBMS, "2", False),
        (FOXBMS, "mine", True),
        (VESC, None, True),
        (VESC, "99.0", True),
    ],
)
def test_a_faked_state_of_health_is_withheld_up_to_the_last_version_that_fakes(
    name: str, firmware: str | None, *, faked: bool
) -> None:
    samples = said(profile.load(name), recorded(name), firmware)
    first = next(s for s in samples if SOH in s.values or SOH in s.flaws)
    told = reading(samples[: samples.index(first) + 1], name)
    if faked:
        assert first.flaws[SOH] is Flaw.PLACEHOLDER
        assert (told.value, told.missing) == (None, Missing.PLACEHOLDER)
    else:
        assert first.values[SOH] == 100
        assert (told.value, told.missing) == (100, None)


@pytest.mark.parametrize("name", [FOXBMS, VESC])
def test_what_is_no_constant_is_still_a_value(name: str) -> None:
    assert [w for w in health(said(profile.load(name), recorded(name))) if not isinstance(w, Flaw)]


def test_what_the_resolution_makes_of_the_constant_is_the_constant(tmp_path: Path) -> None:
    file = own(tmp_path)  # 99.8 % in steps of 0.5 % can be 100.0 %, and nothing else
    raws = [198, 199, 200, 201]
    samples = said(file, [Frame(1, struct.pack("<HH", raw, 0), i * 10**9) for i, raw in enumerate(raws)])
    assert health(samples) == [99.0, 99.5, Flaw.PLACEHOLDER, 100.5]


@given(st.floats(0, 1000), st.sampled_from([0.001, 0.1, 0.5, 100 / 255]))
def test_no_rounding_to_the_nearest_step_hides_a_constant(equals: float, step: float) -> None:
    placeholder = Placeholder(quantity="state_of_health_pct", equals=equals, firmware="F", source="a test")
    known = msgspec.structs.replace(profile.load(FOXBMS).profile, placeholder=(placeholder,))
    slot = known.channels.index(SOH)
    ((low, high),) = bands(known, {slot: step}, None)[slot]
    assert low <= round(equals / step) * step <= high
    assert high - low <= step + 1e-3


def test_a_mean_is_made_of_measured_values_alone(tmp_path: Path) -> None:
    file = own(tmp_path, 100, 'reduce = "mean"')
    mixed = [Frame(1, struct.pack("<HH", raw, 0), i) for i, raw in enumerate([200, 180, 200, 184])]
    assert health(said(file, mixed, None, 1)) == [91.0]
    assert health(said(file, mixed[::2], None, 1)) == [Flaw.PLACEHOLDER]
    assert health(said(file, mixed, "2.0.1", 1)) == [95.5]


def test_a_placeholder_is_told_of_once_and_other_flaws_go_on(tmp_path: Path) -> None:
    file = own(tmp_path, 100, "maximum = 110")
    day_ns = 24 * 3600 * 10**9
    raws = [200, 200, 65535, 65535, 200]
    samples = said(file, [Frame(1, struct.pack("<HH", raw, 0), i * day_ns) for i, raw in enumerate(raws)])
    notices = [said for said in FlawWatch(LinkCounts()).feed(samples) if isinstance(said, Notice)]
    codes = [n.code for n in notices]
    assert codes == [EventCode.PLACEHOLDER_SEEN, EventCode.VALUES_FLAWED, EventCode.VALUES_FLAWED]
    assert notices[0].attributes == {"quantity": "state_of_health_pct", "flaw": "placeholder", "channels": 1}


def test_the_order_of_versions_is_that_of_their_numbers() -> None:
    rising = ["1", "1.0.1", "1.2", "1.10", "v1.11.0", "1.11.1 special", "2.0-beta", "10"]
    versions = [parse_version(text) or () for text in rising]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)
    assert parse_version("1.12") == parse_version("1.12.0") == parse_version(" V1.12.0+build".lower())


@given(st.text())
def test_whatever_is_no_version_counts_as_affected(text: str) -> None:
    placeholder = Placeholder(quantity="cycles", equals=1, firmware="F", until="1.0", source="a test")
    version = parse_version(text)
    assert is_affected(placeholder, text) is (version is None or version <= (1,))


def test_until_must_be_a_version(tmp_path: Path) -> None:
    (tmp_path / "a.dbc").write_text(DBC)
    (tmp_path / "a.toml").write_text(TOML.format(equals=1, more="").replace("2.0", "soon"))
    with pytest.raises(ConfigError, match=r"until must be a version such as 1\.11\.0"):
        profile.load("a.toml", tmp_path)

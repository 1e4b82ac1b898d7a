"""A wrong configuration names file, line, key and what is allowed."""

import re
from pathlib import Path

import pytest

from packseal import config
from packseal.config_uplink import Https, Mqtt
from packseal.core.errors import ConfigError
from packseal.uplink.route import Proxy, Route
from packseal.uplink.terms import Order
from packseal_drivers.settings import SocketCan, Stream

GOOD = """\
[gateway]
id = "urn:example:gateway:1"
journal = "data/journal.db"

[uplink]
kind = "mqtt"
sink_key = "sink.pub"
host = "broker.example"
[uplink.tls]
authorities = "ca.pem"

[[battery]]
id = "urn:example:battery:1"
profile = "packseal/reference96"
firmware = "1.12.0"
[battery.link]
kind = "socketcan"
channel = "can0"
[battery.declared]
rated_capacity_ah = 60

[[battery]]
id = "urn:example:battery:2"
profile = "own.toml"
[battery.link]
kind = "stream"
path = "bus.sock"
"""


def load(directory: Path, text: str) -> config.Config:
    path = directory / "packseal.toml"
    path.write_text(text)
    return config.load(path)


def test_a_whole_file_is_read_with_paths_relative_to_it(tmp_path: Path) -> None:
    made = load(tmp_path, GOOD)
    assert made.journal == tmp_path / "data/journal.db"
    assert made.key == tmp_path / "gateway.key"
    assert made.sink_key == tmp_path / "sink.pub"
    first, second = made.file.battery
    assert first.link == SocketCan("can0")
    assert second.link == Stream("bus.sock")
    assert first.declared.rated_capacity_ah == 60
    assert (first.firmware, second.firmware) == ("1.12.0", None)
    assert isinstance(made.file.uplink, Mqtt)
    tls = made.tls(made.file.uplink.tls)
    assert tls is not None
    assert tls.authorities == tmp_path / "ca.pem"


def test_an_uplink_has_a_route(tmp_path: Path) -> None:
    route = 'proxy = "http://me@proxy.example:3128"\nproxy_password_file = "proxy.password"\ninterface = "wwan0"\n'
    (uplink,) = load(tmp_path, GOOD.replace('host = "', f'{route}keepalive = 30\nhost = "')).uplinks
    made = Route(Proxy("http", "proxy.example", 3128, "me", tmp_path / "proxy.password"), "wwan0", 30)
    assert uplink.route(tmp_path) == made


def test_https_is_told_by_its_kind(tmp_path: Path) -> None:
    text = GOOD.replace('"mqtt"', '"https"').replace('host = "broker.example"', 'url = "https://sink.example"')
    assert isinstance(load(tmp_path, text).file.uplink, Https)


SECOND = """\
[[uplink]]
kind = "https"
name = "lte"
sink_key = "sink.pub"
url = "https://sink.example"
carries = "everything"
order = "newest_first"
everything_below_mb = 10
bytes_per_s = 20000
mb_per_day = 20.5
"""


def two_uplinks(second: str) -> str:
    text = GOOD.replace("[uplink]", "[[uplink]]")
    return text.replace("[[battery]]", f"{second}[[battery]]", 1)


def test_several_uplinks_stand_in_order_of_preference(tmp_path: Path) -> None:
    first, second = load(tmp_path, two_uplinks(SECOND)).uplinks
    assert (first.title, second.title) == ("mqtt broker.example:8883", "lte")
    assert first.tls is not None
    assert (second.order, second.everything_below_mb, second.mb_per_day) == (Order.NEWEST_FIRST, 10, 20.5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sink.pub", "other.pub", "every uplink must lead to the same sink, with the same sink_key"),
        ('name = "lte"', 'name = "mqtt broker.example:8883"', "two uplinks are called mqtt broker.example:8883"),
        ("mb_per_day = 20.5", "mb_per_day = 0", "mb_per_day must be at least 0.1"),
        ('"newest_first"', '"random"', "Invalid enum value 'random'"),
        ('"everything"', '"snapshots"', "everything_below_mb belongs to"),
    ],
)
def test_what_is_wrong_with_several_uplinks_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(tmp_path, two_uplinks(SECOND.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('journal = "data', 'jornal = "data', ["line 3", "jornal", "allowed are id, key, journal"]),
        ('host = "broker.example"', "host = 7", ["line 8", "uplink.host", "Expected `str`"]),
        ('host = "broker.example"', 'host = "b"\nproxy = "p.example"', ["line 5", "uplink", "must look like http://"]),
        ('host = "broker.example"', 'host = "b"\nproxy_password_file = "p"', ["uplink", "needs proxy"]),
        ('host = "broker.example"', 'host = "b"\ninterface = "a-name-far-too-long"', ["interface", "15 characters"]),
        ('host = "broker.example"', 'host = "b"\nkeepalive = 4', ["uplink", "from 5 to 1200 seconds"]),
        ('kind = "mqtt"', 'kind = "smoke"', ["line 6", "uplink.kind", "allowed are mqtt, https"]),
        ('kind = "socketcan"', 'kind = "canbus"', ["line 17", "battery[0].link.kind", "socketcan", "stream"]),
        ('channel = "can0"', 'chanel = "can0"', ["line 18", "chanel", "allowed are channel"]),
        ("rated_capacity_ah = 60", "rated_capacity_ah = -1", ["line 19", "declared", "above zero"]),
        ("rated_capacity_ah = 60", 'rated_capacity_ah = "60 Ah"', ["line 20", "rated_capacity_ah", "Expected `float"]),
        ('id = "urn:example:battery:2"', "", ["line 22", "battery[1]", "missing required field `id`"]),
        ('firmware = "1.12.0"', 'firmware = "new"', ["line 12", "battery[0]", "a version such as 1.12.0, not 'new'"]),
        ("urn:example:battery:2", "urn:example:battery:1", ["used twice"]),
        ("urn:example:battery:1", "my battery", ["line 12", "must be a URI"]),
        ("urn:example:battery:1", "urn:" + "a" * 252, ["line 12", "at most 255 characters", "has 256"]),
        ("[gateway]", "[gateway]\nwindow_s = 0.5", ["line 1", "window_s must be 0 or from 1 to 600"]),
        ("[gateway]", "[gateway", ["not TOML", "line 1"]),
        ('profile = "own.toml"', "profile = true", ["line 24", "battery[1].profile"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    text = str(caught.value)
    assert "packseal.toml" in text
    assert [part for part in said if part not in text] == [], text
    assert "\n" not in text


def test_a_file_that_is_not_text_or_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packseal.toml").write_bytes(b"[gateway]\nid = '\xff'\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        config.load(tmp_path / "packseal.toml")
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "other.toml")
    monkeypatch.chdir(tmp_path)
    assert isinstance(config.DEFAULT_PATHS[0], Path)
    (tmp_path / "packseal.toml").unlink()
    with pytest.raises(ConfigError, match="packseal init"):
        config.load()


def test_a_battery_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing required field `battery`"):
        load(tmp_path, GOOD.split("[[battery]]", maxsplit=1)[0])


def test_what_makes_a_gap_can_be_set_for_a_battery(tmp_path: Path) -> None:
    made = load(tmp_path, GOOD.replace('profile = "own.toml"', 'profile = "own.toml"\ngap_s = 90'))
    assert [battery.gap_s for battery in made.file.battery] == [None, 90]


def test_how_long_the_journal_keeps_has_defaults_and_limits(tmp_path: Path) -> None:
    keep = load(tmp_path, GOOD).file.keep
    assert (keep.delivered_days, keep.journal_mb, keep.free_disk_mb) == (30, 4000, 500)
    assert load(tmp_path, f"{GOOD}\n[keep]\njournal_mb = 100\n").file.keep.journal_mb == 100
    for wrong, why in (
        ("delivered_days = -1", "delivered_days must be from 0"),
        ("journal_mb = 0", "journal_mb must be from 0.1"),
        ("thin_60s_after_days = 10", "thin_60s_after_days must not be less"),
        ("days = 1", "days"),
    ):
        with pytest.raises(ConfigError, match=why):
            load(tmp_path, f"{GOOD}\n[keep]\n{wrong}\n")

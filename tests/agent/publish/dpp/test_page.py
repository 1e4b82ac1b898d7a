"""docs/dpp-backend.md: its configuration, keys and thresholds are those there are; and what packseal dpp says."""

import re
from pathlib import Path

import pytest
from tests.agent.publish.dpp.passport_server import PassportServer
from tests.agent.publish.dpp.source import MadeUpSource
from tests.agent.publish.dpp.station import go, once, opened

from packseal import config
from packseal.cli import main
from packseal.config_dpp import Dpp
from packseal.core.errors import ConfigError
from packseal.core.update_policy import THRESHOLDS
from packseal.publish.dpp.publisher import DppPublisher

PAGE = (Path(__file__).parents[4] / "docs" / "dpp-backend.md").read_text("utf-8")
REST = """
[gateway]
id = "urn:example:gateway:1"
[[battery]]
id = "urn:example:battery:1"
profile = "packseal/reference96"
[battery.link]
kind = "stream"
path = "b"
"""


def loaded(folder: Path, text: str) -> config.Config:
    (folder / "packseal.toml").write_text(REST + text)
    return config.load(folder / "packseal.toml")


def test_the_configuration_can_be_copied(tmp_path: Path) -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    [settings] = loaded(tmp_path, block).file.publish
    assert isinstance(settings, Dpp)
    assert settings.auth is not None
    assert settings.battery[0].passport == "https://example.org/dpp/1"


def test_every_key_is_in_the_table() -> None:
    table = PAGE.partition("| key | default |")[2].partition("\n\n")[0]
    described = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table, re.MULTILINE))))
    assert described == set(Dpp.__struct_fields__)


def test_the_numbers_of_the_thresholds_are_those_of_the_table() -> None:
    table = PAGE.partition("| field | default threshold |")[2].partition("\n\n")[0]
    said = {float(number) for number in re.findall(r"\| (\d+(?:\.\d+)?)(?= |\b)", table)}
    used = {100 * t.relative if t.relative else t.absolute for t in THRESHOLDS.values()}
    assert said == used - {0.0}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('dialect = "xml"', "dialect must be"),
        ('write = "value"', "write must be"),
        ("pace_s = 0", "pace_s must be"),
        ("longest_h = 48", "longest_h must be"),
        ('sections = { other = "x" }', "sections may name"),
        ("thresholds = { state_of_charge = -1 }", "thresholds: state_of_charge"),
        ("thresholds = { charge = 1 }", "thresholds: charge"),
        ('battery = [{ id = "urn:a:1" }, { id = "urn:a:1" }]', "two"),
        ('auth = { kind = "token", file = "t", header = "a b" }', "header must be"),
        ("secret = 1", "secret"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(tmp_path: Path, line: str, why: str) -> None:
    dialect = "" if line.startswith("dialect") else 'dialect = "en18222"'
    with pytest.raises(ConfigError, match=why) as told:
        loaded(tmp_path, f'[[publish]]\nkind = "dpp"\nurl = "https://x.example"\n{dialect}\n{line}\n')
    assert "packseal.toml, line" in str(told.value)


def test_a_battery_that_is_none_is_told(tmp_path: Path, server: PassportServer) -> None:
    text = f'[[publish]]\nkind = "dpp"\ndialect = "aas"\nurl = "{server.url}"\nbattery = [{{ id = "urn:other" }}]'
    [table] = loaded(tmp_path, text).file.publish
    assert isinstance(table, Dpp)
    with pytest.raises(ConfigError, match=r"names urn:other, which is no \[\[battery\]\]"):
        opened(tmp_path, table, MadeUpSource())


def test_the_command_tells_what_was_taken_and_refused(
    tmp_path: Path, server: PassportServer, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'[[publish]]\nkind = "dpp"\ndialect = "en18222"\nurl = "{server.url}"\n'
    [table] = loaded(tmp_path, text).file.publish
    assert isinstance(table, Dpp)
    command = ["dpp", "--config", str(tmp_path / "packseal.toml")]
    assert main(command) == 0
    assert "nothing was sent there yet" in capsys.readouterr().out
    server.refuses = {"CapacityFade": (422, "not \x1b[31mhere")}
    source = MadeUpSource()
    source.put(1_790_000_000_000)
    publisher: DppPublisher = opened(tmp_path, table, source)
    go(lambda: once(publisher))
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "taken   StateOfCharge: state_of_charge 71.25" in said
    assert "REFUSED TechnicalPropertyAreas.CapacityEnergyVoltage.CapacityFade: capacity_fade 2.6" in said
    assert "HTTP 422: not [31mhere" in said
    assert "with its next change or the next day" in said
    loaded(tmp_path, text + "timeout_s = 3\n")
    assert main(command) == 1
    assert "at once: the configuration has changed since" in capsys.readouterr().out

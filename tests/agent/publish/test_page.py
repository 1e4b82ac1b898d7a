"""docs/home-assistant.md: its configurations are read, its documents have the keys that are published."""

import json
import re
from pathlib import Path

import pytest
from tests.agent.publish.gateway import VALUES

from packseal import config
from packseal.config_publish import MqttJson
from packseal.core.sample import LinkState
from packseal.publish import documents
from packseal.publish.protocol import Live

PAGE = (Path(__file__).parents[3] / "docs" / "home-assistant.md").read_text("utf-8")
REST = """
[gateway]
id = "urn:example:gateway:1"
[[battery]]
id = "urn:example:battery:4711"
profile = "packseal/reference96"
[battery.link]
kind = "stream"
path = "b"
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
def test_the_configurations_can_be_copied(tmp_path: Path, number: int) -> None:
    path = tmp_path / "packseal.toml"
    path.write_text(REST + blocks("toml")[number])
    [settings] = config.load(path).file.publish
    assert isinstance(settings, MqttJson)
    assert (settings.username, settings.password_file) == ("packseal", "mqtt.password")


def test_every_key_is_in_the_table() -> None:
    described = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE))))
    assert described == set(MqttJson.__struct_fields__)


def test_the_documents_are_those_that_are_published() -> None:
    snapshot, live, event = map(json.loads, blocks("json"))
    published = documents.live("urn:x:1", Live(LinkState.HEALTHY, wall_ms=0, values=VALUES))
    assert list(live) == list(published)
    assert set(live["present"]) == set(published["present"])
    assert set(live["derived"]) == set(published["derived"])
    assert snapshot["readings"]["capacity_fade"]["value"] is None
    assert set(event) == {"event_type", "battery", "time", "sequence", "attributes"}

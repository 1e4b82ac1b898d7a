"""[[publish]] with kind = "mqtt-json": what is refused, and with which words."""

import asyncio
from pathlib import Path

import pytest
from tests.agent.publish.test_page import REST

from packseal import config
from packseal.core.errors import ConfigError, InputError
from packseal.runtime import publishing
from packseal.runtime.source import ConfiguredSource

TABLE = '[[publish]]\nkind = "mqtt-json"\nhost = "localhost"\n'


def load(folder: Path, text: str) -> config.Config:
    path = folder / "packseal.toml"
    path.write_text(REST + text)
    return config.load(path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('prefix = "a/+"', "line 10: .*prefix must be levels of a topic"),
        ('prefix = ""', "prefix must be levels"),
        ('discovery_prefix = "$SYS"', "discovery_prefix must be levels"),
        ("live_s = 0.1", "live_s must be from 1 to 3600 seconds"),
        ("port = 0", "port must be from 1 to 65535"),
        ("discovery = true", "line 13: .*unknown field `discovery`; allowed are .*home_assistant"),
    ],
    ids=lambda text: text.split(" ")[0] if "=" in text else "",
)
def test_what_cannot_be_is_refused(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(tmp_path, TABLE + line)


def test_two_tables_for_the_same_topics_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        twice = load(tmp_path, TABLE + TABLE)
        with pytest.raises(ConfigError, match=r"two .* lead to packseal at localhost:8883"):
            publishing.open_publishers(twice, ConfiguredSource(twice))
        apart = load(tmp_path, TABLE + TABLE + 'prefix = "other"')
        assert len(publishing.open_publishers(apart, ConfiguredSource(apart))) == 2

    asyncio.run(run())


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        found = load(tmp_path, TABLE + 'password_file = "nowhere"')
        with pytest.raises(InputError, match=r"cannot read the MQTT password from .*nowhere"):
            publishing.open_publishers(found, ConfiguredSource(found))

    asyncio.run(run())

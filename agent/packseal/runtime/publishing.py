"""Publishing: the publishers that the configuration names, each in a task that cannot harm the recording."""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from packseal.config import Config
from packseal.config_dpp import Dpp
from packseal.config_publish import MqttJson, Publish
from packseal.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packseal.publish.protocol import Publisher, Source

log = logging.getLogger(__name__)

RESTART_S = 60.0
"""A publisher that ends by an error of its own program is started again, but not in a hurry."""


def open_publishers(config: Config, source: "Source") -> "list[Publisher]":
    """Return every configured publisher, not yet connected.

    Raises:
        ConfigError, InputError: an address or a file that cannot be used.
    """
    places = [(json.host, json.port, json.prefix) for json in config.file.publish if isinstance(json, MqttJson)]
    for host, port, prefix in {place for place in places if places.count(place) > 1}:
        raise ConfigError(f"two [[publish]] tables lead to {prefix} at {host}:{port}: give each a prefix of its own")
    return [_open(config, settings, source) for settings in config.file.publish]


def _open(config: Config, settings: Publish, source: "Source") -> "Publisher":
    # Only gateways that use a kind pay for its modules.
    if isinstance(settings, Dpp):
        from packseal.runtime.opening_dpp import open_dpp  # noqa: PLC0415

        return open_dpp(config, settings, source)
    from packseal.publish.mqtt_json import JsonSettings, MqttJsonPublisher  # noqa: PLC0415
    from packseal.runtime.broker import broker_of  # noqa: PLC0415

    json = JsonSettings(
        broker_of(config, settings),
        settings.prefix,
        settings.live_s,
        settings.home_assistant,
        settings.discovery_prefix,
        settings.plain_password,
    )
    return MqttJsonPublisher(source, json)


async def publish(publisher: "Publisher", restart_s: float = RESTART_S) -> None:
    """Run one publisher until cancelled, whatever goes wrong in it."""
    while True:
        try:
            await publisher.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, neither recording nor sync may end by it
            publisher.status.disconnected(f"stopped by an error of the program: {error!r}")
        await asyncio.sleep(restart_s)


async def finish(publishers: "Sequence[Publisher]", within_s: float) -> None:
    """Let every publisher bring out what is newest, for no longer than `within_s` together."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            for result in await asyncio.gather(*(p.finish() for p in publishers), return_exceptions=True):
                if isinstance(result, Exception):
                    log.warning("not all was published before the stop: %s", result)
            return
    log.warning("stopped before every receiver had the newest")

"""Publishing: the publishers that the configuration names, each in a task that cannot harm the recording."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from packseal.config import Config
from packseal.config_publish import Publish
from packseal.core.errors import ConfigError
from packseal.publish.protocol import Publisher, Source

log = logging.getLogger(__name__)

RESTART_S = 60.0
"""A publisher that ends by an error of its own program is started again, but not in a hurry."""


def open_publishers(config: Config, source: Source) -> list[Publisher]:
    """Return every configured publisher, not yet connected.

    Raises:
        ConfigError, InputError: an address or a file that cannot be used.
    """
    return [_open(config, settings, source) for settings in config.file.publish]


def _open(config: Config, settings: Publish, source: Source) -> Publisher:  # noqa: ARG001 - no kind is made yet
    raise ConfigError(f"kind {settings.__struct_config__.tag} cannot be published yet: leave [[publish]] out")


async def publish(publisher: Publisher, restart_s: float = RESTART_S) -> None:
    """Run one publisher until cancelled, whatever goes wrong in it."""
    while True:
        try:
            await publisher.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, neither recording nor sync may end by it
            publisher.status.disconnected(f"stopped by an error of the program: {error!r}")
        await asyncio.sleep(restart_s)


async def finish(publishers: Sequence[Publisher], within_s: float) -> None:
    """Let every publisher bring out what is newest, for no longer than `within_s` together."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            for result in await asyncio.gather(*(p.finish() for p in publishers), return_exceptions=True):
                if isinstance(result, Exception):
                    log.warning("not all was published before the stop: %s", result)
            return
    log.warning("stopped before every receiver had the newest")

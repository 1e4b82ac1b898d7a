"""A UPS that Network UPS Tools watch: asks upsd for ups.status (RFC 9271 §4.2.4 GET VAR), and only that."""

import asyncio
import logging
import shlex
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet

from packseal.config_power import Nut
from packseal.runtime.power import Supply

log = logging.getLogger(__name__)

ANSWER_S = 5.0
AGAIN_S = 5.0
LINE_BYTES = 2048  # ups.status has a dozen words of a few letters


class NutSource:
    """One UPS of one upsd; connected again for ever."""

    def __init__(self, settings: Nut) -> None:
        self._settings = settings
        self.name = f"UPS {settings.ups} at {settings.host}"
        self.trouble = "not asked yet"

    async def states(self) -> AsyncIterator[Supply]:
        """Yield what the UPS says, at every poll."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, writer = await asyncio.open_connection(
                        self._settings.host, self._settings.port, limit=LINE_BYTES
                    )
                try:
                    while True:
                        words = await self._ask(reader, writer)
                        self._say("")
                        yield judge(words, self._settings)
                        await asyncio.sleep(self._settings.poll_s)
                finally:
                    writer.close()
            except (OSError, TimeoutError, ValueError) as error:
                # A UPS out of reach says nothing of the power: what it said last stays.
                self._say(str(error) or "upsd does not answer in time")
            await asyncio.sleep(AGAIN_S)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AbstractSet[str]:
        writer.write(f"GET VAR {self._settings.ups} ups.status\n".encode())
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()
            line = await reader.readline()
        if not line.endswith(b"\n"):
            raise ValueError("upsd has closed the connection")
        return parse(line.decode("utf-8", "replace"), self._settings.ups)

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("power: %s is not known: %s", self.name, trouble)
        elif self.trouble and not trouble:
            log.info("power: %s is watched", self.name)
        self.trouble = trouble


def parse(line: str, ups: str) -> AbstractSet[str]:
    """Return the words of ups.status in an answer such as `VAR ups ups.status "OB LB"`.

    Raises:
        ValueError: an error such as DATA-STALE, or no such answer; the text says what.
    """
    try:
        parts = shlex.split(line)
    except ValueError:  # a quotation that does not end
        parts = []
    if parts[:1] == ["ERR"]:
        raise ValueError(f"upsd answers {' '.join(parts[1:2]) or 'an error'} for {ups}")
    if len(parts) != 4 or parts[:3] != ["VAR", ups, "ups.status"]:  # noqa: PLR2004 - the form above
        raise ValueError(f"upsd answers {line.strip()[:60]!r}")
    return frozenset(parts[3].split())


def judge(words: AbstractSet[str], settings: Nut) -> Supply:
    """Return what these words of ups.status mean.

    LB alone is a battery that still charges after an outage; it counts together with `seal_on`.
    """
    stops, fails = words & set(settings.stop_on), bool(words & set(settings.seal_on))
    if "FSD" in stops or (stops and fails):
        return Supply.ENDING
    return Supply.FAILED if fails else Supply.GOOD

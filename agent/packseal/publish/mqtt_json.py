"""Plain JSON over MQTT: the newest of every battery for whoever listens, and Home Assistant told what there is.

Nothing waits in a queue: what could not be sent is replaced by what is newest when the broker is back.
"""

import asyncio
import logging
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from packseal.core.errors import InputError, StorageError, UplinkError
from packseal.core.passport import Field
from packseal.core.sample import LinkState
from packseal.publish import documents, home_assistant
from packseal.publish.broker import Broker
from packseal.publish.documents import Document
from packseal.publish.protocol import Described, Live, Source
from packseal.publish.status import PublishStatus
from packseal.publish.topics import OFFLINE, ONLINE, Topics, level, short
from packseal.uplink.mqtt import MqttSettings
from packseal.uplink.reach import Pace

T = TypeVar("T")

log = logging.getLogger(__name__)

HEARD = (LinkState.HEALTHY, LinkState.ERROR_PASSIVE)
"""Link states in which samples come."""


@dataclass(frozen=True, slots=True)
class JsonSettings:
    """Where to, under which topics, how often."""

    broker: MqttSettings
    prefix: str = "packseal"
    live_s: float = 10.0
    home_assistant: bool = True
    discovery_prefix: str = "homeassistant"
    plain_password: bool = False
    """Whether the password may cross a network in plain text."""
    look_s: float = 2.0
    """How often links are looked at for one that was lost."""
    pause_min_s: float = 1.0
    pause_max_s: float = 30.0
    birth_spread_s: float = 1.0
    """Home Assistant has just started: not every device should answer in the same instant."""


@dataclass(slots=True)
class _Battery:
    """What was published of one battery. `next` is the first record whose happening was not; the rest only grows."""

    described: Described
    next: int | None = None
    shown: tuple[bytes, int] | None = None
    places: set[str] = field(default_factory=set)
    fields: set[Field] = field(default_factory=set)
    sensors: int = 0

    @property
    def subject(self) -> str:
        return self.described.subject


class MqttJsonPublisher:
    """A Publisher. Raises ConfigError or InputError where the settings cannot be used."""

    def __init__(self, source: Source, settings: JsonSettings, pace: Pace | None = None) -> None:
        self._source = source
        self._settings = settings
        self._topics = Topics(settings.prefix, source.gateway, settings.discovery_prefix)
        client_id = f"packseal{short(source.gateway, settings.prefix)}"
        self._pace = pace
        self._broker = self._way(client_id, self._topics.status)
        self._batteries = [_Battery(described) for described in source.batteries()]
        self._wake = asyncio.Event()
        self._news = True
        self._finishing = False
        self._finished = asyncio.Event()
        self._announce_at: float | None = None
        self._strangers: set[str] = set()
        self._sent: dict[str, bytes] = {}
        self.status = PublishStatus("mqtt-json", f"{settings.broker.host}:{settings.broker.port}")

    def notify(self) -> None:
        """Say that new records exist."""
        self._news = True
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever; ends only by cancellation."""
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with self._broker:
                    await self._session()
                self._finished.set()
                await asyncio.Event().wait()
            except (UplinkError, StorageError, InputError) as error:
                failures = 0 if self.status.connected else failures
                self.status.disconnected(str(error))
            finally:
                self._finished.set()
            pause = min(self._settings.pause_max_s, self._settings.pause_min_s * 2**failures)
            failures = min(failures + 1, 10)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0) - (loop.time() - began))  # noqa: S311 - no secret

    async def finish(self) -> None:
        """Bring out the newest, then say that all is offline."""
        if self.status.connected:
            self._finished.clear()
            self._finishing = True
            self._wake.set()
            await self._finished.wait()

    async def check(self) -> str:
        """Connect as somebody else, so that a running agent is not disturbed; raises UplinkError."""
        async with self._way(f"packseal{secrets.token_hex(6)}", None):
            return "the broker takes the connection; what is published there is neither signed nor receipted"

    def _way(self, client_id: str, will: str | None) -> Broker:
        settings = self._settings
        return Broker(settings.broker, client_id, will, self._pace, plain_password=settings.plain_password)

    async def _session(self) -> None:
        """Publish over one connection; ends by UplinkError, or when all is said before the stop."""
        self._sent.clear()
        self._strangers.clear()
        self._announce_at = 0.0
        self._news = True
        for battery in self._batteries:
            battery.shown = None
        for topic in (
            self._topics.any_battery_status,
            *([self._topics.birth] if self._settings.home_assistant else []),
        ):
            if not await self._broker.subscribe(topic):
                log.warning("%s: the broker does not let this user read %s", self.status.target, topic)
        reader = asyncio.create_task(self._read(), name="mqtt-json messages")
        try:
            await self._keep(self._topics.status, ONLINE)
            self.status.answered()
            await self._publish_on(reader)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _publish_on(self, reader: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        next_live = loop.time()
        while not self._finishing:
            self._wake.clear()
            if self._news:
                await self._tell_news()
            await self._tell_links()
            if loop.time() >= next_live:
                next_live = max(next_live + self._settings.live_s, loop.time())
                await self._tell_live()
            if self._announce_at is not None and loop.time() >= self._announce_at:
                self._announce_at = None
                await self._announce()
            await self._forget_strangers()
            await self._wait(reader, min(next_live, loop.time() + self._settings.look_s))
        await self._tell_news()
        for topic in (*(self._topics.battery(b.subject, "status") for b in self._batteries), self._topics.status):
            await self._keep(topic, OFFLINE)

    async def _wait(self, reader: asyncio.Task[None], until: float) -> None:
        """Wait for something to do; raises UplinkError when the connection is lost."""
        now = asyncio.get_running_loop().time()
        until = until if self._announce_at is None else min(until, self._announce_at)
        woken = asyncio.create_task(self._wake.wait(), name="mqtt-json wake")
        try:
            await asyncio.wait((reader, woken), timeout=max(0.0, until - now), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if reader.done():
            reader.result()
            raise UplinkError(f"broker {self._settings.broker.host}: the connection is lost")

    async def _read(self) -> None:
        """Take note of Home Assistant's birth, and of batteries that the broker still knows and we do not."""
        known = {level(battery.subject) for battery in self._batteries}
        async for message in self._broker.messages():
            topic = str(message.topic)
            if topic == self._topics.birth and message.payload == ONLINE:
                spread = random.uniform(0, self._settings.birth_spread_s)  # noqa: S311 - no secret
                self._announce_at = asyncio.get_running_loop().time() + spread
            elif (name := self._topics.battery_level(topic)) and name not in known and message.payload:
                self._strangers.add(name)
            self._wake.set()

    async def _tell_news(self) -> None:
        """Publish newer snapshots, and what happened. A journal that cannot be read now is asked again."""
        self._news = False
        for battery, described in zip(self._batteries, self._source.batteries(), strict=True):
            battery.described = described
            try:
                await self._tell_happenings(battery)
                await self._tell_snapshot(battery)
            except StorageError as error:
                self._news = True
                self.status.troubles[battery.subject] = str(error)
            else:
                self.status.troubles.pop(battery.subject, None)

    async def _tell_snapshot(self, battery: _Battery) -> None:
        newest = await self._source.newest(battery.subject)
        if newest is None or battery.shown == (newest.log_id, newest.sequence):
            return
        document = documents.snapshot(newest, battery.described)
        await self._keep(self._topics.battery(battery.subject, "snapshot"), msgspec.json.encode(document))
        battery.shown = (newest.log_id, newest.sequence)
        self._grow(battery.fields, {r.field for r in newest.snapshot.readings if r.value is not None})

    async def _tell_happenings(self, battery: _Battery) -> None:
        if battery.next is None:
            battery.next = await self._source.end(battery.subject)
        records, following = await self._source.happenings(battery.subject, battery.next)
        for record in records:
            document = documents.event(record)
            if document is not None:
                await self._put(self._topics.battery(battery.subject, "event"), msgspec.json.encode(document))
        battery.next = following

    async def _tell_links(self) -> None:
        for battery in self._batteries:
            there = _is_there(self._source.live(battery.subject))
            await self._keep(self._topics.battery(battery.subject, "status"), ONLINE if there else OFFLINE)

    async def _tell_live(self) -> None:
        for battery in self._batteries:
            heard = self._source.live(battery.subject)
            if not _is_there(heard):
                continue
            document = documents.live(battery.subject, heard)
            # Not retained: a value of long ago must not look like one of now.
            await self._put(self._topics.battery(battery.subject, "live"), msgspec.json.encode(document), qos=0)
            self._grow(battery.places, _places(document))
            sensors = len(document["present"].get("temperature_c", ()))
            if sensors > battery.sensors:
                battery.sensors, self._announce_at = sensors, 0.0

    def _grow(self, known: set[T], seen: set[T]) -> None:
        if not seen <= known:
            known |= seen
            self._announce_at = 0.0

    async def _announce(self) -> None:
        """Tell Home Assistant of every battery, or take it back."""
        for battery in self._batteries:
            topic = self._topics.discovery(battery.subject)
            if not self._settings.home_assistant:
                await self._keep(topic, b"")
                continue
            seen = battery.places, battery.fields, battery.sensors
            document = home_assistant.discovery(self._topics, battery.described, *seen, self._settings.live_s)
            await self._put(topic, msgspec.json.encode(document), retain=True)

    async def _forget_strangers(self) -> None:
        """Clear what the broker retains of batteries that are no longer configured."""
        while self._strangers:
            subject = unquote(self._strangers.pop())
            for topic in (self._topics.discovery(subject), *(self._topics.battery(subject, w) for w in _RETAINED)):
                await self._put(topic, b"", retain=True)

    async def _keep(self, topic: str, payload: bytes) -> None:
        """Have the broker retain this, unless it was the last thing it got there from us."""
        if self._sent.get(topic) != payload:
            await self._put(topic, payload, retain=True)
            self._sent[topic] = payload

    async def _put(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        await self._broker.put(topic, payload, retain=retain, qos=qos)
        self.status.took(time.time_ns() // 1_000_000)


_RETAINED = ("snapshot", "status")


def _is_there(heard: Live) -> bool:
    return heard.state in HEARD and not heard.ended and heard.wall_ms is not None


def _places(document: Document) -> set[str]:
    """Return the places of the live message that Home Assistant can show."""
    found = {f"{group}.{key}" for group in ("present", "derived") for key in document[group]}
    return found & set(home_assistant.LIVE)

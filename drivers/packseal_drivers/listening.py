"""Listening: everything on a live bus, for commands that record or examine it. Never sends."""

import time
from typing import TYPE_CHECKING

from packseal.core.errors import InputError
from packseal.core.sample import Frame
from packseal_drivers.links.pythoncan import PythonCanLink
from packseal_drivers.recordings.binary import address_of_message
from packseal_drivers.settings import LinkSettings, PythonCan, SocketCan

if TYPE_CHECKING:
    from collections.abc import Generator

    import can

TICK_S = 0.005
OLD_S = 2.0
"""A message that seems older, or newer than now, has a time of the adapter's own, which means nothing here."""


def listen(settings: LinkSettings, seconds: float | None) -> "Generator[list[can.Message]]":
    """Open a bus and yield what comes, tick by tick, maybe nothing; ends after `seconds`, or when it is closed.

    Kernel interfaces are read through python-can as well, so that CAN FD and error frames come as they are. Times are
    seconds since 1970 and never run back.

    Raises:
        InputError: it is no live bus.
        ConfigError: frames would leave this machine.
        LinkError: it cannot be opened, or is gone.
    """
    link = _link(settings)
    link.open()
    try:
        yield from _ticks(link, seconds)
    finally:
        link.close()


def frame_of(message: "can.Message", begun_s: float) -> Frame:
    """Return a message as a Frame whose time counts from `begun_s`."""
    mono_ns = max(0, round((message.timestamp - begun_s) * 1_000_000)) * 1000
    return Frame(address_of_message(message), bytes(message.data), mono_ns)


def _link(settings: LinkSettings) -> PythonCanLink:
    if isinstance(settings, SocketCan):
        return PythonCanLink("socketcan", settings.channel, {"fd": True})
    if isinstance(settings, PythonCan):
        options = settings.options | ({} if settings.bitrate is None else {"bitrate": settings.bitrate})
        return PythonCanLink(settings.interface, settings.channel, options)
    raise InputError("this battery's link is no live bus, but a replay: name one with --channel")


def _ticks(link: PythonCanLink, seconds: float | None) -> "Generator[list[can.Message]]":
    end_s = None if seconds is None else time.monotonic() + seconds
    latest_s = 0.0
    while end_s is None or time.monotonic() < end_s:
        messages = link.messages()
        now_s = time.time()
        for message in messages:
            if not now_s - OLD_S < message.timestamp <= now_s:
                message.timestamp = now_s
            latest_s = message.timestamp = max(latest_s, message.timestamp)
        yield messages
        if not messages:
            time.sleep(TICK_S)

"""A line of a GPIO chip that says that the power has failed, over the kernel's character device, version 2.

Through the package gpiod, the Python side of libgpiod (LGPL-2.1-or-later, 115 kB), which is its reference user:
https://docs.kernel.org/userspace-api/gpio/chardev.html. The kernel debounces.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from typing import Any

from packseal.config_power import Gpio
from packseal.core.errors import ConfigError
from packseal.runtime.power import Supply

log = logging.getLogger(__name__)

CONSUMER = "packseal power"


class GpioSource:
    """One line, taken at once and held until the process ends.

    Raises:
        ConfigError: the package is missing, or the line cannot be had.
    """

    def __init__(self, settings: Gpio) -> None:
        self._settings = settings
        self.name = f"line {settings.line} of {settings.chip}"
        self.trouble = ""
        self._request = self._take()

    async def states(self) -> AsyncIterator[Supply]:
        """Yield the level, at every change and when `stop_after_s` is over."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._request.fd, news.set)
        failed_at_s = None
        try:
            while True:
                failed, now_s = self._is_active(), loop.time()
                failed_at_s = (now_s if failed_at_s is None else failed_at_s) if failed else None
                left_s = self._left_s(failed_at_s, now_s)
                ending = left_s is not None and left_s <= 0
                yield Supply.ENDING if ending else Supply.FAILED if failed else Supply.GOOD
                await _wait(news, None if ending else left_s)
                news.clear()
                while self._request.wait_edge_events(0):
                    self._request.read_edge_events()
        except OSError as error:  # such as a chip on USB that was pulled
            self.trouble = str(error)
            log.error("power: %s cannot be read any more: %s", self.name, error)  # noqa: TRY400 - one line
        finally:
            loop.remove_reader(self._request.fd)

    def _left_s(self, failed_at_s: float | None, now_s: float) -> float | None:
        """Return the seconds until the agent must stop; None where it need not."""
        if failed_at_s is None or self._settings.stop_after_s is None:
            return None
        return failed_at_s + self._settings.stop_after_s - now_s

    def _is_active(self) -> bool:
        active = import_module("gpiod.line").Value.ACTIVE
        return bool(self._request.get_value(self._settings.line) is active)

    def _take(self) -> Any:
        settings = self._settings
        try:
            gpiod, lines = import_module("gpiod"), import_module("gpiod.line")  # an optional package
        except ImportError as error:
            raise ConfigError('[power] with kind = "gpio" needs gpiod: install packseal[gpio]') from error
        line = gpiod.LineSettings(
            direction=lines.Direction.INPUT,
            edge_detection=lines.Edge.BOTH,
            bias=lines.Bias[settings.bias.upper().replace("-", "_")],
            active_low=settings.active == "low",
            debounce_period=timedelta(milliseconds=settings.debounce_ms),
        )
        try:
            return gpiod.request_lines(settings.chip, consumer=CONSUMER, config={settings.line: line})
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"[power]: {self.name} cannot be used: {error}: see gpioinfo for what there is and who has it"
            ) from error


async def _wait(news: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass

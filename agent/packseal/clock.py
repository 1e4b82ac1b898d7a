"""The machine's clock: monotonic and wall time, how far the latter is to be trusted, and which boot this is."""

import ctypes
import os
import time
from pathlib import Path

from packseal.core.bodies import BOOT_ID_BYTES
from packseal.core.sample import NS_PER_S, ClockQuality, Instant

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)
RTC = Path("/sys/class/rtc/rtc0")
STA_UNSYNC = 0x0040  # linux/timex.h
TIMEX_BYTES = 208  # sizeof(struct timex) where long has 64 bits; 128 where it has 32
STATUS_OFFSET = {8: 40, 4: 20}[ctypes.sizeof(ctypes.c_long)]
QUALITY_AGE_NS = 10 * NS_PER_S


class SystemClock:
    """CLOCK_MONOTONIC and CLOCK_REALTIME of this machine."""

    def __init__(self) -> None:
        self._quality = quality()
        self._asked_ns = time.monotonic_ns()

    def now(self) -> Instant:
        """Return the present; the quality is at most ten seconds old."""
        mono_ns = time.monotonic_ns()
        if mono_ns - self._asked_ns > QUALITY_AGE_NS:
            self._quality, self._asked_ns = quality(), mono_ns
        return Instant(mono_ns, time.time_ns(), self._quality)


def quality() -> ClockQuality:
    """Return what the kernel says of the wall clock: disciplined, started from a clock chip, or neither."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes = 0: only read (adjtimex(2))
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        state = -1
    status = int.from_bytes(timex.raw[STATUS_OFFSET : STATUS_OFFSET + 4], "little")
    if state >= 0 and not status & STA_UNSYNC:
        return ClockQuality.NTP
    return ClockQuality.RTC if RTC.exists() else ClockQuality.UNSYNCHRONISED


def boot_id() -> bytes:
    """Return 8 bytes that name this boot; drawn by lot where the kernel does not say."""
    try:
        return bytes.fromhex(BOOT_ID.read_text("ascii").replace("-", "").strip())[:BOOT_ID_BYTES]
    except (OSError, ValueError):
        return os.urandom(BOOT_ID_BYTES)

"""The machine's clock."""

import time
from pathlib import Path

from packseal.clock import SystemClock, boot_id
from packseal.core.sample import ClockQuality


def test_now_is_between_two_looks_at_the_machine() -> None:
    clock = SystemClock()
    before = time.monotonic_ns(), time.time_ns()
    now = clock.now()
    after = time.monotonic_ns(), time.time_ns()
    assert before[0] <= now.mono_ns <= after[0]
    assert before[1] <= now.wall_ns <= after[1]
    assert now.quality in set(ClockQuality)


def test_a_boot_keeps_its_name() -> None:
    assert boot_id() == boot_id()
    text = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")
    assert text.startswith(boot_id().hex())

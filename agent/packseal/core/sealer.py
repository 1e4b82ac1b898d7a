"""Sealer: samples in, sealed records out, one window at a time.

A window of N seconds becomes one telemetry and one snapshot record. An event, a clock step and the end seal at once;
of events that repeat within a window the first.
What a call returns must be stored in one transaction; until then nothing has happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from packseal.core import columns
from packseal.core.bodies import Attributes, Body, Event, Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import NS_PER_MS, Pen, SealedRecord
from packseal.core.changes import Change
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.repeated import Repeated
from packseal.core.sample import NS_PER_S, Instant, Notice, Sample

CLOCK_STEP_NS = NS_PER_S
"""A wall clock that moves by over 1 s against the monotonic one was stepped; NTP slews at 0.5 ms/s at most."""

MAX_WINDOW_SAMPLES = 20_000
"""Bound on an open window: 60 s at 300 samples/s. A fuller one is sealed early."""

MAX_WINDOW_VALUES = 100_000
"""Bound on what a window says: at 9 bytes, the most that one value takes, it stays below a record's 1 MiB."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Records to be stored together with the meter state they leave behind."""

    records: tuple[SealedRecord, ...]
    state: bytes


class Sealer:
    """Turns one battery's samples and notices into its log.

    Args:
        pen: writes the log.
        meter: derives the readings.
        window_s: seconds per window; 0 seals every sample at once.
        stopped: how the agent's last run on this log ended; None for a new log.
        since_ms: UTC time of the log's last record, where a gap begins if no sample was ever sealed.
    """

    def __init__(self, pen: Pen, meter: Meter, window_s: float, stopped: GapCause | None, since_ms: int = 0) -> None:
        self._pen = pen
        self._meter = meter
        self._window_ns = round(window_s * NS_PER_S)
        self._gap_limit_ns = round(meter.gap_limit_s * NS_PER_S)
        self._stopped = stopped
        self._since_ms = meter.last_wall_ms or since_ms
        self._window: list[Sample] = []
        self._repeated = Repeated(self._window_ns)
        self._values = 0
        self._last: Instant | None = None

    @property
    def open_samples(self) -> int:
        """Samples in the open window."""
        return len(self._window)

    def use(self) -> dict[str, object]:
        """Return how the battery was used, see `Meter.use`."""
        return self._meter.use()

    def begin(self, code: LifecycleCode, at: Instant, facts: Attributes) -> Sealed:
        """Write one of the first records of this run; what it tells of a change, the meter takes note of."""
        self._meter.mark(code, at, facts)
        return self._sealed([Lifecycle(code, facts)], at)

    def declare(self, declared: Declared, changes: Sequence[Change], at: Instant) -> Sealed:
        """Go on with other declared data: seal what was measured before, and what tells the log of it."""
        before = self._sealed([], at)
        self._meter.declare(declared)
        entries = self._meter.untold(changes)
        for entry in entries:
            self._meter.mark(entry.code, at, entry.attributes)
        told = self._sealed(entries, at)
        return Sealed(before.records + told.records, told.state)

    def feed(self, sample: Sample) -> list[Sealed]:
        """Account for one sample; return what is sealed by it, oldest first."""
        sealed = [*self._gap_before(sample), *self._step_before(sample)]
        said = len(sample.values) + len(sample.flaws)
        if self._window and self._is_full(sample.at, said):
            sealed.append(self._sealed([], sample.at))
        self._window.append(sample)
        self._values += said
        self._last = sample.at
        notices = self._meter.feed(sample)
        sealed.extend(told for notice in notices if (told := self.note(notice)) is not None)
        if self._window and not self._window_ns:
            sealed.append(self._sealed([], sample.at))
        return sealed

    def note(self, notice: Notice) -> Sealed | None:
        """Seal the open window and an event record; None where one of this code has just been, and this one waits."""
        if self._repeated.holds(notice):
            return None
        return self._sealed([Event(notice.code, dict(notice.attributes))], notice.at)

    def tick(self, now: Instant) -> Sealed | None:
        """Seal the open window if its time is over though no sample came."""
        began_ns = self._window[0].at.mono_ns if self._window else self._repeated.since_ns
        if began_ns is not None and now.mono_ns - began_ns >= self._window_ns:
            return self._sealed([], now)
        return None

    def cut(self, now: Instant) -> Sealed | None:
        """Seal the open window though its time is not over; None when it is empty."""
        return self._sealed([], now) if self._window or self._repeated.since_ns is not None else None

    def seal(self, bodies: Sequence[Body], at: Instant) -> Sealed:
        """Seal the open window, whose samples the meter has counted already, and records of what was not sampled."""
        return self._sealed(bodies, at)

    def lose(self, cause: GapCause, end: Instant, facts: Attributes) -> Sealed:
        """Write down that the samples since the last accounted one, up to `end`, are not in the log.

        `end` is the instant of the sample that is fed next; nothing is integrated over the gap.
        """
        start = self._last or end
        self._last = end
        self._meter.resume(end.mono_ns - start.mono_ns)
        return self._sealed([Gap(cause, _ms(start), _ms(end), facts)], end)

    def end(self, code: LifecycleCode, at: Instant) -> Sealed:
        """Seal the open window and the last record of this run."""
        return self._sealed([Lifecycle(code)], at)

    def _is_full(self, now: Instant, more_values: int) -> bool:
        too_long = now.mono_ns - self._window[0].at.mono_ns >= self._window_ns
        too_many = self._values + more_values > MAX_WINDOW_VALUES
        return too_long or too_many or len(self._window) >= MAX_WINDOW_SAMPLES

    def _gap_before(self, sample: Sample) -> list[Sealed]:
        cause, self._stopped = self._stopped, None
        if cause is not None:
            start_ms, end_ms = self._since_ms, _ms(sample.at)
            if self._meter.last_wall_ms:
                self._meter.resume(max(0, end_ms - start_ms) * NS_PER_MS)
        elif self._last is not None and sample.at.mono_ns - self._last.mono_ns > self._gap_limit_ns:
            cause = GapCause.NO_SAMPLES
            end_ms = _ms(sample.at)
            start_ms = end_ms - (sample.at.mono_ns - self._last.mono_ns) // NS_PER_MS
        else:
            return []
        return [self._sealed([Gap(cause, max(0, start_ms), end_ms)], sample.at)]

    def _step_before(self, sample: Sample) -> list[Sealed]:
        if self._last is None:
            return []
        step_ns = (sample.at.wall_ns - self._last.wall_ns) - (sample.at.mono_ns - self._last.mono_ns)
        if abs(step_ns) <= CLOCK_STEP_NS and sample.at.quality is self._last.quality:
            return []
        facts = {
            "step_ms": step_ns // NS_PER_MS,
            "quality_before": int(self._last.quality),
            "quality_after": int(sample.at.quality),
        }
        return [self._sealed([Lifecycle(LifecycleCode.CLOCK_STEPPED, facts)], sample.at)]

    def _sealed(self, bodies: Sequence[Body], at: Instant) -> Sealed:
        records = [self._pen.write(Event(n.code, dict(n.attributes)), n.at) for n in self._repeated.take()]
        if self._window:
            end = self._window[-1].at
            records.append(self._pen.write(_telemetry(self._window), end))
            records.append(self._pen.write(self._meter.snapshot(), end))
            self._window = []
            self._values = 0
        records.extend(self._pen.write(body, at) for body in bodies)
        return Sealed(tuple(records), self._meter.save())


def _telemetry(window: list[Sample]) -> Telemetry:
    first, last = window[0].at, window[-1].at
    start, end = first.mono_ns // NS_PER_MS, last.mono_ns // NS_PER_MS
    return Telemetry(start, _ms(first), len(window), end - start, columns.pack(window))


def _ms(at: Instant) -> int:
    return max(0, at.wall_ns // NS_PER_MS)

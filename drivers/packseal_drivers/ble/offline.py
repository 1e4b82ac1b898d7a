"""Offline: a Bluetooth dump through a profile, by its own times, with the same judgement as a live battery's frames."""

from collections.abc import Iterator
from pathlib import Path

from packseal.core.errors import InputError
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal_drivers.ble.dump import ENDINGS, is_dump, read
from packseal_drivers.ble.opening import judge_of, table_of
from packseal_drivers.ble.protocols import PROTOCOLS
from packseal_drivers.ble.whole import lenient
from packseal_drivers.decoding import Decoders
from packseal_drivers.framing.burst import Notification
from packseal_drivers.offline import END_NS, Totals
from packseal_drivers.profile import Profile
from packseal_drivers.recordings.row import Troubles
from packseal_drivers.sampler import Sampler


def samples_of(
    path: Path, profile: Profile, decoders: Decoders, period_s: float, totals: Totals, troubles: Troubles
) -> Iterator[Sample]:
    """Yield the samples of a dump by its own times; `totals` and `troubles` are live. `totals.frames` counts its lines.

    Raises:
        InputError: nothing can be read from it.
        ConfigError: the profile is none for Bluetooth.
    """
    framer = PROTOCOLS[table_of(profile).protocol].framer()
    framer.begin(unasked=not any(said.way == ">" for said in read(path, Troubles(path))))
    judge = judge_of(profile, decoders, totals.link)
    sampler = Sampler(lenient(decoders), period_s, totals.link)
    first_ns: int | None = None
    last_ns = 0
    for said in read(path, troubles):
        first_ns = said.time_ns if first_ns is None else first_ns
        last_ns = max(last_ns, said.time_ns - first_ns)
        totals.frames += 1
        if said.way == ">":
            framer.asked(said.data)
            continue
        reading = framer.feed(Notification(said.uuid, said.data, last_ns))
        totals.link.cut = framer.cut
        if reading is not None:
            totals.link.answers += 1
            yield from sampler.feed(judge.judge(reading), _stamp)
    yield from sampler.finish(END_NS, _stamp)


def check(path: Path) -> None:
    """Raise InputError where the file is no Bluetooth dump by its name."""
    if not is_dump(path):
        raise InputError(f"{path}: a battery over Bluetooth is decoded from a {' or '.join(ENDINGS)} file")


def _stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, 0, ClockQuality.UNSYNCHRONISED)

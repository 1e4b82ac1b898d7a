"""Offline: recorded frames through a profile, broadcast signals and answers alike, by the recording's own times."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from packseal.core.sample import ClockQuality, Frame, Instant, LinkCounts, Sample
from packseal_drivers.answers import AnswerCounts, Answers, answered
from packseal_drivers.decoding import Decoders
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.health import ERR_FLAG
from packseal_drivers.profile import Profile
from packseal_drivers.sampler import Sampler

BATCH = 1000
"""Frames decoded at once; what a limit of samples stops late at most."""

END_NS = 1 << 62
MAX_IDS = 4096
"""Unknown ids kept apart; a recording of noise ends the list, not the memory."""


@dataclass(slots=True)
class Totals:
    """What was met in a recording, so far. `link.unknown` also counts an unknown multiplexer of a known message."""

    link: LinkCounts = field(default_factory=LinkCounts)
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    frames: int = 0
    """Of the recording: signals, answers, questions, unknown ones and errors."""
    errors: int = 0
    """Error frames."""
    unknown_ids: Counter[int] = field(default_factory=Counter)
    """Frames by address, as in Frame, of ids that the profile neither decodes nor asks."""


class Offline:
    """Decodes one recording. `totals` are live.

    Args:
        profile: whose requests and signals are looked for.
        decoders: of the same profile.
        period_s: length of a sample; 0 for one of every distinct time.
    """

    def __init__(self, profile: Profile, decoders: Decoders, period_s: float) -> None:
        self._answers = Answers(profile)
        self._table = decoders.table
        self.totals = Totals(answers=self._answers.counts)
        self._sampler = Sampler(decoders, period_s, self.totals.link)

    def samples(self, frames: Iterable[Frame]) -> Iterator[Sample]:
        """Yield the samples of the whole recording."""
        batch: list[Frame] = []
        for frame in frames:
            batch += self._known(frame)
            if len(batch) >= BATCH:
                yield from self._sampler.feed(batch, _stamp)
                batch.clear()
        self._answers.finish()
        yield from self._sampler.feed(batch, _stamp)
        yield from self._sampler.finish(END_NS, _stamp)

    def _known(self, frame: Frame) -> list[Frame]:
        address, totals = frame.address, self.totals
        totals.frames += 1
        if address & ERR_FLAG:
            totals.errors += 1
            return []
        whole = self._answers.feed(frame) if address in self._answers.addresses else []
        if address in self._table:
            return [frame, *whole]
        if address not in self._answers.addresses and address not in self._answers.asked:
            totals.link.unknown += 1
            if address in totals.unknown_ids or len(totals.unknown_ids) < MAX_IDS:
                totals.unknown_ids[address] += 1
        return whole


def sample_of(profile: Profile, decoders: Decoders, payloads: Iterable[bytes], totals: Totals) -> Sample | None:
    """Return what answers say together, each found by its prefix; None where none says anything."""
    frames: list[Frame] = []
    for payload in payloads:
        found = answered(profile, payload)
        totals.answers.whole += 1
        totals.answers.decoded += bool(found)
        frames += [Frame(ANSWERS + number, payload, 0) for number, _ in found]
    sampler = Sampler(decoders, 0, totals.link)
    samples = [*sampler.feed(frames, _stamp), *sampler.finish(END_NS, _stamp)]
    return samples[0] if samples else None


def _stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, 0, ClockQuality.UNSYNCHRONISED)

"""Flaws told: one event for each kind of unusable value, then at most one an hour, so that no flood seals windows.

A placeholder is told of once: it is a fact about the firmware, and stays one.
"""

from collections import Counter
from collections.abc import Iterable

from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, EventCode, Flaw, LinkCounts, Notice, Sample
from packseal_drivers.scale import ScaleWatch

AGAIN_NS = 3600 * NS_PER_S


class FlawWatch:
    """Samples in, samples and notices out. Time is the samples' own.

    Args:
        counts: of the link, where changes of scale are counted as well.
    """

    def __init__(self, counts: LinkCounts) -> None:
        self._scale = ScaleWatch(counts)
        self._told_ns: dict[tuple[Quantity, Flaw], int] = {}

    def feed(self, samples: Iterable[Sample]) -> list[Sample | Notice]:
        """Return the samples, each followed by a notice for what was not told within the last hour."""
        said: list[Sample | Notice] = []
        for sample in samples:
            said.append(sample)
            if sample.flaws:
                said += self._tell(sample)
            said += self._scale.feed(sample)
        return said

    def _tell(self, sample: Sample) -> list[Notice]:
        now_ns = sample.at.mono_ns
        kinds = Counter((channel.quantity, flaw) for channel, flaw in sample.flaws.items())
        notices = []
        for (quantity, flaw), channels in kinds.items():
            told_ns = self._told_ns.get((quantity, flaw))
            if told_ns is None or (now_ns - told_ns >= AGAIN_NS and flaw is not Flaw.PLACEHOLDER):
                self._told_ns[quantity, flaw] = now_ns
                facts: dict[str, int | str] = {
                    "quantity": quantity.key,
                    "flaw": flaw.name.lower(),
                    "channels": channels,
                }
                code = EventCode.PLACEHOLDER_SEEN if flaw is Flaw.PLACEHOLDER else EventCode.VALUES_FLAWED
                notices.append(Notice(code, sample.at, facts))
        return notices

"""Questions: a gateway whose log was forked or rolled back asks how far both histories are the same.

It names ends within its log, one after another (docs/formats/exchange.md, Fork and rollback). The first refusal shows
the fork; what follows from the same gateway says nothing new of it.
"""

from packseal.core.exchange import LogEnd, Refused

SEARCH_MS = 120_000
"""From one question to the next: a gateway asks some twenty of them, over a poor link one in a few seconds."""


class Questions:
    """Tells the questions of a search from a first refusal. Holds one end per log that was refused."""

    def __init__(self) -> None:
        self._searches: dict[bytes, tuple[int, int]] = {}

    def is_one(self, end: LogEnd, problem: Refused, now_ms: int) -> bool:
        """Whether this refused position is a question of a search under way; if not, one may begin with it."""
        whole, asked_ms = self._searches.get(problem.log_id, (0, 0))
        if end.next_sequence < whole and now_ms - asked_ms < SEARCH_MS:
            self._searches[problem.log_id] = whole, now_ms
            return True
        self._searches[problem.log_id] = end.next_sequence, now_ms
        return False

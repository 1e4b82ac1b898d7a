"""Rates: how much one gateway may send, so that one that has gone mad does not starve the others. Memory is bounded.

Two token buckets for each gateway key, of bytes and of requests, that hold a minute's worth: a backlog may come at
once, a flood may not. Only what was verified is counted against a key: nobody can use up the share of another.
"""

import math
import time
from collections.abc import Callable

BURST_S = 60.0
KEYS_KEPT = 10_000
"""Twice the gateways that one sink is meant for. A key that is forgotten has a full bucket again."""

LEAST_WAIT_S = 1


class Rates:
    """Says how long a key must wait.

    Args:
        bytes_per_s: of records of one key; 0 is no limit.
        requests_per_s: of one key; 0 is no limit.
        now_s: returns monotonic seconds.
    """

    def __init__(
        self, bytes_per_s: float = 0, requests_per_s: float = 0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = (bytes_per_s, requests_per_s)
        self._now_s = now_s
        self._spent: dict[bytes, tuple[float, list[float]]] = {}
        self.slowed = 0
        """Requests that were told to wait."""

    def wait_s(self, kid: bytes) -> int:
        """Return after how many whole seconds this key's requests are taken again; 0 is now."""
        waits = [
            (spent - BURST_S * rate) / rate
            for spent, rate in zip(self._present(kid), self._rates, strict=True)
            if rate and spent > BURST_S * rate
        ]
        if not waits:
            return 0
        self.slowed += 1
        return max(LEAST_WAIT_S, math.ceil(max(waits)))

    def spend(self, kid: bytes, size: int) -> None:
        """Count one request with so many bytes of this key's own records."""
        if not any(self._rates):
            return
        spent = self._present(kid)
        self._spent.pop(kid, None)  # so that the dictionary's first key is the one unheard of for longest
        self._spent[kid] = self._now_s(), [spent[0] + size, spent[1] + 1]
        if len(self._spent) > KEYS_KEPT:
            del self._spent[next(iter(self._spent))]

    def _present(self, kid: bytes) -> list[float]:
        """Return what is spent and has not flowed back since."""
        at_s, spent = self._spent.get(kid, (0.0, [0.0, 0.0]))
        passed_s = self._now_s() - at_s
        return [max(0.0, used - rate * passed_s) for used, rate in zip(spent, self._rates, strict=True)]

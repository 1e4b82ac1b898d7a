"""Uplink: how one request reaches the sink and one reply comes back. Knows nothing of what they say."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self


class Uplink(Protocol):
    """A way to the sink. `async with` connects it; it can be entered again after it was left."""

    @property
    def ordered(self) -> bool:
        """Whether requests reach the sink in the order in which `exchange` was called."""

    @property
    def notes(self) -> Sequence[str]:
        """What somebody should act on although it works: one sentence each, such as a certificate that expires."""

    @property
    def max_request_bytes(self) -> int | None:
        """The largest request that the other side takes; None: it has set no limit. Known once connected."""

    async def __aenter__(self) -> Self:
        """Connect; raises UplinkError when the sink cannot be reached."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect. On the way out of an error this does not wait for the other side."""

    async def exchange(self, request: bytes) -> bytes:
        """Send one request and return its reply; many may be under way at once.

        Raises:
            UplinkError: lost, or not answered in time. The sink may or may not have acted on the request, and the
                uplink must be left and entered again.
        """

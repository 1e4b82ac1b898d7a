"""Names: the addresses of one host, from name servers that may be slow, silent or wrong.

The C library's resolver blocks: 5 s per server and try, twice (resolv.conf(5): timeout, attempts). Here it has a thread
of its own, one at a time and waited for by nobody who has to stop, and whoever asks meanwhile gets the same answer.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from packseal.core.errors import UplinkError

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
MAX_ADDRESSES = 4  # of one name, tried side by side


class Names:
    """Asks for the addresses of one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._asked: asyncio.Future[list[Address]] | None = None

    async def ask(self, wait_s: float) -> Sequence[Address]:
        """Return the addresses, both families in turn; raises UplinkError when there are none within `wait_s`."""
        loop = asyncio.get_running_loop()
        if self._asked is None or self._asked.done() or self._asked.get_loop() is not loop:
            self._asked = loop.create_future()
            # A future that nobody waits for any more may end with an error all the same.
            self._asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
            thread = threading.Thread(target=self._resolve, args=(loop, self._asked), name="resolve", daemon=True)
            thread.start()
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(self._asked)
        except TimeoutError as error:
            raise UplinkError(f"no name server answers for {self._host}") from error
        except OSError as error:
            raise UplinkError(f"the name {self._host} cannot be resolved: {error.strerror}") from error

    def _resolve(self, loop: asyncio.AbstractEventLoop, asked: asyncio.Future[list[Address]]) -> None:
        found: list[Address] | OSError = OSError(0, "the system's resolver failed")
        try:
            # As bytes: for a text Python loads what internationalised names need, 0.9 MB of the agent's memory.
            host = self._host.encode() if self._host.isascii() else self._host
            told = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
            found = _in_turn([(socket.AddressFamily(family), place) for family, _, _, _, place in told])
        except OSError as error:
            found = error
        except UnicodeError:  # a name with an empty or too long part (RFC 1035 §2.3.4) is not even asked for
            found = OSError(0, "it is not a name that can be asked for")
        finally:  # whatever else went wrong: nobody must wait for a thread that has ended
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, asked, found)


def _settle(asked: asyncio.Future[list[Address]], found: list[Address] | OSError) -> None:
    if asked.done():
        return
    if isinstance(found, OSError):
        asked.set_exception(found)
    else:
        asked.set_result(found)


def _in_turn(found: Sequence[Address]) -> list[Address]:
    """Return at most MAX_ADDRESSES, the families by turns, so that neither fills the list alone (RFC 8305 §4)."""
    first = found[0][0] if found else None
    preferred, other = ([a for a in found if (a[0] == first) is same] for same in (True, False))
    mixed = chain.from_iterable(zip_longest(preferred, other))
    return [address for address in mixed if address is not None][:MAX_ADDRESSES]

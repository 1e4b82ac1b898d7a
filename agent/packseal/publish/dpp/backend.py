"""Backend: the operator's server with our credentials, and the wait for what it has only accepted so far."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from packseal.publish.dpp import answers
from packseal.publish.dpp.answers import LaterError, RefusedError
from packseal.publish.dpp.credentials import Credentials
from packseal.publish.dpp.server import Server
from packseal.uplink.http import Headers, Reply

FIRST_POLL_S, LONGEST_POLL_S = 0.5, 15.0
RUNNING = ("pending", "running", "processing", "initiated", "accepted", "inprogress", "in_progress", "queued")
FAILED = ("failed", "error", "canceled", "cancelled", "timeout", "rejected")
"""Words of the AAS API's executionState and of others' status, in lower case."""


class Backend:
    """Args: the server, who we are to it, and how long something accepted may take until it is done."""

    def __init__(self, server: Server, credentials: Credentials, accept_s: float) -> None:
        self.server = server
        self.credentials = credentials
        self._accept_s = accept_s

    async def ask(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Reply:
        """Return the reply to a request below the server's path; a token that ran out is renewed once.

        Raises:
            LaterError: nothing came back.
            CredentialsError, InputError: there is nothing to say who we are.
        """
        return await self._ask(method, self.server.path + path, headers, body)

    async def accepted(self, reply: Reply, what: str, is_there: Callable[[], Awaitable[bool]]) -> None:
        """Wait until what was accepted (202) is done: by the address that the reply names, or else by reading it.

        An address on another server is not asked: our credentials are for this one.

        Raises:
            LaterError: it was not done within the time; in doubt.
            RefusedError: it failed.
        """
        target = self._status_target(reply)
        until, pause_s = time.monotonic() + self._accept_s, FIRST_POLL_S
        while time.monotonic() < until:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_POLL_S)
            if target is None:
                if await is_there():
                    return
            elif self._is_done(await self._ask("GET", target, [("Accept", "application/json")], b""), what):
                return
        raise LaterError(f"{what}: accepted, but not done within {self._accept_s:g} s", in_doubt=True)

    def _is_done(self, reply: Reply, what: str) -> bool:
        # 303 leads to the result, which is done then (RFC 9110 §15.4.4); its place is not followed.
        if reply.status == 303:  # noqa: PLR2004
            return True
        answers.check(reply, what)
        found = answers.content(reply)
        word = None
        if isinstance(found, Mapping):
            word = found.get("executionState") or found.get("state") or found.get("status")
        text = str(word or "").lower()
        if text in FAILED:
            raise RefusedError(f"{what}: accepted first, then failed: {answers.explain(reply)}", reply.status)
        return answers.status_of(reply) != answers.ACCEPTED and text not in RUNNING

    def _status_target(self, reply: Reply) -> str | None:
        place = reply.headers.get("location") or reply.headers.get("operation-location") or ""
        parts = urlsplit(place)
        if not place or (parts.netloc and f"{parts.scheme}://{parts.netloc}" != self.server.origin):
            return None
        if not place.isascii() or not place.isprintable() or not parts.path.startswith("/"):
            return None
        return parts.path + (f"?{parts.query}" if parts.query else "")

    async def _ask(self, method: str, target: str, headers: Headers, body: bytes) -> Reply:
        said = await self.credentials.headers()
        reply = await self.server.ask_target(method, target, [*headers, *said], body)
        if reply.status == answers.UNAUTHORIZED and self.credentials.renew():
            said = await self.credentials.headers()
            reply = await self.server.ask_target(method, target, [*headers, *said], body)
        return reply

    async def close(self) -> None:
        """Close the connections."""
        await self.server.close()
        await self.credentials.close()

"""Credentials: who we are to a backend. What is secret stays in its file, is read each time, and is never logged."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

from packseal.core.errors import InputError
from packseal.publish.dpp.answers import CredentialsError, check
from packseal.publish.dpp.server import Server
from packseal.uplink.http import Headers

MAX_SECRET_BYTES = 16384
"""More than any token; a file that is longer is the wrong one."""
EARLY_S = 30.0
"""A token is renewed so long before it ends: a request and a slow link fit in."""
DEFAULT_TOKEN_S = 300.0
"""For a token server that does not say how long its token lives (RFC 6749 §5.1 only recommends it)."""


class Credentials(Protocol):
    """What is added to every request."""

    async def headers(self) -> Headers:
        """Return the header fields that say who we are; raises InputError or UplinkError."""

    def renew(self) -> bool:
        """Forget what was refused; return whether a new one may do better at once."""

    def stamp(self) -> object:
        """Return what changes when the secret's file does: then it is worth another try."""

    async def close(self) -> None:
        """Close connections."""


class NoCredentials:
    """Nothing is said, or TLS says it all."""

    async def headers(self) -> Headers:
        """Return none."""
        return ()

    def renew(self) -> bool:
        """Return that nothing can be renewed."""
        return False

    def stamp(self) -> object:
        """Return always the same."""
        return None

    async def close(self) -> None:
        """Do nothing."""


class FileCredentials(NoCredentials):
    """A token or key in a file, sent in one header field.

    Args:
        path: the file; white space around the secret does not count.
        name: of the header field.
        scheme: what stands before the secret, such as Bearer (RFC 6750 §2.1).
    """

    def __init__(self, path: Path, name: str = "Authorization", scheme: str = "Bearer") -> None:
        self._path, self._name, self._scheme = path, name, scheme

    async def headers(self) -> Headers:
        """Return the field; raises InputError when the file cannot be used."""
        return [(self._name, f"{self._scheme} {secret(self._path)}".strip())]

    def stamp(self) -> object:
        """Return when the file changed last, and its size."""
        return _stamp(self._path)


class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749 §4.4): a token from a token server, kept until shortly before its end.

    Args:
        server: the token server.
        client_id: who we are there.
        secret_file: holds the client's secret.
        scope: what is asked for; empty for the server's default.
        in_body: whether id and secret go in the form, for a server that does not take HTTP Basic (RFC 6749 §2.3.1).
    """

    def __init__(self, server: Server, client_id: str, secret_file: Path, scope: str = "", *, in_body: bool) -> None:
        self._server, self._client_id, self._secret_file = server, client_id, secret_file
        self._scope, self._in_body = scope, in_body
        self._token, self._until = "", 0.0

    async def headers(self) -> Headers:
        """Return the token; raises InputError, or UplinkError when the token server gives none."""
        now = asyncio.get_running_loop().time()
        if not self._token or now >= self._until:
            self._token, lives_s = await self._fetch()
            self._until = now + max(lives_s - EARLY_S, lives_s / 2)
        return [("Authorization", f"Bearer {self._token}")]

    async def _fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        hidden = secret(self._secret_file)
        if self._scope:
            form["scope"] = self._scope
        if self._in_body:
            form |= {"client_id": self._client_id, "client_secret": hidden}
        else:
            pair = f"{quote(self._client_id, safe='')}:{quote(hidden, safe='')}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        reply = await self._server.ask("POST", "", headers, urlencode(form).encode())
        if reply.status in (400, 401, 403):  # RFC 6749 §5.2: the client is not accepted
            what = f"the token server {self._server.name} does not accept client {self._client_id}"
            raise CredentialsError(f"{what}: HTTP {reply.status}", reply.status)
        check(reply, f"the token server {self._server.name}")
        try:
            found = json.loads(reply.body)
            return str(found["access_token"]), float(found.get("expires_in") or DEFAULT_TOKEN_S)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CredentialsError(f"the token server {self._server.name} answers without an access token") from None

    def renew(self) -> bool:
        """Forget the token; return whether there was one."""
        had, self._token = bool(self._token), ""
        return had

    def stamp(self) -> object:
        """Return when the secret's file changed last, and its size."""
        return _stamp(self._secret_file)

    async def close(self) -> None:
        """Close the connection to the token server."""
        await self._server.close()


def secret(path: Path) -> str:
    """Return the secret in a file; raises InputError when it cannot be used."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise InputError(f"the secret in {path} cannot be read: {error.strerror}") from error
    text = found[: MAX_SECRET_BYTES + 1].decode("latin-1").strip()
    if not text or len(text) > MAX_SECRET_BYTES or not (text.isascii() and text.isprintable()):
        raise InputError(f"{path} must hold one secret of printable ASCII on one line, and nothing else")
    return text


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size

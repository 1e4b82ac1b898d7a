"""Answers: what a backend's reply means, told apart by what the gateway does next.

The envelopes of EN 18222 differ between implementers (`messages`, `message`, `result.message`, a bare document, a
status word in a reply of 200), so every one of them is understood.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from packseal.core.errors import UplinkError
from packseal.uplink.http import Reply

MAX_REASON = 300
MAX_RETRY_AFTER_S = 3600.0
"""A server that asks for more is asked again after this."""
STATUS_WORDS = {
    "ClientErrorBadRequest": 400,
    "ClientNotAuthorized": 401,
    "ClientForbidden": 403,
    "ClientErrorResourceNotFound": 404,
    "ClientMethodNotAllowed": 405,
    "ClientResourceConflict": 409,
    "ServerInternalError": 500,
    "ServerNotImplemented": 501,
    "ServerErrorBadGateway": 502,
}
"""EN 18222 Table 15, the errors."""
ACCEPTED = 202
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, CONFLICT, GONE = 401, 403, 404, 405, 409, 410
PRECONDITION_FAILED, UNSUPPORTED_MEDIA_TYPE, TOO_MANY, TIMEOUT = 412, 415, 429, 408
NOT_IMPLEMENTED, UNAVAILABLE = 501, 503


class BackendError(UplinkError):
    """The backend did not take what it was sent. `status` is that of HTTP, 0 without a reply."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class RefusedError(BackendError):
    """It will not take this, however often it is sent."""


class CredentialsError(BackendError):
    """It does not accept who we say we are."""


class NotThereError(BackendError):
    """It does not know what was named."""


class ConflictError(BackendError):
    """It holds something else than was thought: read it again."""


class NotOfferedError(BackendError):
    """It does not offer this operation."""


class LaterError(BackendError):
    """It may take it later. `after_s` is what it asked for; `in_doubt` whether it may have been taken all the same."""

    def __init__(self, text: str, status: int = 0, after_s: float | None = None, *, in_doubt: bool = False) -> None:
        super().__init__(text, status)
        self.after_s = after_s
        self.in_doubt = in_doubt


def content(reply: Reply) -> Any:
    """Return the reply's JSON, without the envelope that some put around it; None where it has none."""
    found = _json(reply)
    if isinstance(found, Mapping) and "payload" in found and ("statusCode" in found or "result" in found):
        return found["payload"]
    return found


def status_of(reply: Reply) -> int:
    """Return the status, or in its place that of an error's word in a reply of success."""
    if reply.status < 300 and isinstance(found := _json(reply), Mapping):  # noqa: PLR2004 - RFC 9110 §15.3
        for envelope in (found, found.get("result"), found.get("Result")):
            word = envelope.get("statusCode") if isinstance(envelope, Mapping) else None
            if word in STATUS_WORDS:
                return STATUS_WORDS[word]
    return reply.status


def check(reply: Reply, what: str) -> None:
    """Return when the reply says that it was done or accepted.

    Raises:
        RefusedError, CredentialsError, NotThereError, ConflictError, NotOfferedError, LaterError: see each.
    """
    status = status_of(reply)
    text = f"{what}: HTTP {status}: {explain(reply)}"
    if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110 §15.3
        return
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110 §15.4
        raise LaterError(f"{what}: it is redirected to {reply.headers.get('location', '?')[:200]}: set url", status)
    if status in (TOO_MANY, UNAVAILABLE):
        raise LaterError(text, status, retry_after_s(reply))
    if status in (NOT_IMPLEMENTED, METHOD_NOT_ALLOWED):
        raise NotOfferedError(text, status)
    if status >= 500 or status == TIMEOUT:  # noqa: PLR2004 - RFC 9110 §15.6
        raise LaterError(text, status, in_doubt=True)
    kinds: Mapping[int, type[BackendError]] = {
        UNAUTHORIZED: CredentialsError,
        NOT_FOUND: NotThereError,
        GONE: NotThereError,
        CONFLICT: ConflictError,
        PRECONDITION_FAILED: ConflictError,
    }
    raise kinds.get(status, RefusedError)(text, status)


def explain(reply: Reply) -> str:
    """Return what the backend says of it, as one line."""
    texts = list(dict.fromkeys(_texts(_json(reply), 0))) or [reply.text]
    line = " ".join("; ".join(texts).split())
    return "".join(c for c in line if c.isprintable())[:MAX_REASON] or "no text"


def retry_after_s(reply: Reply) -> float | None:
    """Return Retry-After (RFC 9110 §10.2.3) in seconds, bounded; None where there is none that can be read."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        left = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return None
    return min(max(left, 0.0), MAX_RETRY_AFTER_S)


def date_ms(reply: Reply) -> int | None:
    """Return the backend's own time (RFC 9110 §6.6.1) in UTC ms; None where it tells none."""
    try:
        return int(parsedate_to_datetime(reply.headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _json(reply: Reply) -> Any:
    try:
        return json.loads(reply.body) if reply.body else None
    except (ValueError, RecursionError):
        return None


def _texts(found: object, depth: int) -> Iterator[str]:
    """Yield the texts of every envelope that is known: EN 18222, AAS API, RFC 9457, RFC 6749."""
    if isinstance(found, list) and depth < 4:  # noqa: PLR2004 - deeper than any of them
        for entry in found:
            yield from _texts(entry, depth + 1)
    elif isinstance(found, Mapping) and depth < 4:  # noqa: PLR2004
        for name in (
            "result",
            "Result",
            "messages",
            "message",
            "text",
            "detail",
            "title",
            "error_description",
            "error",
        ):
            inner = found.get(name)
            if isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner, depth + 1)

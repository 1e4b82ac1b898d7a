"""The JSON API: what the reader says, as it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from packseal.core.passport import FIELD_BY_KEY, Field
from packseal_sink.history import DEFAULT_POINTS, MAX_POINTS
from packseal_sink.reader import NOTABLE_LIMIT, Reader

MS_PER_S = 1000
MAX_NOTABLE = 1000


@dataclass(frozen=True, slots=True)
class Api:
    """Routes of the JSON API.

    Args:
        reader: answers.
        status: makes what /status says.
    """

    reader: Reader
    status: Callable[[], object]

    def routes(self) -> list[Route]:
        """Return the routes. A battery's id is a URI, percent-encoded or not, so it may hold slashes."""
        return [
            Route("/batteries", self._batteries),
            Route("/batteries/{id:path}/snapshot", self._snapshot),
            Route("/batteries/{id:path}/history", self._history),
            Route("/batteries/{id:path}/records", self._records),
            Route("/batteries/{id:path}/holes", self._holes),
            Route("/batteries/{id:path}/refusals", self._refusals),
            Route("/gateways", self._gateways),
            Route("/status", self._status),
        ]

    # Plain functions: Starlette runs them in its worker threads, where waiting for the database holds nobody up.
    def _batteries(self, _: Request) -> Response:
        return _json(self.reader.batteries())

    def _snapshot(self, request: Request) -> Response:
        return _json(self.reader.snapshot(request.path_params["id"]))

    def _history(self, request: Request) -> Response:
        field = requested_field(request)
        limit = number(request, "limit", DEFAULT_POINTS, 2, MAX_POINTS)
        return _json(self.reader.history(request.path_params["id"], field, limit, requested_span_ms(request)))

    def _records(self, request: Request) -> Response:
        limit = number(request, "limit", NOTABLE_LIMIT, 1, MAX_NOTABLE)
        return _json(self.reader.notable(request.path_params["id"], limit))

    def _holes(self, request: Request) -> Response:
        limit = number(request, "limit", NOTABLE_LIMIT, 1, MAX_NOTABLE)
        return _json(self.reader.holes(request.path_params["id"], limit))

    def _refusals(self, request: Request) -> Response:
        return _json(self.reader.refusals(request.path_params["id"]))

    def _gateways(self, _: Request) -> Response:
        return _json(self.reader.gateways())

    def _status(self, _: Request) -> Response:
        return _json(self.status())


def requested_field(request: Request) -> Field:
    """Return the field that the query names."""
    key = request.query_params.get("field", "")
    if key not in FIELD_BY_KEY:
        raise HTTPException(400, f"field={key!r} is none of {', '.join(FIELD_BY_KEY)}")
    return FIELD_BY_KEY[key]


def requested_span_ms(request: Request) -> int | None:
    """Return how far back from the newest value the query asks for; None is everything."""
    span_s = number(request, "span_s", 0, 0, 10**10)
    return span_s * MS_PER_S or None


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of the query."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):  # noqa: PLR2004
        raise HTTPException(400, f"{name} must be a whole number from {low} to {high}")
    return int(text)


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content) + b"\n", media_type="application/json")

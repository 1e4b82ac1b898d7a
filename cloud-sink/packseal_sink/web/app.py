"""The HTTP application: routes, limits and headers. The reader says what it shows, ingest takes what it is given."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packseal.core.errors import InputError, StorageError
from packseal_sink.web.api import Api
from packseal_sink.web.pages import Pages

STATIC = Path(__file__).parent / "static"
MEDIA_TYPE = "application/cbor"  # RFC 8949 §9.3
MAX_REQUEST_BYTES = 8 << 20
"""Gateways cut batches at 1 MiB of records; a single record may reach 1 MiB as well."""

# Everything comes from this server, nothing is inline, nobody may frame it (https://www.w3.org/TR/CSP3/).
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Exchange:
    """POST /v1/exchange."""

    handle: Callable[[bytes], bytes]

    async def __call__(self, request: Request) -> Response:
        """Hand the body to ingest in a worker thread, since it writes and verifies."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
            raise HTTPException(415, f"a request is {MEDIA_TYPE}")
        body = bytearray()
        with suppress(ClientDisconnect):  # whoever has gone needs no answer
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_REQUEST_BYTES:
                    raise HTTPException(413, f"a request has at most {MAX_REQUEST_BYTES} bytes")
            return Response(await run_in_threadpool(self.handle, bytes(body)), media_type=MEDIA_TYPE)
        return Response(status_code=400)


class _Headers:
    """Adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def application(handle: Callable[[bytes], bytes], api: Api, pages: Pages) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[
            Route("/v1/exchange", _Exchange(handle).__call__, methods=["POST"]),
            *pages.routes(),
            *api.routes(),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(_Headers)],
        exception_handlers={
            InputError: _not_found,
            StorageError: _unavailable,
            HTTPException: _refused,
        },
    )


async def _not_found(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404)


async def _unavailable(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 503)


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    headers = error.headers if isinstance(error, HTTPException) else None
    return PlainTextResponse(f"{detail}\n", status, headers=headers)

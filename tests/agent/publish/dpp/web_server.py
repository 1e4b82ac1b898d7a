"""A small HTTP server in a thread, which writes down what it was asked: the base of the tests' own backends."""

import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """One request, and the status it got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Told:
    """One reply. `raw` in place of JSON; a status of 0 breaks the connection off."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


class WebServer:
    """Answers by `answer`; `script` holds replies that come before, one per request of a method in `scripted`."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.script: list[Told] = []
        self.scripted: Sequence[str] = ("PATCH", "PUT", "POST")
        self.lock = threading.RLock()
        self.away = False  # every connection is broken off
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_GET(self) -> None:
                server._serve(self)

            do_PATCH = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def answer(self, asked: Asked) -> Told:
        """What the server says; with the lock held."""
        raise NotImplementedError

    def of(self, method: str) -> list[Asked]:
        """The requests of a method."""
        return [each for each in self.asked if each.method == method]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, handler.path, headers, body)
        if self.away:
            handler.close_connection = True
            return
        with self.lock:
            told = self.script.pop(0) if self.script and asked.method in self.scripted else self.answer(asked)
            self.asked.append(Asked(asked.method, asked.path, headers, body, told.status))
        if not told.status:
            handler.close_connection = True
            return
        content = told.raw if told.raw is not None else b"" if told.body is None else json.dumps(told.body).encode()
        handler.send_response_only(told.status)
        for name, value in {
            "Date": formatdate(usegmt=True),
            "Content-Length": str(len(content)),
            **told.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

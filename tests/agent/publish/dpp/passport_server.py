"""A small stateful server of EN 18222, with the ways in which the public descriptions of the interface differ."""

import base64
import re
import ssl
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from tests.agent.publish.dpp.web_server import Asked, Told, WebServer

from packseal.core.merge_patch import merged
from packseal.core.translate.en18223 import PRODUCT_CONDITION

PASSPORT = "https://example.org/dpp/1"
BATTERY = "urn:example:battery:1"
MERGE_PATCH, JSON = "application/merge-patch+json", "application/json"
STEP = re.compile(r"\['((?:[^'\\]|\\.)*)'\]")


def passport(**more: Any) -> dict[str, Any]:
    """A passport that has only its header."""
    return {
        "digitalProductPassportId": PASSPORT,
        "uniqueProductIdentifier": BATTERY,
        "granularity": "Item",
        "dppSchemaVersion": "EN 18223:2026",
        "dppStatus": "Active",
        "lastUpdate": "2026-06-11T12:00:00Z",
        "economicOperatorId": "urn:example:operator:1",
        **more,
    }


class PassportServer(WebServer):
    """Its settings say which of the variants it is."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(tls, port)
        self.passports: dict[str, dict[str, Any]] = {PASSPORT: passport()}
        self.versions: list[dict[str, Any]] = []
        self.media = {MERGE_PATCH, JSON}
        self.offers = {"whole", "elements"}
        self.tags = False  # entity tags, and If-Match is required
        self.later = 0  # updates are accepted (202), and done after so many looks at their status
        self.names_status = True  # whether 202 says where its status is
        self.refuses: dict[str, tuple[int, str]] = {}  # by name of an element
        self.whole_only = False  # the body must be a whole passport (with its header)
        self.envelope = False
        self.full_form = False  # unless the compressed form is asked for
        self.base64url = False
        self.token: str | None = None
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._looks = 0

    @property
    def url(self) -> str:
        return f"{self.origin}/api"

    @property
    def document(self) -> dict[str, Any]:
        return self.passports[PASSPORT]

    def answer(self, asked: Asked) -> Told:
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            return self.refusal(401, "who are you?")
        path, _, query = asked.path.partition("?")
        parts = path.split("/")
        if parts[:4] == ["", "api", "status", "7"]:
            return self._status()
        if parts[:3] != ["", "api", "v1"] or len(parts) not in (5, 7):
            return self.refusal(404, "no such route")
        name = self._name(parts[4])
        if parts[3] == "dppsByProductId":
            name = next((k for k, v in self.passports.items() if v["uniqueProductIdentifier"] == name), "")
        if name not in self.passports:
            return self.refusal(404, f"no passport {name!r}")
        return self._of(name, parts, query, asked)

    def _of(self, name: str, parts: list[str], query: str, asked: Asked) -> Told:
        if asked.method == "GET":
            return self._shown(name, query)
        if asked.method != "PATCH":
            return self.refusal(405, "not here")
        return self._element(name, unquote(parts[6]), asked) if len(parts) == 7 else self._whole(name, asked)

    def refusal(self, status: int, text: str) -> Told:
        """The envelope of a refusal, which differs between implementers."""
        message = {"messageType": "Error", "text": text, "code": "1", "correlationId": "1"}
        if self.envelope:
            word = {401: "ClientNotAuthorized", 404: "ClientErrorResourceNotFound", 409: "ClientResourceConflict"}
            result = {"statusCode": word.get(status, "ClientErrorBadRequest"), "result": {"message": [message]}}
            return Told(status if status >= 500 else 200, {**result, "payload": None})
        return Told(status, {"messages": [message]})

    def _name(self, text: str) -> str:
        return base64.urlsafe_b64decode(text + "==").decode() if self.base64url else unquote(text)

    def _shown(self, name: str, query: str) -> Told:
        document: dict[str, Any] = deepcopy(self.passports[name])
        if self.full_form and query != "representation=compressed":
            document = {k: v for k, v in document.items() if not isinstance(v, dict)} | {"elements": []}
        headers = {"ETag": self._tag(name)} if self.tags else {}
        if self.envelope:
            return Told(200, {"statusCode": "Success", "payload": document, "result": {"message": []}}, headers)
        return Told(200, document, headers)

    def _tag(self, name: str) -> str:
        return f'"{len(self.versions)}-{name}"'

    def _whole(self, name: str, asked: Asked) -> Told:
        if "whole" not in self.offers:
            return Told(501)
        if asked.headers["content-type"] not in self.media:
            return self.refusal(415, "unsupported media type")
        if self.whole_only and not set(passport()) - {"lastUpdate"} <= set(asked.json):
            return self.refusal(400, "a passport has more than that")
        return self._checked(name, asked, asked.json)

    def _element(self, name: str, path: str, asked: Asked) -> Told:
        names = STEP.findall(path)
        if "elements" not in self.offers:
            return Told(501)
        if not names or "$" + "".join(f"['{n}']" for n in names) != path:
            return self.refusal(400, "no normalized path")
        patch: Any = asked.json
        for step in reversed(names):
            patch = {step: patch}
        return self._checked(name, asked, patch)

    def _checked(self, name: str, asked: Asked, patch: dict[str, Any]) -> Told:
        if self.tags and asked.headers.get("if-match") != self._tag(name):
            return self.refusal(412, "it has changed since")
        for wrong, (status, text) in self.refuses.items():
            if wrong in set(_names(patch)):
                return self.refusal(status, text)
        if self.later:
            self._waiting.append((name, patch))
            self._looks = 0
            return Told(202, None, {"Location": "/api/status/7"} if self.names_status else {})
        self._store(name, patch)
        return self._shown(name, "representation=compressed") if not self.tags else Told(204)

    def _status(self) -> Told:
        self._looks += 1
        if self._looks < self.later:
            return Told(202, {"executionState": "Running"})
        self.settle()
        return Told(200, {"executionState": "Completed"})

    def settle(self) -> None:
        """Do what was accepted."""
        while self._waiting:
            self._store(*self._waiting.pop(0))

    def _store(self, name: str, patch: dict[str, Any]) -> None:
        self.passports[name] = merged(self.passports[name], patch)
        self.versions.append(deepcopy(self.passports[name]))


def _names(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return []
    return [*value, *(name for inner in value.values() for name in _names(inner))]


def condition(server: PassportServer) -> Any:
    """Return what the passport says of the product's condition."""
    return server.document.get(PRODUCT_CONDITION, {})

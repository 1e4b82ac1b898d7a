"""EN 18222: the passport's API, UpdateDPPById (merge patch) and UpdateDataElement.

The text of the standard was not read: routes, media types and envelopes are those of two public API descriptions
(OpenEPCIS, Eclipse BaSyx) and where they differ, both are understood. docs/dpp-backend.md lists how.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from packseal.core.merge_patch import found_at, merged, patch_of
from packseal.core.translate import Subject
from packseal.core.translate.elements import SECTIONS, TIME_NAMES, Element, normalized_path
from packseal.core.translate.subject import stamp
from packseal.publish.dpp import answers
from packseal.publish.dpp.answers import LaterError, NotOfferedError, NotThereError, RefusedError
from packseal.publish.dpp.backend import Backend
from packseal.publish.dpp.dialect import Place
from packseal.publish.dpp.held import Held, Judged, time_of
from packseal.uplink.http import Reply

MERGE_PATCH = "application/merge-patch+json"  # RFC 7396 §4
JSON = "application/json"
HEADER = (
    "digitalProductPassportId",
    "uniqueProductIdentifier",
    "granularity",
    "dppSchemaVersion",
    "dppStatus",
    "economicOperatorId",
)
"""EN 18223 Table 1, what is mandatory beside the time."""
OTHER_MEDIA = {MERGE_PATCH: JSON, JSON: MERGE_PATCH}


@dataclass(slots=True)
class Habits:
    """What a backend is configured to want, or was found to want in this run.

    `ways`: how it is written to, the first is used: `whole` (UpdateDPPById) or `elements` (UpdateDataElement).
    `header`: whether the passport's header is sent with each patch, for a backend that wants whole documents.
    `base64url`: ids in paths so, instead of percent-encoded. `sections`: the backend's names of ours.
    """

    ways: list[str]
    version: str = "v1"
    header: bool = False
    base64url: bool = False
    sections: Mapping[str, str] = field(default_factory=dict)
    media: str = MERGE_PATCH
    representation: str = ""


class En18222:
    """A Dialect."""

    def __init__(self, backend: Backend, habits: Habits) -> None:
        self._backend = backend
        self._habits = habits
        self._configured = tuple(habits.ways)
        self._resolved: dict[str, str] = {}

    async def read(self, place: Place) -> Held:
        """Read the passport by its id, or else by the battery as product: ReadDPPById, ReadDPPByProductId."""
        known = place.passport or self._resolved.get(place.battery)
        kind, name = ("dpps", known) if known else ("dppsByProductId", place.battery)
        path = f"/{self._habits.version}/{kind}/{self._id(name)}"
        try:
            document, reply = await self._document(path, f"passport {name}")
        except NotThereError:
            self._resolved.pop(place.battery, None)  # a new passport may have taken its place
            raise
        passport = known or document.get("digitalProductPassportId")
        if not isinstance(passport, str) or not passport:
            raise LaterError(f"passport of {name}: the answer has no digitalProductPassportId")
        self._resolved[place.battery] = passport
        sections = {ours: document.get(self._section(ours), {}) for ours in SECTIONS.values()}
        header = {name: document[name] for name in (*HEADER, *TIME_NAMES) if name in document}
        held = Held(passport, sections, header, date_ms=answers.date_ms(reply))
        if tag := reply.headers.get("etag"):
            held.tags[passport] = tag
        return held

    def carries(self, place: Place, element: Element) -> bool:  # noqa: ARG002 - see Dialect
        """Return True: a passport has every section, or gets it by the patch."""
        return True

    def batches(self, judged: Sequence[Judged]) -> list[list[Judged]]:
        """Return all in one, or each alone where only elements can be written."""
        return [list(judged)] if self._way() == "whole" else [[each] for each in judged]

    async def write(self, held: Held, batch: Sequence[Judged], subject: Subject) -> bool:  # noqa: ARG002 - see Dialect
        """Patch the passport, or its one element."""
        way = self._way()
        path = f"/{self._habits.version}/dpps/{self._id(held.passport)}"
        try:
            if way == "whole":
                await self._patch_whole(held, path, batch)
            else:
                await self._patch_element(held, path, batch[0])
        except NotOfferedError:
            self._habits.ways.remove(way)
            raise
        return held.passport not in held.tags

    async def _patch_whole(self, held: Held, path: str, batch: Sequence[Judged]) -> None:
        places = [(self._path(each.element.path), each.value) for each in batch]
        body = {**(self._header(held, batch) if self._habits.header else {}), **patch_of(places)}
        for _ in OTHER_MEDIA:
            reply = await self._patch(held, path, body, self._habits.media)
            if reply.status != answers.UNSUPPORTED_MEDIA_TYPE:
                break
            self._habits.media = OTHER_MEDIA[self._habits.media]
        what = f"update of passport {held.passport}"
        answers.check(reply, what)
        if answers.status_of(reply) == answers.ACCEPTED:
            await self._backend.accepted(reply, what, lambda: self._is_there(path, batch))

    async def _patch_element(self, held: Held, path: str, each: Judged) -> None:
        element = each.element
        value = each.value
        if isinstance(value, Mapping):  # the element is replaced: what others put into it stays
            value = merged(found_at(held.sections, element.path), value)
        where = quote(normalized_path(self._path(element.path)), safe="")
        reply = await self._patch(held, f"{path}/elements/{where}", value, JSON)
        what = f"update of element {'.'.join(element.path[1:])}"
        try:
            answers.check(reply, what)
        except NotThereError as error:  # the passport was read a moment ago
            raise RefusedError(str(error), error.status) from error
        if answers.status_of(reply) == answers.ACCEPTED:
            await self._backend.accepted(reply, what, lambda: self._is_there(path, [each]))

    async def _patch(self, held: Held, path: str, body: object, media: str) -> Reply:
        headers = [("Content-Type", media), ("Accept", JSON)]
        if tag := held.tags.get(held.passport):
            headers.append(("If-Match", tag))
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return await self._backend.ask("PATCH", path, headers, content)

    async def _is_there(self, path: str, batch: Sequence[Judged]) -> bool:
        """Return whether the backend holds what it accepted earlier."""
        document, _ = await self._document(path, "the passport")
        held = [found_at(document, self._path(each.element.path)) for each in batch]
        return all(
            there == each.value or (time_of(there) or 0) >= each.element.last_update_ms
            for there, each in zip(held, batch, strict=True)
        )

    async def _document(self, path: str, what: str) -> tuple[Mapping[str, Any], Reply]:
        """Return the passport in its compressed form, which is asked for by name when another one came."""
        for _ in range(2):
            reply = await self._backend.ask("GET", path + self._habits.representation, [("Accept", JSON)])
            answers.check(reply, what)
            document = answers.content(reply)
            if not isinstance(document, Mapping):
                raise LaterError(f"{what}: the answer is no JSON object")
            if not isinstance(document.get("elements"), list):
                return document, reply
            self._habits.representation = "?representation=compressed"
        raise LaterError(f"{what}: the backend answers in the full form, also when the compressed one is asked for")

    def _header(self, held: Held, batch: Sequence[Judged]) -> dict[str, Any]:
        """Return the passport's own header as it was read, with the time of what is new in it."""
        newest = max(time_of(held.header) or 0, *(each.element.last_update_ms for each in batch))
        name = next((name for name in TIME_NAMES if name in held.header), "lastUpdate")
        return {**held.header, name: stamp(newest)}

    def _way(self) -> str:
        if not self._habits.ways:
            self._habits.ways = list(self._configured)
            raise LaterError("the backend offers no way to write that is configured: UpdateDPPById, UpdateDataElement")
        return self._habits.ways[0]

    def _id(self, name: str) -> str:
        if self._habits.base64url:
            return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        return quote(name, safe="")

    def _section(self, ours: str) -> str:
        return self._habits.sections.get(ours, ours)

    def _path(self, path: Sequence[str]) -> list[str]:
        return [self._section(path[0]), *path[1:]]

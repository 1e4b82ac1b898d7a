"""The AAS API (IDTA 01002 part 2): values of a submodel by `$value`, or whole elements where a server has no `$value`.

A passport is up to three submodels here, the IDTA 02035 parts 5, 4 and 1. Their elements are named as in the models
`aas`, `idta-technical` and `idta-nameplate`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from packseal.core.merge_patch import patch_of
from packseal.core.translate import Subject, aas
from packseal.core.translate.aas_fill import filled, with_value
from packseal.core.translate.aas_unfold import unfolded
from packseal.core.translate.elements import SECTIONS, Element
from packseal.core.translate.en18223 import PRODUCT_CONDITION
from packseal.publish.dpp import answers
from packseal.publish.dpp.answers import LaterError, NotOfferedError, NotThereError, RefusedError
from packseal.publish.dpp.backend import Backend
from packseal.publish.dpp.dialect import Place
from packseal.publish.dpp.held import Held, Judged
from packseal.uplink.http import Reply

JSON = "application/json"
POWER, POWER_THERE = "RemainingPowerCapabilityValue", "RemainingPowerCapabilityDynamicAt"
"""One element of IDTA 02035-5 is called differently in its schema and in its template."""


class Aas:
    """A Dialect.

    Args:
        backend: the server; its path ends before `/submodels`.
        ways: how it is written to, the first is used: `value` ($value) or `element` (whole elements by PUT and POST).
    """

    def __init__(self, backend: Backend, ways: Sequence[str]) -> None:
        self._backend = backend
        self._configured = tuple(ways)
        self._ways = list(ways)

    async def read(self, place: Place) -> Held:
        """Read the submodels that the place names; that of the product condition has a default."""
        ids = _ids(place)
        held = Held(ids[PRODUCT_CONDITION], resources=ids)
        sections, raw = {}, {}
        for section, name in ids.items():
            found = await self._values(name, held) if self._ways[:1] == ["value"] else None
            if found is None:
                reply = await self._ask(held, "GET", name, "")
                answers.check(reply, f"submodel {name}")
                whole = answers.content(reply)
                if not isinstance(whole, Mapping):
                    raise LaterError(f"submodel {name}: the answer is no JSON object")
                raw[section] = whole.get("submodelElements") or []
                parts = unfolded({"submodelElements": raw[section]})
                found = parts[0] if isinstance(parts[0], Mapping) else {}
            sections[section] = _renamed(found, POWER_THERE, POWER)
        held.sections, held.raw = sections, raw
        return held

    def carries(self, place: Place, element: Element) -> bool:
        """Return whether the submodel of the element's section is named."""
        return element.path[0] in _ids(place)

    def batches(self, judged: Sequence[Judged]) -> list[list[Judged]]:
        """Return the elements of each submodel together by `$value`; else each alone."""
        if self._way() != "value":
            return [[each] for each in judged]
        sections = dict.fromkeys(each.element.path[0] for each in judged)
        return [[each for each in judged if each.element.path[0] == section] for section in sections]

    async def write(self, held: Held, batch: Sequence[Judged], subject: Subject) -> bool:
        """Patch values, or put one element."""
        way = self._way()
        name = held.resources[batch[0].element.path[0]]
        try:
            if way == "value":
                await self._patch_values(held, name, batch, subject)
            else:
                await self._put(held, name, batch[0], subject)
        except NotOfferedError:
            self._ways.remove(way)
            raise
        return name not in held.tags

    async def _patch_values(self, held: Held, name: str, batch: Sequence[Judged], subject: Subject) -> None:
        what = f"values of submodel {name}"
        alone = batch[0].element.path if len(batch) == 1 else None
        if alone is None:
            places = [(each.element.path[1:], each.value) for each in batch]
            path, body = "/$value", patch_of(places)
        else:
            path, body = f"{_element_path(alone[1:])}/$value", batch[0].value
            what = f"value of {'.'.join(alone[1:])}"
        reply = await self._ask(held, "PATCH", name, path, _renamed(body, POWER, POWER_THERE))
        if alone is not None and answers.status_of(reply) == answers.NOT_FOUND:
            await self._post(held, name, batch[0], subject)
            return
        await self._done(reply, what, batch, held)

    async def _put(self, held: Held, name: str, each: Judged, subject: Subject) -> None:
        path = each.element.path
        there = _found(held.raw[path[0]], path[1:])
        if there is None:
            await self._post(held, name, each, subject)
            return
        whole: Mapping[str, Any] | None
        if path[0] == PRODUCT_CONDITION:
            whole = filled(there, _our_element(each, subject))
        else:
            whole = with_value(there, each.value)
        what = f"element {'.'.join(path[1:])}"
        if whole is None:
            raise RefusedError(f"{what}: the submodel has another structure there than IDTA 02035")
        reply = await self._ask(held, "PUT", name, _element_path(path[1:]), whole)
        await self._done(reply, what, [each], held)

    async def _post(self, held: Held, name: str, each: Judged, subject: Subject) -> None:
        """Add an element that the submodel does not have."""
        path = each.element.path
        what = f"element {'.'.join(path[1:])}"
        if path[0] != PRODUCT_CONDITION:
            raise RefusedError(
                f"{what}: the submodel {name} does not have it: add it from the template IDTA 02035", 404
            )
        reply = await self._ask(held, "POST", name, "/submodel-elements", _our_element(each, subject))
        await self._done(reply, f"new {what}", [each], held)

    async def _done(self, reply: Reply, what: str, batch: Sequence[Judged], held: Held) -> None:
        try:
            answers.check(reply, what)
        except NotThereError as error:  # the submodel was read a moment ago
            raise RefusedError(str(error), error.status) from error
        if answers.status_of(reply) == answers.ACCEPTED:
            await self._backend.accepted(reply, what, lambda: self._is_there(held, batch))

    async def _is_there(self, held: Held, batch: Sequence[Judged]) -> bool:
        """Return whether the server holds what it accepted earlier: the elements one by one."""
        for each in batch:
            path = each.element.path
            reply = await self._ask(held, "GET", held.resources[path[0]], _element_path(path[1:]))
            answers.check(reply, "the element")
            parts = unfolded({"submodelElements": [answers.content(reply)]})
            found = _renamed(parts[0], POWER_THERE, POWER)
            if not isinstance(found, Mapping) or found.get(path[-1]) != each.value:
                return False
        return True

    async def _values(self, name: str, held: Held) -> Any:
        """Return the submodel by `$value`; None when the server does not offer that."""
        reply = await self._ask(held, "GET", name, "/$value")
        try:
            answers.check(reply, f"submodel {name}")
        except NotOfferedError:
            if len(self._ways) > 1:
                self._ways.remove("value")
            return None
        except NotThereError:
            return None  # some know no `$value` at all; the submodel itself is asked for then
        found = answers.content(reply)
        return found if isinstance(found, Mapping) else None

    async def _ask(self, held: Held, method: str, name: str, path: str, body: object = None) -> Reply:
        where = f"/submodels/{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}{path}"
        headers = [("Accept", JSON)]
        if body is None:
            content = b""
        else:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            headers.append(("Content-Type", JSON))
            if tag := held.tags.get(name):
                headers.append(("If-Match", tag))
        reply = await self._backend.ask(method, where, headers, content)
        if method == "GET" and path in ("", "/$value"):
            held.date_ms = answers.date_ms(reply)
            if tag := reply.headers.get("etag"):
                held.tags[name] = tag
        return reply

    def _way(self) -> str:
        if not self._ways:
            self._ways = list(self._configured)
            raise LaterError("the server offers no way to write that is configured: $value, whole elements")
        return self._ways[0]


def _ids(place: Place) -> dict[str, str]:
    """Return the ids of the submodels by section. The default is that of `packseal export --as aas`."""
    default = {"product_condition": f"{place.passport or place.battery}/ProductCondition"}
    return {SECTIONS[word]: name for word, name in {**default, **place.submodels}.items()}


def _element_path(names: Sequence[str]) -> str:
    """Return the idShortPath (IDTA 01002 part 2): names with dots between."""
    return f"/submodel-elements/{quote('.'.join(names), safe='')}"


def _our_element(each: Judged, subject: Subject) -> dict[str, Any]:
    readings = {reading.field: reading for reading in subject.snapshot.readings}
    return aas.element(each.element.path[1], each.value, readings)


def _found(elements: Any, names: Sequence[str]) -> Mapping[str, Any] | None:
    at: Mapping[str, Any] | None = None
    for name in names:
        inside = elements if isinstance(elements, list) else []
        at = next((e for e in inside if isinstance(e, Mapping) and e.get("idShort") == name), None)
        if at is None:
            return None
        elements = at.get("value")
    return at


def _renamed(value: Any, old: str, new: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {new if name == old else name: _renamed(inner, old, new) for name, inner in value.items()}

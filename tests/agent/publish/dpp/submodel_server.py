"""A small stateful server of submodels that has `$value` (IDTA 01002 part 2): what the peer of others lacks."""

import base64
from typing import Any
from urllib.parse import unquote

from tests.agent.publish.dpp.web_server import Asked, Told, WebServer

from packseal.core.merge_patch import found_at, merged, patch_of


class SubmodelServer(WebServer):
    """Submodels in the value-only form by id. `refuses` names elements that it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.submodels: dict[str, dict[str, Any]] = {}
        self.refuses: set[str] = set()
        self.strict = False  # an element that the submodel does not have cannot get a value

    @property
    def url(self) -> str:
        return f"{self.origin}/api/v3.0"

    def answer(self, asked: Asked) -> Told:
        parts = asked.path.removeprefix("/api/v3.0/").split("/")
        if parts[0] != "submodels" or len(parts) < 3 or "=" in parts[1]:
            return Told(404, {"messages": [{"text": "no such route"}]})
        name = base64.urlsafe_b64decode(parts[1] + "==").decode()
        if name not in self.submodels:
            return Told(404, {"messages": [{"text": f"no submodel {name}"}]})
        if asked.method == "POST" and parts[2:] == ["submodel-elements"]:
            self.submodels[name][asked.json["idShort"]] = {"posted": True}
            return Told(201, asked.json)
        if parts[-1] != "$value":
            return Told(404, {"messages": [{"text": "no such route"}]})
        return self._value(name, unquote(parts[3]).split(".") if len(parts) > 3 else [], asked)

    def _value(self, name: str, path: list[str], asked: Asked) -> Told:
        held = self.submodels[name]
        if asked.method == "GET":
            return Told(200, held)
        patch = patch_of([(path, asked.json)]) if path else asked.json
        if self.refuses & set(patch):
            return Told(400, {"messages": [{"text": "value out of range"}]})
        if self.strict and any(found_at(held, [key]) is None for key in patch):
            return Told(404, {"messages": [{"text": "no such element"}]})
        self.submodels[name] = merged(held, patch)
        return Told(204)

"""The two public descriptions of EN 18222's interface, where they are at hand, and whether a request is as they say.

They are not part of the project: they are looked for where the schemas of the exports are.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.agent.publish.dpp.web_server import Asked

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "reference" / "schemas" / "en18222"
NORMALIZED = re.compile(r"\$(\['([^'\\]|\\.)+'\])+")


def description(name: str) -> Any:
    """`basyx-go` or `openepcis`."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: requests are not validated")
    path = FOLDER / f"{name}.openapi.yaml"
    if not path.exists():
        pytest.skip(f"the description {path.name} is not here: {FOLDER} is no folder of this project")
    return yaml.safe_load(path.read_text("utf-8"))


def faults(asked: Asked, found: Any) -> list[str]:
    """What the description has against a request."""
    operation, parameters = _operation(asked, found)
    if operation is None:
        return [f"no operation {asked.method} {asked.path}"]
    wrong = [f"{name} is empty or has a slash" for name, value in parameters.items() if not value or "/" in value]
    path = unquote(parameters.get("elementIdPath", "$['a']"))
    wrong += [] if NORMALIZED.fullmatch(path) else [f"{path} is no normalized path (RFC 9535 §2.7)"]
    if "requestBody" not in operation:
        return wrong if not asked.body else [*wrong, "a body where none belongs"]
    media = asked.headers.get("content-type", "")
    kinds = operation["requestBody"]["content"]
    if media not in kinds:
        return [*wrong, f"media type {media}, not {list(kinds)}"]
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: requests are not validated")
    schema = {**kinds[media]["schema"], "components": _sound(found["components"])}
    return [*wrong, *(error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(asked.json))]


def _operation(asked: Asked, found: Any) -> tuple[Any, dict[str, str]]:
    path = asked.path.partition("?")[0].removeprefix("/api")
    for template, operations in found["paths"].items():
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", template), path)
        if match and asked.method.lower() in operations:
            return operations[asked.method.lower()], match.groupdict()
    return None, {}


def _sound(components: Any) -> Any:
    """The components with `anyOf` for `oneOf`: its kinds overlap (number and integer, full and compressed)."""
    if isinstance(components, list):
        return [_sound(each) for each in components]
    if not isinstance(components, dict):
        return components
    return {"anyOf" if key == "oneOf" else key: _sound(value) for key, value in components.items()}

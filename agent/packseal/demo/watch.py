"""Watch: what the parts of the demo say of themselves while they run."""

import http
import http.client
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packseal.core.errors import InputError
from packseal.demo.places import HOST
from packseal.demo.player import Progress
from packseal.runtime.asking import ask

TIMEOUT_S = 5.0
LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Glance:
    """All parts at one moment. `agent` is the agent's status document, empty while nobody answers."""

    at_s: float
    agent: dict[str, Any] = field(default_factory=dict)
    feeder: Progress = field(default_factory=Progress)

    @property
    def battery(self) -> dict[str, Any]:
        """The status of the one battery; empty while nobody answers."""
        return dict(self.agent["batteries"][0]) if self.agent else {}

    @property
    def frames(self) -> int:
        """Frames that the agent has taken."""
        return int(self.battery["link"]["frames"]) if self.agent else 0

    @property
    def has_ended(self) -> bool:
        """Whether the agent has read the recording to its end."""
        return bool(self.agent) and bool(self.battery["ended"])


def ask_agent(path: Path) -> dict[str, Any]:
    """Return the running agent's status document; empty when nobody answers."""
    try:
        return ask(path)
    except InputError:
        return {}


def read_progress(path: Path) -> Progress:
    """Return what the feeder wrote last; nothing played when there is none."""
    try:
        return Progress(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Progress()


def ask_sink(port: int, path: str) -> Any:
    """Return a JSON document of the sink; None when it does not answer with one."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return json.loads(reply.read(LIMIT_BYTES)) if reply.status == http.HTTPStatus.OK else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()

"""Positions: what one backend took last of each element, and what it refused, kept over a crash in a small file.

The file is written after every answer that counts. A file that is damaged or gone costs nothing but a reading of the
backend: what it holds is compared before anything is sent.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from packseal.core.errors import StorageError
from packseal.core.passport import FIELD_BY_KEY
from packseal.core.translate.elements import Element
from packseal.core.update_policy import Sent
from packseal.registry.replacing import replace

log = logging.getLogger(__name__)

MAX_REFUSED = 64
"""Of one battery: more than the model has elements."""


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element as it was sent last: values by field key; times are UTC ms.

    `status` and `reason` are those of a refusal, and `configuration` the configuration under which it was refused.
    """

    values: dict[str, float]
    last_update_ms: int
    at_ms: int
    status: int = 0
    reason: str = ""
    configuration: str = ""

    def sent(self) -> Sent:
        """Return it as the update policy knows it."""
        values = {FIELD_BY_KEY[key]: value for key, value in self.values.items() if key in FIELD_BY_KEY}
        return Sent(values, self.last_update_ms, self.at_ms)


class BatteryPositions(msgspec.Struct, kw_only=True):
    """One battery: its passport, and by element what was taken and what was refused last."""

    passport: str = ""
    taken: dict[str, Position] = msgspec.field(default_factory=dict)
    refused: dict[str, Position] = msgspec.field(default_factory=dict)


class Kept(msgspec.Struct, kw_only=True):
    """The whole file. `target` is for whoever reads it."""

    target: str = ""
    batteries: dict[str, BatteryPositions] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the backend said of an element at `at_ms`, UTC; `status` and `reason` only of a refusal."""

    element: Element
    at_ms: int
    status: int = 0
    reason: str = ""


class Positions:
    """The positions at one backend.

    Args:
        path: the file.
        target: what the backend is called.
        configuration: changes when the configuration does; what was refused under another one is tried again.
    """

    def __init__(self, path: Path, target: str, configuration: str) -> None:
        self._path = path
        self._configuration = configuration
        self.kept = read(path) or Kept()
        self.kept.target = target

    def of(self, battery: str, passport: str) -> BatteryPositions:
        """Return the battery's positions; none for a passport that is another than before."""
        found = self.kept.batteries.setdefault(battery, BatteryPositions(passport=passport))
        if found.passport != passport:
            found = self.kept.batteries[battery] = BatteryPositions(passport=passport)
        return found

    def sent(self, battery: str, element: Element) -> Sent | None:
        """Return what was sent last of an element, taken or refused under this configuration; None when it is open."""
        found = self.kept.batteries.get(battery)
        if found is None:
            return None
        position = self.refusal(found, element.key) or found.taken.get(element.key)
        return None if position is None else position.sent()

    def refusal(self, found: BatteryPositions, key: str) -> Position | None:
        """Return the refusal of an element that still counts."""
        position = found.refused.get(key)
        return position if position is not None and position.configuration == self._configuration else None

    def note(self, battery: str, passport: str, answer: Answer) -> None:
        """Keep an answer; `save` makes it durable."""
        element = answer.element
        values = {field.key: value for field, value in element.fields.items()}
        found, key = self.of(battery, passport), element.key
        if not answer.reason:
            found.refused.pop(key, None)
            found.taken[key] = Position(values=values, last_update_ms=element.last_update_ms, at_ms=answer.at_ms)
            return
        found.refused.pop(key, None)
        found.refused[key] = Position(
            values=values,
            last_update_ms=element.last_update_ms,
            at_ms=answer.at_ms,
            status=answer.status,
            reason=answer.reason,
            configuration=self._configuration,
        )
        while len(found.refused) > MAX_REFUSED:
            found.refused.pop(next(iter(found.refused)))

    def save(self) -> None:
        """Write the file; raises StorageError."""
        content = json.dumps(msgspec.to_builtins(self.kept), indent=1, ensure_ascii=False).encode() + b"\n"
        try:
            replace(self._path, content)
        except OSError as error:
            raise StorageError(f"what was published is not kept: {self._path}: {error.strerror}") from error


def read(path: Path) -> Kept | None:
    """Return what a file of positions holds; None where there is none or it is damaged, which the log says."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("positions in %s are not used, the backend is read instead: %s", path, error)
        return None

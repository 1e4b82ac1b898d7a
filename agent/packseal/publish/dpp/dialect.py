"""The seam of the backends' interfaces: a Dialect reads and writes one battery's passport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from packseal.core.translate import Subject
from packseal.core.translate.elements import Element
from packseal.publish.dpp.held import Held, Judged


@dataclass(frozen=True, slots=True)
class Place:
    """Where a battery's passport is, as configured: `passport` is its id, `submodels` ids by section, where known."""

    battery: str
    passport: str | None = None
    submodels: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One interface of backends. What it raises is told in `packseal.publish.dpp.answers`."""

    async def read(self, place: Place) -> Held:
        """Return what the backend holds of a battery's passport.

        Raises:
            NotThereError: there is no such passport.
            BackendError, InputError: see there.
        """

    def carries(self, place: Place, element: Element) -> bool:
        """Return whether the passport there has a part for the element."""

    def batches(self, judged: Sequence[Judged]) -> list[list[Judged]]:
        """Return what goes out together, in order: what one `write` can take."""

    async def write(self, held: Held, batch: Sequence[Judged], subject: Subject) -> bool:
        """Bring one batch to the backend, as a whole or not at all.

        `subject` is what the batch was made from. Returns whether `held` may still be trusted, its tags among it.

        Raises:
            NotOfferedError: in this way nothing can be written; `batches` anew gives another way, until none is left.
            BackendError, InputError: see there.
        """

"""What the battery is now, as others say it: its temperature and, of a vehicle, its state of certified energy."""

from dataclasses import dataclass

from packseal.core.declared import Declared
from packseal.core.meter.exposure import HOT_SOURCES
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw

CERTIFIED = Channel(Quantity.STATE_OF_CERTIFIED_ENERGY_PCT)


@dataclass(slots=True)
class StateNowState:
    """The last values, each with its UTC time in milliseconds; the flaw of the certified energy since, if any."""

    hottest_c: float | None = None
    hottest_ms: int = 0
    certified_pct: float | None = None
    certified_ms: int = 0
    certified_flaw: int | None = None


class StateNow:
    """Keeps the newest temperature, the hottest of its sensors, and the vehicle's own state of certified energy.

    The latter is only ever passed on: UN GTR 22 defines it by the vehicle's monitor, and the passport asks for that.
    """

    def __init__(
        self,
        declared: Declared,  # noqa: ARG002 - every family is made with it
        delivers: frozenset[Quantity],
        limit_ns: int,  # noqa: ARG002
        state: StateNowState,
    ) -> None:
        self._delivers = delivers
        self._certified = Quantity.STATE_OF_CERTIFIED_ENERGY_PCT in delivers
        self.state = state

    def feed(self, view: View) -> None:
        """Take over what this sample says."""
        state = self.state
        if view.hottest_c is not None:
            state.hottest_c, state.hottest_ms = view.hottest_c, view.wall_ms
        if not self._certified:
            return
        value = view.sample.values.get(CERTIFIED)
        if value is not None:
            state.certified_pct, state.certified_ms, state.certified_flaw = value, view.wall_ms, None
        elif CERTIFIED in view.sample.flaws:
            state.certified_flaw = int(view.sample.flaws[CERTIFIED])

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: the last values stay, with their time."""

    def readings(self) -> list[Reading]:
        """Return both."""
        state = self.state
        certified = _reading(Field.STATE_OF_CERTIFIED_ENERGY, state.certified_pct, state.certified_ms)
        if not self._certified:
            certified = Reading(certified.field, missing=Missing.NOT_REPORTED)
        elif state.certified_flaw is not None:
            placeholder = state.certified_flaw == Flaw.PLACEHOLDER
            certified = Reading(certified.field, missing=Missing.PLACEHOLDER if placeholder else Missing.FLAWED)
        if not self._delivers & HOT_SOURCES:
            return [certified, Reading(Field.TEMPERATURE, missing=Missing.NOT_REPORTED)]
        return [certified, _reading(Field.TEMPERATURE, state.hottest_c, state.hottest_ms)]


def _reading(field: Field, value: float | None, wall_ms: int) -> Reading:
    if value is None:
        return Reading(field, missing=Missing.NO_DATA)
    return Reading(field, value, None, Originator.BMS, Method.AS_REPORTED, wall_ms)

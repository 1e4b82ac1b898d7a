"""What the BMS itself says: state of charge, its state-of-health claim and full-charge capacity."""

import msgspec

from packseal.core.declared import Declared
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw

SOURCES = {
    Field.STATE_OF_CHARGE: Channel(Quantity.STATE_OF_CHARGE_PCT),
    Field.STATE_OF_HEALTH_BMS: Channel(Quantity.STATE_OF_HEALTH_PCT),
    Field.REMAINING_CAPACITY_BMS: Channel(Quantity.FULL_CHARGE_CAPACITY_AH),
}


class ReportedState(msgspec.Struct):
    """Per field key: the last value with its UTC time in ms; and the flaw seen since, if any."""

    values: dict[str, tuple[float, int]] = msgspec.field(default_factory=dict)
    flaws: dict[str, int] = msgspec.field(default_factory=dict)


class Reported:
    """Keeps the newest value of each reported field. It is never called measured: its originator is the BMS."""

    def __init__(
        self,
        declared: Declared,  # noqa: ARG002 - every family is made with it
        delivers: frozenset[Quantity],
        limit_ns: int,  # noqa: ARG002
        state: ReportedState,
    ) -> None:
        self._delivers = delivers
        self._channels = [(field.key, channel) for field, channel in SOURCES.items() if channel.quantity in delivers]
        self.state = state

    def feed(self, view: View) -> None:
        """Take over what this sample says."""
        values, state = view.sample.values, self.state
        for key, channel in self._channels:
            value = values.get(channel)
            if value is not None:
                state.values[key] = (value, view.wall_ms)
                if state.flaws:
                    state.flaws.pop(key, None)
            elif view.flawed and channel in view.sample.flaws:
                state.flaws[key] = int(view.sample.flaws[channel])

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: the last values stay, with their time."""

    def readings(self) -> list[Reading]:
        """Return what is reported but the full-charge capacity, which stands beside ours."""
        return [self.reading(Field.STATE_OF_CHARGE), self.reading(Field.STATE_OF_HEALTH_BMS)]

    def reading(self, field: Field) -> Reading:
        """Return one of SOURCES."""
        channel = SOURCES[field]
        if channel.quantity not in self._delivers:
            return Reading(field, missing=Missing.NOT_REPORTED)
        flaw = self.state.flaws.get(field.key)
        if flaw is not None:
            return Reading(field, missing=Missing.PLACEHOLDER if flaw == Flaw.PLACEHOLDER else Missing.FLAWED)
        if field.key not in self.state.values:
            return Reading(field, missing=Missing.NO_DATA)
        value, wall_ms = self.state.values[field.key]
        return Reading(field, value, None, Originator.BMS, Method.AS_REPORTED, wall_ms)

"""The truth document: every dynamic attribute of the passport by its key, as far as a truth is defined."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packseal_hil.battery.battery import SimulatedBattery


def document(battery: "SimulatedBattery") -> dict[str, object]:
    """Return `{key: {value, unit, definition}}`, or `{key: {missing: reason}}`."""
    truth = battery.truth()
    return {f.key: {"value": v, "unit": f.unit, "definition": f.value.title} for f, v in truth.items()}

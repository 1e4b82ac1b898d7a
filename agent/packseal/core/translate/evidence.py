"""What stands behind a value: unit, method, standard uncertainty, originator and coverage, in words.

DIN DKE SPEC 99100:2025-02 §6.7.1 asks for it beside each value; of the public models only AAS and NGSI-LD have room.
"""

import math

from packseal.core.passport import Field, Reading, Status, Verdict
from packseal.core.translate.subject import count, month, number

_WORDS = {Field.BATTERY_STATUS: Status, Field.HEALTH_CLAIM_VERDICT: Verdict}


def plain(reading: Reading) -> float | str:
    """Return the value as a number, or as the word for which a code stands."""
    if reading.field in _WORDS:
        name: str = _WORDS[reading.field](count(reading)).name
        return name.lower().replace("_", "-")
    if reading.field is Field.DATE_INTO_SERVICE and (text := month(reading)):
        return text
    return count(reading) if reading.field.decimals == 0 else number(reading)


def evidence(reading: Reading) -> dict[str, float | str]:
    """Return by name what is known of how the value came about."""
    known: dict[str, float | str] = {
        "method": reading.method.name.lower(),
        "originator": reading.originator.name.lower(),
    }
    if reading.uncertainty is not None and math.isfinite(reading.uncertainty):
        known["standardUncertainty"] = reading.uncertainty
    if reading.coverage is not None and math.isfinite(reading.coverage):
        known["coverage"] = reading.coverage
    return known

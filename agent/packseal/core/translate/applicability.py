"""Which fields must not be filled for a category of battery.

EC guidance "Digital Batteries Passport - data points by category" v1.0 (2026-07-28), points 61 to 66, marked "not to be
filled". Its category "industrial" covers stationary storage too. What is not required may still be filled.
"""

from packseal.core.passport import Field

_ELECTRIC_VEHICLE = frozenset(
    {
        Field.REMAINING_CAPACITY,  # 62
        Field.REMAINING_POWER_AT_80,  # 63
        Field.REMAINING_POWER_AT_20,  # 63
        Field.REMAINING_ROUND_TRIP_EFFICIENCY,  # 64
        Field.SELF_DISCHARGE_EVOLUTION,  # 65
        Field.OHMIC_RESISTANCE,  # 66
    }
)
_OTHERS = frozenset({Field.STATE_OF_CERTIFIED_ENERGY})  # 61
_BY_CATEGORY = {"ev": _ELECTRIC_VEHICLE, "lmt": _OTHERS, "stationary": _OTHERS, "industrial": _OTHERS}


def not_to_be_filled(category: str | None) -> frozenset[Field]:
    """Return the fields that a passport of this category omits; none while the category is not known."""
    return frozenset() if category is None else _BY_CATEGORY[category]

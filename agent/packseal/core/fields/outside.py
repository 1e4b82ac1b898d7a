"""Field table: what we say besides the passport, each labelled as what it is."""

from packseal.core.fields.rule import Row, Update
from packseal.core.passport import Field
from packseal.core.quantities import Quantity


def _row(field: Field, derivation: str, quantities: tuple[Quantity, ...], declared: tuple[str, ...] = ()) -> Row:
    return Row(field, None, "decimal", None, Update.RECORD, derivation, quantities, declared)


RATED = ("rated_capacity_ah",)
CURRENT = (Quantity.PACK_CURRENT_A,)
STATED = "passed on from the BMS"
FOLLOWED = "the BMS's counter, followed over its resets and roll-overs"

ROWS = (
    _row(Field.STATE_OF_HEALTH_BMS, f"{STATED}: its claim", (Quantity.STATE_OF_HEALTH_PCT,)),
    _row(
        Field.STATE_OF_HEALTH_ESTIMATE,
        "our remaining capacity / rated capacity * 100",
        (*CURRENT, Quantity.PACK_VOLTAGE_V),
        (*RATED, "cells_in_series"),
    ),
    _row(Field.REMAINING_CAPACITY_BMS, STATED, (Quantity.FULL_CHARGE_CAPACITY_AH,)),
    _row(
        Field.CERTIFIED_ENERGY_ESTIMATE,
        "our remaining energy / certified energy * 100; beside the vehicle's own value and never in its place",
        (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V),
        (*RATED, "cells_in_series", "certified_energy_kwh"),
    ),
    _row(
        Field.HEALTH_CLAIM_VERDICT,
        "the BMS's claim against our estimate",
        (Quantity.STATE_OF_HEALTH_PCT, *CURRENT, Quantity.PACK_VOLTAGE_V),
        (*RATED, "cells_in_series"),
    ),
    _row(
        Field.TIME_HIGH_CHARGE,
        "time with the state of charge at or above 90 %",
        (Quantity.STATE_OF_CHARGE_PCT, *CURRENT),
    ),
    _row(Field.TIME_CHARGING, "time with a current above C/50 into the battery", CURRENT),
    _row(Field.TIME_DISCHARGING, "time with a current above C/50 out of the battery", CURRENT),
    _row(Field.TIME_IDLE, "time with less than either", CURRENT),
    _row(Field.CYCLES_BMS, FOLLOWED, (Quantity.CYCLES,)),
    _row(Field.CAPACITY_DISCHARGED_BMS, FOLLOWED, (Quantity.CHARGE_DISCHARGED_AH,)),
    _row(Field.ENERGY_DISCHARGED_BMS, FOLLOWED, (Quantity.ENERGY_DISCHARGED_KWH,)),
    _row(
        Field.RAINFLOW_CYCLES,
        "swings of the state of charge by depth (ASTM E1049), added up to whole ones",
        (Quantity.STATE_OF_CHARGE_PCT,),
    ),
)

"""Field table: capacity, energy, state of charge (DIN DKE SPEC 99100 section 6.7.2)."""

from packseal.core.fields.rule import NOT, C, M, R, Row, Rules, Update, X
from packseal.core.passport import Field
from packseal.core.quantities import Quantity

A, B = Update.UP_TO_DATE, Update.STATUS_CHANGE

ROWS = (
    Row(
        Field.STATE_OF_CERTIFIED_ENERGY,
        1,
        "integer",
        Rules(M("EC 61, VII A"), X("EC 61"), X("EC 61"), X("EC 61")),
        A,
        "passed on from the vehicle's own monitor (UN GTR 22); never computed here",
        (Quantity.STATE_OF_CERTIFIED_ENERGY_PCT,),
    ),
    Row(
        Field.REMAINING_CAPACITY,
        2,
        "decimal",
        Rules(X("EC 62; DIN: R"), M("EC 62, VII A(1)"), M("VII A(1), DIN; EC 62: C"), C("EC 62")),
        A,
        "charge between two anchors of known state of charge over their distance, sessions fused; until there is one, "
        "the full-charge capacity that the BMS states",
        (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V),
        ("rated_capacity_ah", "cells_in_series"),
    ),
    Row(
        Field.RATED_CAPACITY,
        3,
        "decimal",
        Rules(M("EC 51"), M("EC 51"), C("EC 51"), C("EC 51")),
        B,
        "the declared rated capacity; after a change of status the remaining capacity as it stood then",
        (),
        ("rated_capacity_ah",),
    ),
    Row(
        Field.CAPACITY_FADE,
        4,
        "integer",
        Rules(M("EC 52"), M("EC 52"), C("EC 52; DIN: M"), C("EC 52; DIN: M")),
        B,
        "(1 - remaining capacity / rated capacity) * 100 (ISO 12405-4)",
        (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V),
        ("rated_capacity_ah", "cells_in_series"),
    ),
    Row(
        Field.REMAINING_ENERGY,
        5,
        "decimal",
        Rules(R("DIN"), NOT, NOT, NOT),
        A,
        "our remaining capacity * mean voltage while discharging; until there is one, the energy that the BMS states",
        (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V),
        ("rated_capacity_ah", "cells_in_series"),
    ),
    Row(
        Field.STATE_OF_CHARGE,
        6,
        "integer",
        Rules(*(C("EC 71; DIN: M"),) * 4),
        Update.PERIODIC,
        "passed on from the BMS, whose base (rated or remaining capacity) is its own (Art 3(27))",
        (Quantity.STATE_OF_CHARGE_PCT,),
    ),
)

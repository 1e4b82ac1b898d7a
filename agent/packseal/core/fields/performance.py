"""Field table: power, efficiency, self-discharge, resistance (DIN DKE SPEC 99100 sections 6.7.3 to 6.7.5)."""

from packseal.core.fields.rule import NOT, C, M, R, Row, Rules, Update, X
from packseal.core.passport import Field
from packseal.core.quantities import Quantity

A, B = Update.UP_TO_DATE, Update.STATUS_CHANGE
RATED = ("rated_capacity_ah",)
CELLS = ("rated_capacity_ah", "cells_in_series", "chemistry")
LIMITED = (*CELLS, "cell_voltage_min_v")
PULSE = (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V)
POWER = Rules(M("EC 53"), M("EC 53"), C("EC 53"), C("EC 53"))
POWER_AT = "the declared power; after a change of status the remaining power as it stood then"
REMAINING_POWER = Rules(
    X("EC 63; DIN: R"),
    M("EC 63, VII A(2) where possible"),
    M("VII A(2) where possible, DIN; EC 63: C"),
    C("EC 63"),
)
FROM_RESISTANCE = (
    "lower voltage limit * (open-circuit voltage at that charge - limit) / 10 s resistance, with no more "
    "current than is declared; an estimate"
)
FADES = C("EC 54; DIN: M")

ROWS = (
    Row(Field.POWER_AT_80, 7, "integer", POWER, B, POWER_AT, (), ("initial_power_at_80_w",)),
    Row(Field.POWER_AT_20, 7, "integer", POWER, B, POWER_AT, (), ("initial_power_at_20_w",)),
    Row(Field.REMAINING_POWER_AT_80, 8, "integer", REMAINING_POWER, A, FROM_RESISTANCE, PULSE, LIMITED),
    Row(Field.REMAINING_POWER_AT_20, 8, "integer", REMAINING_POWER, A, FROM_RESISTANCE, PULSE, LIMITED),
    Row(
        Field.POWER_FADE,
        9,
        "integer",
        Rules(M("EC 54"), M("EC 54"), FADES, FADES),
        B,
        "(1 - remaining power / declared power) * 100, the greater of that at 80 % and at 20 % where both are declared",
        PULSE,
        (*CELLS, "cell_voltage_min_v", "initial_power_at_80_w"),
    ),
    Row(
        Field.ROUND_TRIP_EFFICIENCY,
        10,
        "integer",
        Rules(*(C("EC 57"),) * 4),
        B,
        "the declared efficiency; after a change of status the remaining one as it stood then",
        (),
        ("initial_round_trip_efficiency_pct",),
    ),
    Row(
        Field.REMAINING_ROUND_TRIP_EFFICIENCY,
        11,
        "integer",
        Rules(X("EC 64"), M("EC 64, VII A(3) where possible"), M("VII A(3) where possible, DIN; EC 64: C"), C("EC 64")),
        A,
        "energy out / energy in between two moments of equal state of charge; where the BMS states none, by "
        "open-circuit voltage, with chemistry and cells in series; rated energy serves in place of nominal voltage",
        (*PULSE, Quantity.STATE_OF_CHARGE_PCT),
        (*RATED, "nominal_voltage_v"),
    ),
    Row(
        Field.ROUND_TRIP_EFFICIENCY_FADE,
        12,
        "integer",
        Rules(*(C("EC 58"),) * 4),
        B,
        "(1 - remaining efficiency / declared efficiency) * 100",
        (*PULSE, Quantity.STATE_OF_CHARGE_PCT),
        (*RATED, "nominal_voltage_v", "initial_round_trip_efficiency_pct"),
    ),
    Row(
        Field.SELF_DISCHARGE_RATE,
        13,
        "decimal",
        Rules(NOT, R("DIN"), R("DIN"), NOT),
        B,
        "charge lost between the open-circuit voltages at both ends of a long rest, per 30 days",
        PULSE,
        CELLS,
    ),
    Row(
        Field.SELF_DISCHARGE_EVOLUTION,
        14,
        "integer",
        Rules(X("EC 65"), M("EC 65, VII A(4)"), M("VII A(4), DIN; EC 65: C"), C("EC 65")),
        B,
        "(rate - declared rate) / declared rate * 100; no source gives a formula, this is our reading",
        PULSE,
        (*CELLS, "initial_self_discharge_pct_month"),
    ),
    Row(
        Field.INTERNAL_RESISTANCE,
        15,
        "decimal (DIN: integer)",
        Rules(M("EC 55"), M("EC 55"), C("EC 55"), C("EC 55")),
        B,
        "voltage change / current change 10 s after a current step (IEV 482-03-36), median of the newest",
        PULSE,
        RATED,
    ),
    Row(
        Field.OHMIC_RESISTANCE,
        15,
        "decimal",
        Rules(X("EC 66"), M("EC 66, VII A(5) where possible"), M("VII A(5) where possible; EC 66: C"), C("EC 66")),
        A,
        "the same within 1 s: mostly ohmic",
        PULSE,
        RATED,
    ),
    Row(
        Field.INTERNAL_RESISTANCE_INCREASE,
        16,
        "integer",
        Rules(M("EC 56"), M("EC 56"), C("EC 56; DIN: M"), C("EC 56; DIN: M")),
        B,
        "(10 s resistance - declared resistance) / declared resistance * 100",
        PULSE,
        (*RATED, "initial_resistance_ohm"),
    ),
)

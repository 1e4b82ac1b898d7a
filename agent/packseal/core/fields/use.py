"""Field table: cycles, throughput, temperature, harmful events (DIN DKE SPEC 99100 sections 6.7.6 to 6.7.8)."""

from packseal.core.fields.rule import NOT, C, M, R, Row, Rules, Update
from packseal.core.passport import Field
from packseal.core.quantities import Quantity

A = Update.UP_TO_DATE
ARTICLE_14 = M("Art 14, DIN")
COUNTERS = Rules(NOT, ARTICLE_14, ARTICLE_14, NOT)
POWER = (Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V)
ABOVE = (Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MAX_C)
BELOW = (Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MIN_C)
HOT = ("temperature_max_c",)
COLD = ("temperature_min_c",)
CELLS = (Quantity.CELL_VOLTAGE_V, Quantity.CELL_VOLTAGE_MIN_V, Quantity.CELL_VOLTAGE_MAX_V, Quantity.PACK_VOLTAGE_V)
CHARGE = "time integral of the current"
ENERGY = "time integral of voltage * current"

ROWS = (
    Row(
        Field.FULL_EQUIVALENT_CYCLES,
        17,
        "integer",
        Rules(
            C("EC 68; DIN: M"),
            C("EC 68; Art 14, DIN: M"),
            C("EC 68; Art 14, DIN: M"),
            C("EC 68; DIN: M with a BMS"),
        ),
        A,
        "charge given out / rated capacity; no source gives a formula, this is our definition",
        (Quantity.PACK_CURRENT_A,),
        ("rated_capacity_ah",),
    ),
    Row(Field.ENERGY_THROUGHPUT, 18, "decimal", COUNTERS, A, f"{ENERGY}, both directions added", POWER),
    Row(Field.ENERGY_CHARGED, 18, "decimal", COUNTERS, A, f"{ENERGY} while charging", POWER),
    Row(Field.ENERGY_DISCHARGED, 18, "decimal", COUNTERS, A, f"{ENERGY} while discharging", POWER),
    Row(Field.CAPACITY_THROUGHPUT, 19, "decimal", COUNTERS, A, f"{CHARGE}, both directions added", POWER[:1]),
    Row(Field.CAPACITY_CHARGED, 19, "decimal", COUNTERS, A, f"{CHARGE} while charging", POWER[:1]),
    Row(Field.CAPACITY_DISCHARGED, 19, "decimal", COUNTERS, A, f"{CHARGE} while discharging", POWER[:1]),
    Row(
        Field.TEMPERATURE,
        20,
        "decimal",
        Rules(*(C("EC 70; DIN: M"),) * 4),
        Update.PERIODIC,
        "passed on from the BMS: the hottest of its sensors",
        ABOVE,
        any_quantity=True,
    ),
    Row(
        Field.TIME_EXTREME_HIGH,
        21,
        "decimal",
        COUNTERS,
        A,
        "time with the hottest sensor above the range",
        ABOVE,
        HOT,
        any_quantity=True,
    ),
    Row(
        Field.TIME_EXTREME_LOW,
        22,
        "decimal",
        COUNTERS,
        A,
        "time with the coldest sensor below the range",
        BELOW,
        COLD,
        any_quantity=True,
    ),
    Row(
        Field.TIME_EXTREME_HIGH_CHARGING,
        23,
        "decimal",
        COUNTERS,
        A,
        "the same while charging, which is above C/50; needs the pack current too",
        ABOVE,
        HOT,
        any_quantity=True,
    ),
    Row(
        Field.TIME_EXTREME_LOW_CHARGING,
        24,
        "decimal",
        COUNTERS,
        A,
        "the same while charging, which is above C/50; needs the pack current too",
        BELOW,
        COLD,
        any_quantity=True,
    ),
    Row(
        Field.DEEP_DISCHARGE_EVENTS,
        25,
        "integer",
        Rules(R("DIN"), ARTICLE_14, ARTICLE_14, R("DIN")),
        A,
        "times that the lowest cell was below the limit for 10 s, counted again only after 100 mV above it",
        CELLS,
        ("cell_voltage_min_v",),
        any_quantity=True,
    ),
    Row(
        Field.OVERCHARGE_EVENTS,
        26,
        "integer",
        Rules(*(R("DIN"),) * 4),
        A,
        "times that the highest cell was above the limit for 1 s, counted again only after 100 mV below it",
        CELLS,
        ("cell_voltage_max_v",),
        any_quantity=True,
    ),
)

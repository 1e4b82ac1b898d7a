"""Field table: what people enter (DIN DKE SPEC 99100 sections 6.1.3, 6.7.6 and 6.7.8)."""

from packseal.core.fields.rule import NOT, C, M, Row, Rules, Update
from packseal.core.passport import Field

LIFE = Update.STATUS_CHANGE
DECLARATION = "the manufacturer's declaration"

ROWS = (
    Row(
        Field.ACCIDENTS,
        27,
        "links to documents; here how many",
        Rules(*(C("EC 69; DIN: M"),) * 4),
        Update.EVENT,
        "how many were put on record; what happened is in the log",
        (),
        ("accidents",),
    ),
    Row(
        Field.BATTERY_STATUS,
        28,
        "original, repurposed, re-used, remanufactured or waste",
        Rules(*(M("EC 67"),) * 4),
        Update.STATUS,
        "the operator's decision",
        (),
        ("status",),
    ),
    Row(
        Field.DATE_INTO_SERVICE,
        29,
        "date, YYYY-MM",
        Rules(NOT, M("VII B(1), DIN"), M("VII B(1), DIN"), NOT),
        Update.ONCE,
        "entered when the battery is commissioned",
        (),
        ("date_into_service",),
    ),
    Row(
        Field.EXPECTED_LIFE_CYCLES,
        30,
        "integer",
        Rules(M("EC 59"), M("EC 59"), C("EC 59"), C("EC 59")),
        LIFE,
        DECLARATION,
        (),
        ("expected_life_cycles",),
    ),
    Row(
        Field.EXPECTED_LIFE_YEARS,
        31,
        "decimal",
        Rules(M("EC 60"), M("EC 60"), C("EC 60"), C("EC 60")),
        LIFE,
        DECLARATION,
        (),
        ("expected_life_years",),
    ),
)

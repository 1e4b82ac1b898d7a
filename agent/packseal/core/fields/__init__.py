"""The field table: what is fixed about each field of a snapshot by law, guidance and standard, and how it is derived.

Sources: Regulation (EU) 2023/1542 ("Art", "Annex", and VII A and so on, its annexes); EC guidance "Digital Batteries
Passport - data points by category" v1.0 (CC BY 4.0), as "EC" and the number of the data point; DIN DKE SPEC
99100:2025-02, as "DIN". The guidance counts stationary storage among industrial batteries; where the regulation (Art 14
and Annex VII) asks for more, that stands first. Unit, law, clause and number are in `packseal.core.passport`.
"""

from collections.abc import Mapping

from packseal.core.declared import CATEGORIES
from packseal.core.fields import capacity, entered, outside, performance, use
from packseal.core.fields.rule import Need, Row, Rule, Rules, Update
from packseal.core.passport import Field

__all__ = ["ROWS", "ROW_OF", "Need", "Row", "Rule", "Rules", "Update", "filled", "not_to_be_filled"]

ROWS: tuple[Row, ...] = (*capacity.ROWS, *performance.ROWS, *use.ROWS, *entered.ROWS, *outside.ROWS)
"""In the order of the passport's attributes, then what is outside it."""

ROW_OF: Mapping[Field, Row] = {row.field: row for row in ROWS}

_OMITTED: Mapping[str, frozenset[Field]] = {
    category: frozenset(row.field for row in ROWS if row.rules and row.rules.of(category).need is Need.NOT_TO_BE_FILLED)
    for category in CATEGORIES
}


def not_to_be_filled(category: str | None) -> frozenset[Field]:
    """Return the fields that a passport of this category leaves out; none while the category is not known."""
    return frozenset() if category is None else _OMITTED[category]


def filled(category: str | None) -> frozenset[Field]:
    """Return the passport fields that a snapshot of this category may carry; all while the category is not known."""
    return frozenset(row.field for row in ROWS if row.rules) - not_to_be_filled(category)

"""What the field table says of one field: Row, and its Rule for each category of battery."""

from dataclasses import dataclass
from enum import Enum
from functools import partial

from packseal.core.passport import Field
from packseal.core.quantities import Quantity


class Need(Enum):
    """Whether a passport of one category carries a field."""

    MANDATORY = "M"
    RECOMMENDED = "R"
    IF_APPLICABLE = "C"
    NOT_REQUIRED = "-"  # may be filled
    NOT_TO_BE_FILLED = "no"  # is left out


@dataclass(frozen=True, slots=True)
class Rule:
    """A need and who says so.

    `source` names the regulation's annex or article, "EC 61" = data point 61 of the EC guidance "Digital Batteries
    Passport" v1.0, or "DIN" = DIN DKE SPEC 99100:2025-02. Where sources differ, the first one decides.
    """

    need: Need
    source: str

    def __str__(self) -> str:
        return f"{self.need.value} ({self.source})" if self.source else self.need.value


M = partial(Rule, Need.MANDATORY)
R = partial(Rule, Need.RECOMMENDED)
C = partial(Rule, Need.IF_APPLICABLE)
X = partial(Rule, Need.NOT_TO_BE_FILLED)
NOT = Rule(Need.NOT_REQUIRED, "")


@dataclass(frozen=True, slots=True)
class Rules:
    """One Rule per category; the names are those of `declared.CATEGORIES`."""

    ev: Rule
    lmt: Rule
    stationary: Rule
    industrial: Rule

    def of(self, category: str) -> Rule:
        """Return the rule for one of `declared.CATEGORIES`."""
        rule: Rule = getattr(self, category)
        return rule


class Update(Enum):
    """When a field has to be brought up to date."""

    UP_TO_DATE = "kept up to date (Art 77(4)); no interval is defined, daily at least in the BMS (Recital 46)"
    STATUS_CHANGE = "when placed on the market and at each change of status (Annex XIII 4(a))"
    PERIODIC = "recorded periodically (Annex XIII 4(d)); no interval is defined"
    EVENT = "when it happens (Annex XIII 4(d))"
    STATUS = "at each change of status; a new passport is linked to the old one (Art 77(7))"
    ONCE = "once"
    RECORD = "with each snapshot; not in the passport"


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `rules` is None outside the passport.

    `quantities` are what the battery must deliver, one of them where `any_quantity`; `declared` the data that must
    have been entered. `attribute` is the number of the passport's dynamic attribute, 1 to 31; one can have several
    fields.
    """

    field: Field
    attribute: int | None
    data_type: str
    rules: Rules | None
    update: Update
    derivation: str
    quantities: tuple[Quantity, ...] = ()
    declared: tuple[str, ...] = ()
    any_quantity: bool = False

    @property
    def access(self) -> str:
        """Who may read it: every dynamic attribute is for persons with a legitimate interest (Annex XIII point 4)."""
        return "legitimate interest (XIII 4)" if self.rules else "not in the passport"

"""SunSpec devices with several strings: which models belong to the one that is meant. Pure.

A string is a model 804, and its modules are the models 805 that say its index, wherever in the chain they are. Source:
SunSpec model definitions 804 (Idx) and 805 (StrIdx).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

STRING, MODULE = 804, 805
INDEX_AT = 2
"""Where both of them have the index of the string."""


def indices(wanted: AbstractSet[int], models: Sequence[int]) -> set[tuple[int, int]]:
    """Return which models' index must be read, with its offset; none where there is nothing to tell apart."""
    if not _has_several(wanted, models):
        return set()
    return {(number, INDEX_AT) for number in (STRING, MODULE) if number in wanted}


def of_one(
    wanted: AbstractSet[int], models: Sequence[tuple[int, int | None]], string: int | None
) -> tuple[list[bool], str]:
    """Tell which models of a device count, and what a user should know about that.

    Args:
        wanted: the models that the profile has points of; without a string's all models count.
        models: of the device: number, and the index of the string as far as it is known.
        string: which one is meant, in the order of the device's map from 1 on; None is the first.
    """
    found = [index for number, index in models if number == STRING]
    if STRING not in wanted or (len(found) <= 1 and string in (None, 1)):
        return [True] * len(models), ""
    number = string or 1
    having = f"the device has {len(found)} string{'' if len(found) == 1 else 's'} (model {STRING})"
    if number > len(found):
        return [of not in (STRING, MODULE) for of, _ in models], f"{having}, none of which is number {number}"
    chosen = found[number - 1]
    clear = chosen is not None and found.count(chosen) == 1
    kept, seen = [], 0
    for of, index in models:
        seen += of == STRING
        kept.append(seen == number if of == STRING else of != MODULE or (clear and index == chosen))
    doubts = [] if string else [f"{having}, and this battery is the first of them: string = 2 in its link is the next"]
    if not clear and MODULE in wanted and any(of == MODULE for of, _ in models):
        doubts.append("its strings do not say which modules are theirs, so the cells are left out")
    return kept, "; ".join(doubts)


def _has_several(wanted: AbstractSet[int], models: Sequence[int]) -> bool:
    return STRING in wanted and models.count(STRING) > 1

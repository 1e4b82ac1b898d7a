"""Nesting: which battery is part of which, checked: a forest of bounded depth, without circles."""

from collections.abc import Mapping, Sequence

MAX_DEPTH = 2
"""A system of packs of modules: two steps from the whole to what is measured."""


def trouble(parts: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Return whose parts are wrong and why, in one sentence; None where all is well.

    Args:
        parts: the parts of every battery by its id, empty for one that is measured itself.
    """
    wholes: dict[str, str] = {}
    for whole, names in parts.items():
        for name in names:
            if name not in parts:
                return whole, f"{name} is the id of no [[battery]] table"
            if name in wholes:
                return whole, f"{name} is already a part of {wholes[name]}: a part belongs to one whole, once"
            wholes[name] = whole
    for name, whole in wholes.items():
        above = _above(name, wholes)
        if name in above:
            return whole, f"{name} is a part of itself"
        if len(above) > MAX_DEPTH:
            return (
                whole,
                f"{name} is {len(above)} steps below {above[-1]}: at most {MAX_DEPTH}, as system, pack, module",
            )
    return None


def parts_first(parts: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all ids, each after its parts. The parts must be without `trouble`."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for part in parts[name]:
            visit(part)
        order[name] = None

    for name in parts:
        visit(name)
    return list(order)


def _above(name: str, wholes: Mapping[str, str]) -> list[str]:
    """Return what it is a part of, then what that is a part of, and so on; in a circle up to `name` itself or once."""
    above: list[str] = []
    while name in wholes and wholes[name] not in above:
        name = wholes[name]
        above.append(name)
    return above

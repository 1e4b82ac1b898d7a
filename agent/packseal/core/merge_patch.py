"""JSON Merge Patch (RFC 7396): what a patch makes of a document, and a patch of one place in it.

An object is merged member by member and a null removes; anything else, a list too, is replaced as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def merged(target: object, patch: object) -> Any:
    """Return what `patch` makes of `target`, by RFC 7396 §2; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patch_of(places: Iterable[tuple[Sequence[str], object]]) -> dict[str, Any]:
    """Return one patch that sets each value at its path. No path may lead through another's value."""
    patch: dict[str, Any] = {}
    for path, value in places:
        at = patch
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = value
    return patch


def found_at(document: object, path: Sequence[str]) -> Any:
    """Return what stands at `path`; None when nothing does, or a null."""
    at = document
    for name in path:
        if not isinstance(at, Mapping) or name not in at:
            return None
        at = at[name]
    return at

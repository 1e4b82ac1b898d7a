"""JSON merge patch against the examples of RFC 7396, and a patch of places against what it makes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.merge_patch import found_at, merged, patch_of

EXAMPLES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""RFC 7396 Appendix A, all of it."""
VALUES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES, ids=[str(n) for n in range(len(EXAMPLES))])
def test_the_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


@given(VALUES, VALUES)
def test_a_patch_applied_twice_is_applied_once_and_changes_neither_argument(target: Any, patch: Any) -> None:
    before = repr((target, patch))
    once = merged(target, patch)
    assert merged(once, patch) == once
    assert repr((target, patch)) == before


def test_a_patch_of_places_sets_them_and_only_them() -> None:
    patch = patch_of([(("a", "b"), 1), (("a", "c"), [2]), (("d",), "e")])
    assert patch == {"a": {"b": 1, "c": [2]}, "d": "e"}
    target = merged({"a": {"x": 0}, "d": {"y": 1}}, patch)
    assert target == {"a": {"x": 0, "b": 1, "c": [2]}, "d": "e"}
    assert found_at(target, ("a", "c")) == [2]
    assert found_at(target, ("d", "y")) is None

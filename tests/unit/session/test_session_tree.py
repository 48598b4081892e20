# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.session.tree import Tree, canonical_full, check_change, fold, fold_slice, slices, tree_of

ids = st.sampled_from(["a", "b", "org.example::c", "d\udc80"])
results = st.dictionaries(st.sampled_from(["outcome", "comments"]), st.text(max_size=5))
changes = st.fixed_dictionaries(
    {},
    optional={
        "meta": st.dictionaries(st.sampled_from(["title", "flags"]), st.text(max_size=3)),
        "jobs": st.dictionaries(
            ids, st.fixed_dictionaries({"sum": st.text(max_size=4), "attempts": st.integers(0, 3)})
        ),
        "gone": st.lists(ids, max_size=2),
        "drop": st.lists(st.tuples(ids, st.integers(1, 3)).map(list), max_size=2),
        "res": st.lists(st.tuples(ids, st.integers(1, 3), results).map(list), max_size=3),
        "want": st.lists(ids, max_size=3),
        "must": st.lists(ids, max_size=3),
        "units": st.dictionaries(ids, st.text(max_size=3)),
        "sys": st.none() | st.dictionaries(st.text(max_size=2), st.integers(0, 9), max_size=2),
        "later": st.integers(0, 9),
    },
)


def folded(*parts: dict[str, Any]) -> dict[str, Any]:
    tree = Tree()
    for part in parts:
        check_change(part)
        fold(tree, part)
    return dict(json.loads(tree.as_bytes()))


def test_a_change_replaces_what_it_names_and_nothing_else() -> None:
    """Metadata, entries and lists are replaced by key; what a change does not mention stays."""
    state = folded(
        {"meta": {"a": 1, "b": 2}, "jobs": {"j": {"sum": "x", "attempts": 3}}, "want": ["j"], "sys": {"cpu": 1}},
        {"meta": {"b": 3}, "jobs": {"j": {"sum": "y"}}, "must": ["k"], "units": {"u": {"id": "u"}}},
        {"want": []},
    )
    assert state == {
        "t": "full",
        "meta": {"a": 1, "b": 3},
        "jobs": {"j": {"sum": "y"}},
        "must": ["k"],
        "units": {"u": {"id": "u"}},
        "sys": {"cpu": 1},
    }


def test_results_are_kept_by_attempt_in_order() -> None:
    """Attempts come back oldest first, whatever the order in which they arrived; the same attempt is replaced."""
    state = folded(
        {"res": [["b", 2, {"outcome": "pass"}], ["a", 1, {"outcome": "fail"}]]},
        {"res": [["b", 1, {"outcome": "fail"}]]},
        {"res": [["a", 1, {"outcome": "skip"}]]},
    )
    assert state["res"] == [["a", 1, {"outcome": "skip"}], ["b", 1, {"outcome": "fail"}], ["b", 2, {"outcome": "pass"}]]


def test_drop_and_gone_come_before_what_the_same_change_adds() -> None:
    """One record can exchange a result and let a job leave and come back."""
    first = {"jobs": {"j": {"sum": "x"}}, "units": {"j": 1}, "res": [["j", 1, {"outcome": "fail"}], ["k", 1, {}]]}
    assert folded(first, {"drop": [["j", 1]], "res": [["j", 1, {"outcome": "pass"}]]})["res"][0][2] == {
        "outcome": "pass"
    }
    state = folded(first, {"gone": ["j", "unknown"], "jobs": {"j": {"sum": "y"}}})
    assert state == {"t": "full", "jobs": {"j": {"sum": "y"}}, "res": [["k", 1, {}]]}


def test_keys_of_a_later_version_survive() -> None:
    """A key that is not known is kept, the last value winning."""
    assert folded({"later": 1}, {"later": {"x": 2}, "t": "ck", "n": 1, "w": 0.5, "m": 1, "notes": []}) == {
        "t": "full",
        "later": {"x": 2},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"meta": []},
        {"jobs": {"a": 1}},
        {"units": None},
        {"gone": "a"},
        {"want": [1]},
        {"must": {"a": 1}},
        {"drop": [["a"]]},
        {"drop": {"a": 1}},
        {"res": [["a", 1]]},
        {"res": [["a", 0, {}]]},
        {"res": [["a", True, {}]]},
        {"res": [["a", "1", {}]]},
        {"res": [[1, 1, {}]]},
        {"res": [["a", 1, None]]},
    ],
)
def test_a_change_of_the_wrong_shape_is_refused(change: dict[str, Any]) -> None:
    """What could not be folded is refused before it is stored."""
    with pytest.raises(ValueError):
        check_change(change)


@settings(max_examples=60)
@given(st.lists(changes, max_size=6), st.integers(1, 200))
def test_slices_put_together_are_the_tree(parts: list[dict[str, Any]], limit: int) -> None:
    """A dump in slices of any size gives the state back, and so do the canonical bytes."""
    tree = Tree()
    for part in parts:
        check_change(part)
        fold(tree, part)
    rebuilt = Tree()
    for piece in slices(tree, limit):
        check_change(piece)
        fold_slice(rebuilt, piece)
    assert rebuilt.as_bytes() == tree.as_bytes()
    assert tree_of(json.loads(tree.as_bytes())).as_bytes() == tree.as_bytes()


def test_slices_keep_to_their_limit() -> None:
    """A slice grows over the limit only when a single item does."""
    tree = Tree(want=[f"job-{number:04d}" for number in range(1000)], meta={"big": "x" * 5000, "small": 1})
    sizes = [len(json.dumps(piece, separators=(",", ":"))) for piece in slices(tree, 1000)]
    assert len(sizes) > 10
    assert sorted(sizes)[-1] > 5000
    assert sorted(sizes)[-2] < 1100


def test_equal_states_have_equal_bytes() -> None:
    """The canonical form does not depend on order, white space or empty parts of the input."""
    one = b'{"t": "full", "res": [["b", 1, {}], ["a", 2, {}], ["a", 1, {}]], "meta": {"y": 1, "x": 2}, "want": []}'
    two = b'{"meta":{"x":2,"y":1},"res":[["a",1,{}],["a",2,{}],["b",1,{}]],"sys":null,"t":"full"}'
    assert canonical_full(one) == canonical_full(two)
    for wrong in (b'{"t": "ck"}', b"[]", b"\x1f\x8b", b'{"t": "full", "res": 1}'):
        with pytest.raises(ValueError):
            canonical_full(wrong)


@pytest.mark.parametrize(
    ("parts", "name"),
    [({"meta": {"title": "%s"}}, "'title' (meta)"), ({"res": [["a", 1, {"later": "%s"}]]}, "'a' (res)")],
)
def test_what_no_record_can_hold_is_named(parts: dict[str, Any], name: str) -> None:
    """The error says of what there is too much."""
    text = json.dumps({"t": "full", **parts}).replace("%s", "x" * (16 * 1024 * 1024))
    with pytest.raises(ValueError, match=re.escape(f"{name} is too long: 167772")):
        list(slices(tree_of(json.loads(text))))

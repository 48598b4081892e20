# SPDX-License-Identifier: Apache-2.0
"""Tags as attributes."""

from __future__ import annotations

import enum
import json
from pathlib import Path

import pytest

from plainbox.tracing import Action
from plainbox.tracing.attributes import as_attributes


class Colour(enum.Enum):
    RED = "#f00"


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Word(str):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (True, True),
        (3, 3),
        (1.5, 1.5),
        ("text", "text"),
        (Colour.RED, "RED"),
        (Path("/a/b"), "/a/b"),
        (["a", "b"], ["a", "b"]),
        ((1, 2), [1, 2]),
        ([], []),
        ([1, "a"], '[1,"a"]'),
        ([True, 1], "[true,1]"),
        ({"a": [1]}, '{"a":[1]}'),
        ({1, 2}, '"{1, 2}"'),
        (2**70, str(2**70)),
        ("x" * 10_000, "x" * 4096),
        (["x" * 10_000], ["x" * 4096]),
        ({"a": "x" * 10_000}, '{"a":"' + "x" * 4090),
        (Nasty(), '"<Nasty>"'),
        (Word("a"), "<Word>"),
    ],
)
def test_values(value, attribute):
    """Plain values stay as they are, everything else becomes a text of bounded length."""
    assert as_attributes({"key": value}) == {"key": attribute}


def test_nothing_is_left_out():
    """A tag without a value is no attribute."""
    assert as_attributes({"key": None}) == {}


def test_names_become_text():
    """The name of a tag is a text, whatever it was."""
    assert as_attributes({1: "a"}) == {"1": "a"}


def test_what_json_cannot_hold(tracer, spans):
    """Values that break other writers do not break the trace: endless numbers, halves of characters, loops."""
    loop: list[object] = []
    loop.append(loop)
    with Action("work", tags={"a": 10**5000, "b": "\udcff", "c": loop, "d": float("nan")}):
        pass
    assert spans()[0]["attributes"]["b"] == "\udcff"
    json.dumps(spans())

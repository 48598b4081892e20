# SPDX-License-Identifier: Apache-2.0
"""Identifiers of calls: equal for equal calls in every process, and different for all others."""

from __future__ import annotations

import datetime
import decimal
import enum
import os
import subprocess
import sys
import uuid
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plainbox
from plainbox.errors import UncacheableArgument
from plainbox.tasks import Configuration, Result, Task, advise_task_with_chain
from plainbox.tasks.canonical import canonical_bytes, canonical_identifier
from plainbox.tasks.serialization import SerializableValue

ROOT = Path(plainbox.__file__).parents[1]
SENTINEL = object()


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


Pair = namedtuple("Pair", "a b")
OtherPair = namedtuple("OtherPair", "a b")


@dataclass(frozen=True)
class Point:
    x: int


@dataclass(frozen=True)
class OtherPoint:
    x: int


class Own:
    def __init__(self, value) -> None:
        self.value = value

    def __plainbox_canonical__(self):
        return self.value


class Ported(SerializableValue):
    def __init__(self, value) -> None:
        self.value = value

    def serialized(self):
        return {"value": self.value}

    @classmethod
    def deserialize(cls, values):
        return cls(values["value"])


def function(x, y=2, *rest, key=SENTINEL, **more):
    return x


def id_of(*args, **kwargs):
    return Task.create_task(function).execution(args, kwargs).execution_id


def test_the_way_arguments_are_passed_does_not_count():
    """By position, by keyword, in any order, or as a default that is spelled out: it is the same call."""
    assert id_of(1) == id_of(x=1) == id_of(1, 2) == id_of(y=2, x=1) == id_of(1, 2, key=SENTINEL)
    assert id_of(1, a=1, b=2) == id_of(1, b=2, a=1)
    assert len({id_of(1), id_of(2), id_of(1, 3), id_of(1, 2, 3), id_of(1, key=1), id_of(1, z=1)}) == 6


def test_arguments_stay_as_given():
    """The execution holds what the caller has passed."""
    execution = Task.create_task(function).execution((1,), {"key": 2})
    assert (execution.args, dict(execution.kwargs)) == ((1,), {"key": 2})


def test_types_count():
    """Values of different types are different, however equal Python calls them."""
    values = [
        1, True, 1.0, 1 + 0j, "1", b"1", bytearray(b"1"), decimal.Decimal(1), [1], (1,), {1}, frozenset([1]), {1: None},
        None, Color.RED, Number.ONE, Pair(1, 2), OtherPair(1, 2), (1, 2), Point(1), OtherPoint(1), Own(1), Ported(1),
        Path("a"), PurePosixPath("a"), PureWindowsPath("a"), "a", 0.0, -0.0, float("nan"), float("inf"), 0, "",
        datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        datetime.time(0), datetime.timedelta(1), datetime.datetime(2020, 1, 1, fold=1), uuid.UUID(int=1),
        "é", "e\u0301", "\ud800", decimal.Decimal("1.0"), [[1], 2], [[1, 2]], ["12"], ["1", "2"], [], (), {}, set(),
    ]  # fmt: skip
    assert len({canonical_bytes(value) for value in values}) == len(values)


class Flags(enum.Flag):
    ONE = 1
    TWO = 2
    FOUR = 4


class Zone(datetime.tzinfo):
    """A zone that says nothing of itself."""

    def utcoffset(self, moment):
        return datetime.timedelta(hours=3)


def test_flags_and_zones():
    """Combined flags count by their bits, and times by their distance from UTC, whatever the zone calls itself."""
    one, other = (datetime.timezone(datetime.timedelta(hours=hours), "local") for hours in (1, 2))
    values = [
        Flags(0), Flags.ONE, Flags.ONE | Flags.TWO, Flags.ONE | Flags.FOUR,
        datetime.datetime(2020, 1, 1, tzinfo=one), datetime.datetime(2020, 1, 1, tzinfo=other),
        datetime.time(1, tzinfo=one), datetime.time(1, tzinfo=other), datetime.datetime(2020, 1, 1, tzinfo=Zone()),
    ]  # fmt: skip
    assert len({canonical_bytes(value) for value in values}) == len(values)
    assert canonical_bytes(datetime.time(1, tzinfo=Zone())) == canonical_bytes(datetime.time(1, tzinfo=Zone()))
    # As every Python sees it: some give combined flags no name.
    nameless = Flags.ONE | Flags.TWO
    before = canonical_bytes(nameless)
    name, nameless._name_ = nameless._name_, None
    try:
        assert canonical_bytes(nameless) == before
    finally:
        nameless._name_ = name


def test_identity_does_not_count():
    """Equal strings are one value whether they are one object or two; any NaN is any other."""
    one = "some text"
    assert canonical_bytes([one, one]) == canonical_bytes(["some " + "text"[:4], "".join(["some", " text"])])
    assert canonical_bytes(float("nan")) == canonical_bytes(-float("nan"))


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_values, _values)
def test_equal_bytes_are_equal_values(one, other):
    """Two values have the same bytes only when they are the same in every type, which their representation shows."""
    if canonical_bytes(one) == canonical_bytes(other):
        assert sorted(repr(one)) == sorted(repr(other))
    assert canonical_bytes(one) == canonical_bytes(one)


@given(st.dictionaries(st.text() | st.integers() | st.none(), st.integers(), max_size=6), st.randoms())
def test_order_does_not_count(mapping, random):
    """Neither the order of a dictionary nor that of a set counts, keys of several types included."""
    items = list(mapping.items())
    random.shuffle(items)
    assert canonical_bytes(dict(items)) == canonical_bytes(mapping)
    assert canonical_bytes({key for key, _ in items}) == canonical_bytes(set(mapping))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from plainbox.tasks import Task
from plainbox.tasks.canonical import canonical_identifier
import posixpath
made = Task.create_task(posixpath.join)
print(made.task_id, made.execution(({"a", "b", "c", frozenset({"d", "e"})}, {"k": 1.5, "j": None}), {}).execution_id)
"""


def _ids(interpreter: str, seed: str) -> str:
    return subprocess.run(
        [interpreter, "-S", "-c", SCRIPT, str(ROOT)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_every_process_agrees():
    """The ids of a task and of a call with sets are the same under any hash seed and on any Python that is found."""
    found = {_ids(sys.executable, seed) for seed in ("0", "1", "12345")}
    for version in ("3.8", "3.13"):
        places = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python3"))
        found.update(_ids(str(place), "7") for place in places[:1])
    assert len(found) == 1


def test_ids_of_tasks():
    """A task's id comes from its names and its version, not from its code."""
    made = Task.create_task(function)
    assert len(made.task_id) == 64
    assert made.task_id == canonical_identifier(("function", __name__, "function", None, None))
    assert made.task_id != Task.create_task(function, {"version": 2}).task_id
    assert made.task_id == Task.create_task(function, {"retries": 2}).task_id


def _held_by_itself():
    found = []
    found.append([found])
    return found


def _deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (object, "builtins.object has no"),
        (_held_by_itself, "holds itself"),
        (_deep, "too deeply"),
        (lambda: len, "builtin"),
    ],
)
def test_values_without_a_form(make, why):
    """A value of an unknown type, one that holds itself and one that is too deep have no canonical form."""
    with pytest.raises(UncacheableArgument, match=why):
        canonical_bytes(make())


def test_same_value_twice():
    """A value may occur twice, as long as it is not inside of itself."""
    inner = [1]
    assert canonical_bytes([inner, inner]) == canonical_bytes([[1], [1]])


def test_uncacheable_call():
    """A call with an argument that has no form runs; it has an id of its own each time, and says why."""
    made = Task.create_task(function)
    one, other = (made.execution((object(),), {}) for _ in range(2))
    assert one.execution_id != other.execution_id
    assert one.uncacheable == "a value of type builtins.object has no canonical form"
    assert made.execution((1,), {}).uncacheable is None
    assert advise_task_with_chain(made, one, Configuration()) == Result(one.args[0])

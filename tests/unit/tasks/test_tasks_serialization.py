# SPDX-License-Identifier: Apache-2.0
"""Values that are written and read again: they keep their types, and nothing is made that the reader has not named."""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import json
import math
import pickle
import sys
import uuid
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.errors import JobStartError, RemoteError, SerializationError
from plainbox.tasks import (
    Context,
    Execution,
    FunctionTask,
    Interpreter,
    JsonSerializer,
    PickleSerializer,
    Result,
    SerializableValue,
    Serializer,
    Task,
)
from plainbox.tasks.serialization.records import ExceptionRecord, record_of
from plainbox.tasks.serialization.values import (
    ExceptionSerializer,
    SerializableValueSerializer,
    TupleSerializer,
    ValueSerializer,
)


class Color(enum.Enum):
    RED = "red"


Pair = namedtuple("Pair", "a b")


@dataclass
class Point:
    x: int
    tags: tuple = ()
    derived: int = field(init=False, default=0)


class Ported(SerializableValue):
    """A value as programs have it that come from another library."""

    def __init__(self, value) -> None:
        self.value = value

    def serialized(self):
        return {"value": self.value}

    @classmethod
    def deserialize(cls, values):
        return cls(values["value"])


class CustomError(Exception):
    def __init__(self, code, *, detail) -> None:
        super().__init__(f"code {code}: {detail}")


def written(value, serializer=None) -> bytes:
    stream = io.BytesIO()
    (serializer or JsonSerializer()).serialize(value, stream)
    return stream.getvalue()


def read(data, serializer=None):
    return (serializer or JsonSerializer()).deserialize(io.BytesIO(data))


def there_and_back(value, serializer=None):
    return read(written(value, serializer), serializer)


def same(one, other) -> bool:
    """Compare with types, at any depth; one NaN is another."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return all(same(*keys) for keys in zip(one, other, strict=True)) and all(
            same(one[key], other[key]) for key in one
        )
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(10**400), 1.5, -0.0, float("nan"), float("-inf"), 1 + 2j, decimal.Decimal("1.10"), "é\ud800\0",
        b"\xff\x00", bytearray(b"x"), (1, (2, [(3,)], {"k": (4,)})), [(), [()]], {1, "a", (2, 3)}, frozenset([1]),
        {1: "a", "1": "b", (1, 2): None, None: 1.5}, {"$type": "tuple", "value": [1]}, {"a": {"$type": {1: 2}}}, {},
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC), datetime.datetime(2020, 1, 2), datetime.time(1, 2),
        datetime.date(2020, 1, 2), datetime.timedelta(days=-1, microseconds=5), Path("/a/b"), PurePosixPath("a"),
        PureWindowsPath("c:/a"), uuid.UUID(int=5),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_round_trip(value):
    """A value comes back equal and with its type, whatever is inside of it."""
    assert same(there_and_back(value), value)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.sampled_from(["$type", "value", "a"]) | st.integers() | st.booleans(), inner, max_size=4)
    ),
    max_leaves=16,
)


@given(_values)
def test_any_value_round_trip(value):
    """What is made of the common types comes back as it was, the order of dictionaries included."""
    assert same(there_and_back(value), value)


def test_form():
    """Plain data is plain JSON without blanks, and without what only Python reads."""
    assert written({"b": [1, None], "a": "é"}) == b'{"b":[1,null],"a":"\\u00e9"}'
    assert json.loads(written((float("nan"),))) == {
        "$type": "tuple",
        "value": [{"$type": "number", "value": ["float", "nan"]}],
    }


def test_registered_types():
    """Classes of one's own travel under the names that they were registered with."""
    serializer = JsonSerializer().register_value_type("color", Color).register_value_type("pair", Pair)
    serializer.register_value_type("point", Point).register_value_type("ported", Ported)
    assert there_and_back([Color.RED, Pair(1, (2,)), Point(1, (2,))], serializer) == [
        Color.RED, Pair(1, (2,)), Point(1, (2,)),
    ]  # fmt: skip
    assert there_and_back(Ported((1,)), serializer).value == (1,)
    assert b"Ported" not in written(Ported(1), serializer)


@pytest.mark.parametrize("value", [Color.RED, Pair(1, 2), Point(1), Ported(1), object(), len, Ported, range(3)])
def test_other_types(value):
    """A value of a class that nobody has registered is refused, with what to do, and nothing is written."""
    stream = io.BytesIO()
    with pytest.raises(SerializationError, match="cannot be written as JSON") as caught:
        JsonSerializer().serialize({"a": [1, value]}, stream)
    assert "register" in caught.value.hint
    assert stream.getvalue() == b""


def test_registering():
    """A name stands for one class, and only classes with a form can have one."""
    serializer = JsonSerializer().register_value_type("x", Point)
    with pytest.raises(SerializationError, match="stands for Point already"):
        serializer.register_value_type("x", Ported)
    with pytest.raises(SerializationError, match="object cannot be registered"):
        serializer.register_value_type("y", object)


def test_serializers_share_nothing():
    """What one serializer knows, another one does not."""
    data = written(Ported(1), JsonSerializer().register_value_type("ported", Ported))
    with pytest.raises(SerializationError, match="'value' cannot be read"):
        read(data)


def test_too_deep_or_holding_itself():
    """A value that holds itself is an error, and so is data that nests without end."""
    value = []
    value.append(value)
    with pytest.raises(SerializationError, match="holds itself"):
        written(value)
    with pytest.raises(SerializationError, match="too deeply"):
        read(b"[" * 200_000 + b"]" * 200_000)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"{", b"NaN", b"[1e", b"9" * 5000, b'{"$type":"tuple"}', b'{"$type":"tuple","value":1}',
        b'{"$type":"tuple","value":[],"more":1}', b'{"$type":"os.system","value":["true"]}', b'{"$type":["a"],"value":1}',
        b'{"$type":"value","value":["os.system","true"]}', b'{"$type":"value","value":[["x"],1]}',
        b'{"$type":"value","value":["plainbox.result",{"value":1}]}', b'{"$type":"set","value":["set",[[1]]]}',
        b'{"$type":"set","value":["eval",["1"]]}', b'{"$type":"dict","value":[[[1],2]]}', b'{"$type":"dict","value":[[1]]}',
        b'{"$type":"bytes","value":["bytes","*"]}', b'{"$type":"number","value":["float","x"]}',
        b'{"$type":"number","value":["Decimal","x"]}', b'{"$type":"time","value":["datetime","x"]}',
        b'{"$type":"time","value":["timedelta",[1e300]]}', b'{"$type":"path","value":["path",1]}',
        b'{"$type":"exception","value":{}}', b'{"$type":"exception","value":[]}',
        b'{"_serializer":"ExceptionSerializer","value":{"type":"x","module":"os"}',
    ],
)  # fmt: skip
def test_bad_data(data):
    """Data that stands for no value is one kind of error, whatever is wrong with it."""
    with pytest.raises(SerializationError):
        read(data)


class Reversed(ValueSerializer):
    """Writes texts of a class of its own backwards."""

    class Text(str):
        __slots__ = ()

    def can_serialize_value(self, value):
        return isinstance(value, self.Text)

    def serialize_value(self, value):
        return str(value)[::-1]

    def deserialize_value(self, representation):
        return self.Text(representation[::-1])


def test_own_value_serializer():
    """A program can add a way to write values; data names it by its class."""
    serializer = JsonSerializer()
    serializer.value_serializers.append(Reversed())
    back = there_and_back([Reversed.Text("abc")], serializer)
    assert (back, type(back[0])) == (["abc"], Reversed.Text)
    assert written(Reversed.Text("abc"), serializer) == b'{"$type":"Reversed","value":"cba"}'
    kinds = [type(value_serializer) for value_serializer in JsonSerializer().value_serializers]
    assert kinds[:3] == [ExceptionSerializer, SerializableValueSerializer, TupleSerializer]


def test_values_of_the_package():
    """Results, executions, contexts and interpreters travel as they are."""
    interpreter = Interpreter(path=["/a"], executable="python").set_environment(A="1")
    execution = Execution("e", (1, (2, [3])), {"k": {4}}, "why")
    values = [Result((1,)), execution, Context({"a": (1,)}), interpreter]
    for serializer in (JsonSerializer(), PickleSerializer()):
        assert there_and_back(values, serializer) == values


def test_task_of_a_function():
    """The names of a function travel, and its parameters; what is no function under that name is refused."""
    made = Task.create_task(there_and_back, {"n": (1,)})
    assert FunctionTask.deserialize(made.serialized()) == made == there_and_back(made, PickleSerializer())
    for name, why in (("there_and_bock", "cannot be had here"), ("JsonSerializer", "no plain function")):
        with pytest.raises(SerializationError, match=why):
            FunctionTask.deserialize({**made.serialized(), "name": name})
    with pytest.raises(SerializationError, match="cannot be imported by another process"):
        Task.create_task(lambda: None).serialized()


def test_tasks_are_no_values():
    """A value that somebody sends cannot have a module imported by being a task."""
    data = json.dumps({"$type": "value", "value": ["plainbox.function", {"module": "antigravity", "name": "x"}]})
    with pytest.raises(SerializationError):
        read(data.encode())
    with pytest.raises(SerializationError):
        written(Task.create_task(there_and_back))
    assert "antigravity" not in sys.modules


def test_pickle():
    """Pickle is there for those who ask for it; its errors are ours, and it says that it is not for data of others."""
    serializer = PickleSerializer()
    assert there_and_back({1: object}, serializer) == {1: object}
    assert isinstance(serializer, Serializer)
    assert (serializer.data_only, JsonSerializer.data_only) == (False, True)
    with pytest.raises(SerializationError, match="cannot be pickled"):
        written(lambda: None, serializer)
    for data in (b"", b"junk", pickle.dumps(5)[:-1]):
        with pytest.raises(SerializationError, match="cannot be read"):
            read(data, serializer)


def test_json_reads_no_pickle():
    """JSON, which is what everything uses by itself, makes nothing of a pickle."""
    with pytest.raises(SerializationError, match="no JSON"):
        read(pickle.dumps({1}))


def raised(error, cause=None):
    try:
        if cause is not None:
            try:
                raise cause
            except type(cause) as first:
                raise error from first
        raise error
    except type(error) as caught:
        return caught


def test_builtin_exception():
    """A builtin exception comes back as what it was, with its cause, its notes and the frames as a note."""
    error = raised(KeyError("key", (1, 2)), ValueError("first"))
    error.add_note("look here")
    back = there_and_back(Result(exception=error)).exception
    assert (type(back), back.args, type(back.__cause__)) == (KeyError, ("key", (1, 2)), ValueError)
    assert back.__notes__[0] == "look here"
    assert "Traceback in the other process" in back.__notes__[1]
    assert "in raised" in back.__notes__[1]
    assert "ValueError: first" in record_of(back).text


def test_exceptions_with_more_than_arguments():
    """The file of an OSError and the bytes of a decoding error are not lost."""
    missing = raised(FileNotFoundError(2, "No such file", "/nowhere"))
    assert there_and_back(missing).filename == "/nowhere"
    wrong = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why")
    assert there_and_back(wrong).object == b"\xff"
    group = there_and_back(raised(ExceptionGroup("some", [ValueError(1), CustomError(1, detail="x")])))
    assert [type(inner) for inner in group.exceptions] == [ValueError, RemoteError]


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Counted:
    """A value with a field that is not given when one is made."""

    start: int
    count: int = field(init=False, default=0)


def test_flags():
    """Combined flags come back as they are."""
    serializer = JsonSerializer().register_value_type("rights", Rights)
    for value in (Rights.READ, Rights.READ | Rights.WRITE, Rights(0)):
        assert there_and_back(value, serializer) is value
        assert b'["rights",%d]' % value.value in written(value, serializer)
    with pytest.raises(SerializationError):
        read(written(Rights.READ, serializer).replace(b",1]", b",64]"), serializer)


def test_fields_that_are_not_given():
    """A field that the constructor does not take has the value that it had."""
    value = Counted(1)
    object.__setattr__(value, "count", 7)
    serializer = JsonSerializer().register_value_type("counted", Counted)
    assert there_and_back(value, serializer) == value
    with pytest.raises(SerializationError):
        read(written(value, serializer).replace(b"count", b"other"), serializer)


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2020, 10, 25, 2, 30, fold=1),
        datetime.datetime(2020, 10, 25, 2, 30, 5, 7, tzinfo=datetime.timezone(datetime.timedelta(hours=1)), fold=1),
        datetime.time(2, 30, fold=1),
        datetime.time(2, 30),
    ],
)
def test_second_of_two_equal_times(value):
    """When the clocks go back, the second of two equal times stays the second."""
    found = there_and_back(value)
    assert (found, found.fold) == (value, value.fold)


class TellingError(ValueError):
    def __init__(self, number):
        super().__init__(number + 1)


def test_exception_that_would_say_something_else():
    """An exception whose arguments make another one is told with what it has said, not made anew."""
    serializer = JsonSerializer().register_value_type("telling", TellingError)
    error = there_and_back(TellingError(1), serializer)
    assert isinstance(error, RemoteError)
    assert str(error).endswith("TellingError: 2")


def test_our_exceptions():
    """An error of the package comes back as what it was."""
    assert str(there_and_back(JobStartError("no shell"))) == "no shell"


def test_unknown_exception():
    """One of a class that the reader has not named becomes a RemoteError that tells everything."""
    error = raised(CustomError(5, detail="disk"), ValueError("first"))
    error.add_note("look here")
    back = there_and_back(Result(exception=error)).exception
    assert type(back) is RemoteError
    assert str(back) == f"{__name__}.CustomError: code 5: disk"
    record = record_of(back)
    assert record.type_name == "CustomError"
    for piece in ("CustomError: code 5: disk", "look here", "ValueError: first", "in raised", "direct cause"):
        assert piece in record.text
    assert record_of(there_and_back(back)) == record


def test_registered_exception():
    """A registered class is made anew when its arguments do that; else the record stands in."""

    class Plain(Exception):
        pass

    serializer = JsonSerializer().register_value_type("plain", Plain).register_value_type("custom", CustomError)
    assert type(there_and_back(Plain("a"), serializer)) is Plain
    assert type(there_and_back(CustomError(1, detail="x"), serializer)) is RemoteError


def test_exception_with_arguments_that_cannot_travel():
    """What cannot be written is left out, and the text remains."""
    back = there_and_back(ValueError(object()))
    assert type(back) is RemoteError
    assert str(back).startswith("ValueError: <object object")


def test_exceptions_that_mean_something_here():
    """Nobody else can have this process interrupted; the exit of a program is a result like others."""
    assert type(there_and_back(KeyboardInterrupt())) is RemoteError
    assert type(there_and_back(SystemExit(3))) is SystemExit


def test_exception_names_import_nothing():
    """A record that names a module has it neither imported nor called."""
    record = ExceptionRecord("system", "antigravity", "m", args=("true",)).serialized()
    assert type(read(json.dumps({"$type": "exception", "value": record}).encode())) is RemoteError
    assert "antigravity" not in sys.modules
    for module, name in (
        ("builtins", "eval"),
        ("builtins", "exit"),
        ("plainbox.errors", "os"),
        ("builtins", "__import__"),
    ):
        record = ExceptionRecord(name, module, "m", args=("1",)).serialized()
        assert type(read(json.dumps({"$type": "exception", "value": record}).encode())) is RemoteError


def test_endless_causes():
    """A chain of causes is cut when it is written, and refused when data has one without end."""
    error = ValueError(0)
    for number in range(1, 50):
        outer = ValueError(number)
        outer.__cause__ = error
        error = outer
    assert there_and_back(error).args == (49,)
    endless = ExceptionRecord("ValueError", "builtins", "").serialized()
    for _ in range(50):
        endless = {**endless, "cause": endless}
    with pytest.raises(SerializationError, match="no record"):
        read(json.dumps({"$type": "exception", "value": endless}).encode())


def test_message_that_cannot_be_had():
    """An exception whose text fails is told of all the same."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert "cannot be read: ValueError" in str(there_and_back(Silent()))

# SPDX-License-Identifier: Apache-2.0
"""The rules of the session's data classes."""

from __future__ import annotations

import attrs
import pytest

from plainbox.events import signal
from plainbox.session.fields import const, integer, notify, typed, typed_sequence, unique


@attrs.define(slots=False)
class Sample:
    name: str = attrs.field(validator=typed(str), on_setattr=[attrs.setters.validate, const])
    words: tuple[str, ...] = attrs.field(
        default=(),
        validator=[typed(tuple), typed_sequence(str), unique],
        on_setattr=[attrs.setters.validate, notify("on_words_changed")],
    )
    number: int | None = attrs.field(default=None, validator=typed(int, type(None)))

    @signal
    def on_words_changed(self, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        pass


def listened(sample: Sample) -> list[tuple[object, object]]:
    heard: list[tuple[object, object]] = []
    sample.on_words_changed.connect(lambda old, new: heard.append((old, new)))
    return heard


def test_a_wrong_type_is_refused_at_construction() -> None:
    """A value of a wrong type never gets into an object."""
    with pytest.raises(TypeError, match=r"Sample\.name must be str, not int"):
        Sample(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be int or NoneType"):
        Sample("a", number="1")  # type: ignore[arg-type]


def test_an_integer_is_one_that_can_be_stored() -> None:
    """Truth values and fractions are no whole numbers, and neither is one that JSON readers would change."""

    @attrs.define
    class Counter:
        count: int = attrs.field(default=1, validator=integer(at_least=1))

    counter = Counter()
    for wrong, error in ((True, TypeError), (1.0, TypeError), ("1", TypeError), (0, ValueError), (2**53, ValueError)):
        with pytest.raises(error, match=r"Counter\.count"):
            counter.count = wrong  # type: ignore[assignment]
    assert counter.count == 1
    counter.count = 2**53 - 1


def test_a_constant_is_assigned_once() -> None:
    """A second assignment raises AttributeError, of a wrong type TypeError, and the value stays."""
    sample = Sample("a")
    with pytest.raises(AttributeError, match=r"Sample\.name cannot be assigned again"):
        sample.name = "b"
    with pytest.raises(TypeError):
        sample.name = 1  # type: ignore[assignment]
    assert sample.name == "a"


@pytest.mark.parametrize(
    ("value", "error"),
    [(["a"], TypeError), (("a", 1), TypeError), (("a", "b", "a"), ValueError)],
    ids=["container", "item", "repeated"],
)
def test_a_refused_sequence_changes_nothing(value: object, error: type[Exception]) -> None:
    """A sequence of a wrong type, with a wrong item or a repeated one leaves the old value and fires nothing."""
    sample = Sample("a", ("x",))
    heard = listened(sample)
    with pytest.raises(error):
        sample.words = value  # type: ignore[assignment]
    assert sample.words == ("x",)
    assert heard == []


def test_a_notifying_field_tells_old_and_new() -> None:
    """The signal has the old and the new value, and the new one is in place by then."""
    sample = Sample("a", ("x",))
    seen: list[tuple[str, ...]] = []
    sample.on_words_changed.connect(lambda old, new: seen.append(sample.words))
    heard = listened(sample)
    sample.words = ("y",)
    assert heard == [(("x",), ("y",))]
    assert seen == [("y",)]


def test_an_equal_value_fires_nothing() -> None:
    """Assigning what is there already is no change."""
    sample = Sample("a", ("x",))
    heard = listened(sample)
    sample.words = ("x",)
    assert heard == []


def test_a_raising_listener_leaves_the_new_value() -> None:
    """The error of a listener reaches the assigner; the assignment has happened all the same."""
    sample = Sample("a")

    def fail(old: object, new: object) -> None:
        raise RuntimeError("no")

    sample.on_words_changed.connect(fail)
    with pytest.raises(RuntimeError):
        sample.words = ("y",)
    assert sample.words == ("y",)


def test_a_listener_may_assign_again() -> None:
    """What a listener assigns is not overwritten by the assignment that it listens to."""
    sample = Sample("a")

    def insist(old: object, new: object) -> None:
        sample.words = ("z",)

    sample.on_words_changed.connect(insist)
    sample.words = ("y",)
    assert sample.words == ("z",)


def test_nobody_listening_makes_no_signal() -> None:
    """An assignment that nobody hears of does not bring the signal into being."""
    sample = Sample("a")
    sample.words = ("y",)
    assert "__signals__" not in vars(sample)


def test_a_subclass_fires_the_signal_of_its_base() -> None:
    """The signal is found by the class that defines it."""

    class Special(Sample):
        pass

    special = Special("a")
    heard = listened(special)
    special.words = ("y",)
    assert heard == [((), ("y",))]


def test_a_signal_that_does_not_exist_is_named() -> None:
    """A field that notifies by a wrong name says so when it matters."""

    @attrs.define(slots=False)
    class Wrong:
        value: int = attrs.field(default=0, on_setattr=notify("on_nothing"))

        @signal
        def on_something(self) -> None:
            pass

    wrong = Wrong()
    wrong.on_something.connect(lambda: None)
    with pytest.raises(AttributeError, match="Wrong has no signal 'on_nothing'"):
        wrong.value = 1

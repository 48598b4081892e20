# SPDX-License-Identifier: Apache-2.0
"""Signals: who is called, in which order, and what becomes of a listener that raises."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from plainbox.events import Signal, signal


class Counter:
    """Something whose changes are announced."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    @signal
    def on_changed(self, old: int, new: int = 0) -> None:
        """Fired when the count changes."""
        self.calls.append(("first", old, new))


class Listener:
    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def heard(self, old: int, new: int = 0) -> None:
        self.calls.append((old, new))


def test_firing_runs_the_method_itself_and_then_the_listeners() -> None:
    """In the order of their connection, with the arguments of the call."""
    counter = Counter()
    counter.on_changed.connect(lambda old, new=0: counter.calls.append(("second", old, new)))
    counter.on_changed.connect(lambda old, new=0: counter.calls.append(("third", old, new)))
    counter.on_changed(1, new=2)
    assert counter.calls == [("first", 1, 2), ("second", 1, 2), ("third", 1, 2)]


def test_every_object_has_its_own_signal() -> None:
    """Connecting to one says nothing about another."""
    one, other = Counter(), Counter()
    heard: list[int] = []
    one.on_changed.connect(lambda old, new=0: heard.append(old))
    other.on_changed(1)
    one.on_changed(2)
    assert heard == [2]
    assert one.on_changed is one.on_changed


def test_a_signal_nobody_listens_to_runs_the_method_alone() -> None:
    """Firing needs no listener."""
    counter = Counter()
    counter.on_changed(1)
    assert counter.calls == [("first", 1, 0)]


def test_a_listener_may_be_a_method() -> None:
    """Of any object; disconnecting it is undoing one connection."""
    counter, listener = Counter(), Listener()
    counter.on_changed.connect(listener.heard)
    counter.on_changed(1)
    counter.on_changed.disconnect(listener.heard)
    counter.on_changed(2)
    assert listener.calls == [(1, 0)]


def test_a_listener_connected_twice_is_called_twice() -> None:
    """And once after it was disconnected once."""
    counter, listener = Counter(), Listener()
    counter.on_changed.connect(listener.heard)
    counter.on_changed.connect(listener.heard)
    counter.on_changed(1)
    counter.on_changed.disconnect(listener.heard)
    counter.on_changed(2)
    assert listener.calls == [(1, 0), (1, 0), (2, 0)]


def test_disconnecting_an_unknown_listener_is_an_error() -> None:
    """Such a call is a mistake of the caller."""
    with pytest.raises(ValueError):
        Counter().on_changed.disconnect(Listener().heard)


def test_a_listener_that_raises_does_not_keep_the_others_from_running() -> None:
    """The error is raised when all of them have run."""
    counter, listener = Counter(), Listener()

    def fails(old: int, new: int = 0) -> None:
        raise LookupError("first")

    counter.on_changed.connect(fails)
    counter.on_changed.connect(listener.heard)
    with pytest.raises(LookupError, match="first"):
        counter.on_changed(1)
    assert counter.calls == [("first", 1, 0)]
    assert listener.calls == [(1, 0)]


def test_of_several_errors_the_first_is_raised_and_the_others_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """None is lost."""
    counter = Counter()

    def fail_with(text: str) -> None:
        def fails(old: int, new: int = 0) -> None:
            raise LookupError(text)

        counter.on_changed.connect(fails)

    fail_with("first")
    fail_with("second")
    with caplog.at_level(logging.ERROR), pytest.raises(LookupError, match="first"):
        counter.on_changed(1)
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "second"


def test_what_ends_the_program_is_not_held_back() -> None:
    """KeyboardInterrupt is no error of a listener."""
    counter, listener = Counter(), Listener()

    def interrupted(old: int, new: int = 0) -> None:
        raise KeyboardInterrupt

    counter.on_changed.connect(interrupted)
    counter.on_changed.connect(listener.heard)
    with pytest.raises(KeyboardInterrupt):
        counter.on_changed(1)
    assert listener.calls == []


def test_listeners_may_come_and_go_while_the_signal_is_fired() -> None:
    """Those that were connected when it began are called, and only those."""
    counter, late, going = Counter(), Listener(), Listener()

    def changes(old: int, new: int = 0) -> None:
        counter.on_changed.disconnect(going.heard)
        counter.on_changed.connect(late.heard)

    counter.on_changed.connect(changes)
    counter.on_changed.connect(going.heard)
    counter.on_changed(1)
    assert (going.calls, late.calls) == ([(1, 0)], [])


def test_a_signal_can_be_fired_from_its_own_listener() -> None:
    """The inner firing is complete before the outer one goes on."""
    counter = Counter()
    counter.on_changed.connect(lambda old, new=0: counter.on_changed(old - 1) if old else None)
    counter.on_changed(2)
    assert counter.calls == [("first", 2, 0), ("first", 1, 0), ("first", 0, 0)]


def test_a_signal_cannot_be_assigned() -> None:
    """It belongs to the class."""
    with pytest.raises(AttributeError):
        Counter().on_changed = None  # type: ignore[assignment]


def test_a_signal_has_the_name_and_the_words_of_its_method() -> None:
    """For logs and for documentation."""
    assert isinstance(Counter().on_changed, Signal)
    assert Counter().on_changed.name == "Counter.on_changed"
    assert Counter.on_changed.__doc__ == "Fired when the count changes."


def test_subclasses_have_the_signals_of_their_bases() -> None:
    """A method of the same name in the subclass is a signal of its own."""

    class Louder(Counter):
        @signal
        def on_louder(self) -> None:
            self.calls.append("louder")

    louder = Louder()
    louder.on_louder()
    louder.on_changed(1)
    assert louder.calls == ["louder", ("first", 1, 0)]


def test_signals_do_not_keep_their_object_alive() -> None:
    """An object that was announced can go."""
    counter = Counter()
    counter.on_changed(1)
    gone = weakref.ref(counter)
    del counter
    gc.collect()
    assert gone() is None

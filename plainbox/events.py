# SPDX-License-Identifier: Apache-2.0
"""Signals: how the state of a session tells the world that it has changed.

The only module that imports morris. A method decorated with :func:`signal` becomes a typed :class:`Signal`; calling
it runs the method itself first, then every listener in the order of its connection. A listener that raises is logged
and does not keep the others from running; the first error is raised again once all of them have run, so the change
that was announced is always complete.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import morris

__all__ = ["Signal", "signal"]

_log = logging.getLogger(__name__)

P = ParamSpec("P")
S = TypeVar("S")


class _IsolatingSignal(morris.signal):
    """A morris signal whose listeners cannot keep each other from running."""

    def fire(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first: Exception | None = None
        for info in self.listeners[:]:
            try:
                if info.pass_signal:
                    info.listener(*args, signal=self, **kwargs)
                else:
                    info.listener(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - listeners are anybody's
                if first is None:
                    first = error
                else:
                    _log.exception("A listener of %s failed, after another one", self.name)
        if first is not None:
            raise first


class Signal(Generic[P]):
    """The signal of one object: call it to fire it."""

    __slots__ = ("_morris",)

    def __init__(self, morris_signal: morris.signal) -> None:
        self._morris = morris_signal

    @property
    def name(self) -> str:
        return self._morris.name

    def connect(self, listener: Callable[P, object]) -> None:
        """Call ``listener`` at every firing from now on; connected twice, it is called twice."""
        self._morris.connect(listener)

    def disconnect(self, listener: Callable[P, object]) -> None:
        """Undo one :meth:`connect`; an unknown listener raises :class:`ValueError`."""
        self._morris.disconnect(listener)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self._morris.fire(args, kwargs)


class _SignalMethod(Generic[S, P]):
    """The descriptor that :func:`signal` leaves in the class; one :class:`Signal` per instance, made when asked for."""

    def __init__(self, first_responder: Callable[Concatenate[S, P], None]) -> None:
        self._first_responder = first_responder
        self._name = first_responder.__qualname__
        self.__doc__ = first_responder.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> _SignalMethod[S, P]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Signal[P]: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        try:
            signals = instance.__signals__
        except AttributeError:
            signals = instance.__signals__ = {}
        try:
            return signals[self._name]
        except KeyError:
            underlying = _IsolatingSignal(self._name)
            underlying.connect(morris.boundmethod(instance, self._first_responder))
            made = signals[self._name] = Signal[P](underlying)
            return made

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(f"the signal {self._name} cannot be assigned")


def signal(first_responder: Callable[Concatenate[S, P], None]) -> _SignalMethod[S, P]:
    """Turn a method into a signal whose first responder is the method itself."""
    return _SignalMethod(first_responder)

# SPDX-License-Identifier: Apache-2.0
"""What guards the fields of the session's data classes: validators and hooks for :mod:`attrs`.

A wrong type is a :class:`TypeError`, a repeated element a :class:`ValueError`, a second assignment to a constant an
:class:`AttributeError`; whatever raises leaves the old value in place. The order in ``on_setattr`` is the order of
the checks, so ``[attrs.setters.validate, const]`` reports a wrong type before it reports the second assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never, TypeAlias

import attrs

from plainbox.session.announcement import fire

__all__ = ["Hook", "Validator", "const", "integer", "notify", "typed", "typed_sequence", "unique"]

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]
Hook: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], Any]


def typed(*types: type) -> Validator:
    """Accept instances of ``types`` only."""

    def validate(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, types):
            names = " or ".join(item.__name__ for item in types)
            raise TypeError(f"{_place(instance, attribute)} must be {names}, not {type(value).__name__}")

    return validate


def integer(*, at_least: int | None = None) -> Validator:
    """Accept whole numbers that every reader of a stored session understands: of 53 bits, and no truth values.

    Another number is a :class:`ValueError`.
    """

    def validate(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{_place(instance, attribute)} must be int, not {type(value).__name__}")
        if not -(2**53) < value < 2**53 or (at_least is not None and value < at_least):
            raise ValueError(f"{_place(instance, attribute)} cannot be {value}")

    return validate


def typed_sequence(item_type: type) -> Validator:
    """Accept a sequence whose items are all instances of ``item_type``."""

    def validate(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        for item in value:
            if not isinstance(item, item_type):
                raise TypeError(
                    f"every item of {_place(instance, attribute)} must be {item_type.__name__}, "
                    f"not {type(item).__name__}"
                )

    return validate


def unique(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Accept a sequence without repeated items."""
    seen = set()
    for item in value:
        if item in seen:
            raise ValueError(f"{_place(instance, attribute)} has {item!r} twice")
        seen.add(item)


def const(instance: object, attribute: attrs.Attribute[Any], new: object) -> Never:
    """Refuse every assignment after the construction."""
    raise AttributeError(f"{_place(instance, attribute)} cannot be assigned again")


def notify(signal_name: str) -> Hook:
    """Fire the signal ``(old, new)`` of the instance when the new value differs from the old one.

    The value is in place before the first listener runs and stays when one raises. The hook must be the last one. The
    first responder of the signal must do nothing: it does not run while nobody has asked for the signal.
    """

    def assign(instance: Any, attribute: attrs.Attribute[Any], new: object) -> object:
        values = instance.__dict__
        old = values[attribute.name]
        values[attribute.name] = new
        if new is not old and new != old:
            fire(instance, signal_name, old, new)
        # A listener may have assigned again; attrs stores what is returned here.
        return values[attribute.name]

    return assign


def _place(instance: object, attribute: attrs.Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{attribute.name}"

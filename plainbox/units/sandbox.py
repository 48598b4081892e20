# SPDX-License-Identifier: Apache-2.0
"""Jinja2 for texts of units: its sandbox, and bounds on what a text may make of itself and how long it may take.

Whoever looks at a provider renders its texts, so none of them may fill the memory or go on for ever. Everything that can
make a long value of short ones - operators, literals, filters, methods of texts, captured output - refuses to make one of
more than a bounded weight; and the lines of Python that a rendering runs are counted. So every step is short, and there
are not too many of them.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType, GeneratorType
from typing import TYPE_CHECKING

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = ["Sandbox", "budget"]

_MAX_WEIGHT = 200_000  # characters and items of one value
_MAX_PRODUCT = 10_000_000  # of the weights that take part in one operation on texts
_MAX_NUMBER = 10_000  # of characters or times that anything is padded to or repeated
_MAX_POWER = 1000  # base and exponent
_MAX_BITS = 4096  # of a whole number
_MAX_STEPS = 500_000  # lines of Python
_MAX_SECONDS = 10.0
_CLOCK_EVERY = 1024  # steps


def weight(value: object) -> int:
    """Return the characters and items in a value, counted as often as they would be shown."""
    total = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (str, bytes)):
            total += len(item)
        elif isinstance(item, Mapping):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += item
        total += 1
        if total > _MAX_WEIGHT:
            raise SecurityError("a value that is too long")
    return total


def _bounded(value: object) -> object:
    """Return a value that is not too large."""
    weight(value)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise SecurityError("a number that is too large")
    return value


def _counted(items: Iterable[object]) -> Iterator[object]:
    total = 0
    for item in items:
        total += weight(item)
        if total > _MAX_WEIGHT:
            raise SecurityError("a value that is too long")
        yield item


def _refuse_large(arguments: Iterable[object]) -> None:
    """Refuse arguments of which one operation could make something too large: long ones, wide formats, high counts."""
    weights = []
    for item in arguments:
        weights.append(weight(item))
        if isinstance(item, int) and abs(item) > _MAX_NUMBER:
            raise SecurityError("a number that is too large here")
        if isinstance(item, str) and _has_wide_format(item):
            raise SecurityError("a format that is too wide")
    if math.prod(weights) > _MAX_PRODUCT:
        raise SecurityError("a value that is too long")


def _has_wide_format(text: str) -> bool:
    """Tell whether a text has five digits in a row where a format could have a width."""
    digits = 0
    for character in text:
        digits = digits + 1 if character.isdigit() else 0
        if digits > 4 and ("%" in text or "{" in text):
            return True
    return False


def _guarded(function: Callable[..., object]) -> Callable[..., object]:
    """Return a filter that is given and gives nothing too large."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        args = tuple(_counted(item) if isinstance(item, GeneratorType) else item for item in args)
        _refuse_large((*args, *kwargs.values()))
        return _bounded(function(*args, **kwargs))

    return call


def _joined(parts: Iterable[str]) -> str:
    return "".join(str(part) for part in _counted(parts))


class _Generator(CodeGenerator):
    """Puts a bound around the literals and the operator that the environment is not asked about."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - the visitor's names
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._within_bounds(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._within_bounds(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._within_bounds(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _within_bounds(self, visit: Callable[..., None], node: nodes.Node, frame: Frame) -> None:
        self.write("environment.bounded(")
        visit(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for texts of units, which are shell script or prose and never HTML: nothing is escaped."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("+", "-", "*", "**", "%"))
    bounded = staticmethod(_bounded)
    joined = staticmethod(_joined)
    concat = staticmethod(_joined)

    def __init__(self) -> None:
        super().__init__(autoescape=False, keep_trailing_newline=True, finalize=_bounded)
        self.filters = {name: _guarded(function) for name, function in self.filters.items()}

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: object, right: object) -> object:
        operands = (left, right)
        if operator == "%" and isinstance(left, str):
            _refuse_large((left, *(right if isinstance(right, tuple) else (right,))))
        elif operator == "*" and any(isinstance(item, (str, list, tuple)) for item in operands):
            _refuse_large(operands)
            times = [item for item in operands if isinstance(item, int)]
            if times and weight(operands) * max(times) > _MAX_WEIGHT:
                raise SecurityError("a repetition that is too long")
        elif operator == "**" and any(isinstance(item, (int, float)) and abs(item) > _MAX_POWER for item in operands):
            raise SecurityError("a power that is too great")
        return _bounded(super().call_binop(context, operator, left, right))

    def call(self, context: jinja2.runtime.Context, function: object, *args: object, **kwargs: object) -> object:
        # The sandbox puts a function of its own around str.format.
        method = getattr(function, "__wrapped__", function)
        text = getattr(method, "__self__", None)
        if isinstance(text, str):
            args = tuple(_counted(item) if isinstance(item, GeneratorType) else item for item in args)
            _refuse_large((text, *args, *kwargs.values()))
            return _bounded(super().call(context, function, *args, **kwargs))
        return super().call(context, function, *args, **kwargs)


@contextlib.contextmanager
def budget() -> Iterator[None]:
    """End what runs in here with :class:`SecurityError` when it has taken too many steps or too much time."""
    steps = 0
    deadline = time.monotonic() + _MAX_SECONDS

    def trace(frame: FrameType, event: str, argument: object) -> TraceFunction:
        nonlocal steps
        steps += 1
        if steps > _MAX_STEPS or (steps % _CLOCK_EVERY == 0 and time.monotonic() > deadline):
            raise SecurityError("takes too long")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)

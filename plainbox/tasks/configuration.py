# SPDX-License-Identifier: Apache-2.0
"""Which advice is put around executions: chains by name, outermost advice first.

The engine has one configuration; it is complete before the first job runs, so that a wrong name stops a run before it
has begun.
"""

from __future__ import annotations

from collections.abc import Iterable

from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice

__all__ = ["LONGEST_CHAIN", "Configuration", "advice_by_name"]

# Each advice takes a few frames of the stack.
LONGEST_CHAIN = 64

_DEFAULT_CHAIN = ("log", "timeout")
_ENTRY_POINTS = "plainbox.advices"


class Configuration:
    """Chains of advices. The chain ``default`` is there from the start: log, timeout."""

    def __init__(self) -> None:
        self._chains: dict[str, tuple[Advice, ...]] = {"default": tuple(map(advice_by_name, _DEFAULT_CHAIN))}

    def add_advice_chain(self, *advices: Advice, name: str = "default") -> Configuration:
        """Set the chain ``name``, outermost advice first; a chain of that name is replaced. Returns ``self``."""
        if len(advices) > LONGEST_CHAIN:
            raise ChainError(f"the chain {name!r} has {len(advices)} advices; at most {LONGEST_CHAIN} are possible")
        for advice in advices:
            if not isinstance(advice, Advice):
                raise ChainError(f"the chain {name!r} holds {advice!r}, which is no advice")
        self._chains[name] = advices
        return self

    def get_advice_chain(self, name: str = "default") -> tuple[Advice, ...]:
        """Return the advices of a chain; :class:`ChainError` names those that exist when it does not."""
        try:
            return self._chains[name]
        except KeyError:
            raise _unknown("advice chain", name, self._chains) from None


def advice_by_name(name: str) -> Advice:
    """Return a new advice: one of ours, or one that an installed package declares in ``plainbox.advices``."""
    if name == "log":
        from plainbox.tasks.advices.log import LoggingAdvice

        return LoggingAdvice()
    if name == "timeout":
        from plainbox.tasks.advices.timeout import TimeoutAdvice

        return TimeoutAdvice()
    from importlib.metadata import entry_points

    declared = entry_points(group=_ENTRY_POINTS)
    if name not in declared.names:
        raise _unknown("advice", name, {*declared.names, "log", "timeout"})
    try:
        advice = declared[name].load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ChainError(f"the advice {name!r} cannot be loaded: {error}") from error
    if not isinstance(advice, Advice):
        raise ChainError(f"the advice {name!r} is {advice!r}, which is no advice")
    return advice


def _unknown(what: str, name: str, known: Iterable[str]) -> ChainError:
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names)
    return ChainError(
        f"unknown {what} {name!r}; known: {', '.join(names)}",
        hint=f"did you mean {' or '.join(map(repr, close))}?" if close else None,
    )

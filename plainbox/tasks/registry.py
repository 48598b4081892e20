# SPDX-License-Identifier: Apache-2.0
"""Which advices there are by name: ours, and those that installed packages declare in ``plainbox.advices``.

An installed package cannot take the name of one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice

__all__ = ["advice_class", "known_advices", "unknown"]

_GROUP = "plainbox.advices"
_OURS: Mapping[str, str] = {
    "attach": "AttachAdvice",
    "cache": "CachingAdvice",
    "log": "LoggingAdvice",
    "metrics": "MetricsAdvice",
    "retry": "RetryAdvice",
    "skip-if": "SkipAdvice",
    "ssh": "RemoteAdvice",
    "subprocess": "SubprocessAdvice",
    "timeout": "TimeoutAdvice",
    "trace": "TraceAdvice",
}


def advice_class(name: str) -> type[Advice]:
    """Return the class of an advice; :class:`ChainError` when there is none of that name, or it cannot be loaded."""
    if name in _OURS:
        module = import_module(f"plainbox.tasks.advices.{name.replace('-', '_')}")
        ours: type[Advice] = getattr(module, _OURS[name])
        return ours
    from importlib.metadata import entry_points

    declared = entry_points(group=_GROUP)
    if name not in declared.names:
        raise unknown("advice", name, {*declared.names, *_OURS})
    try:
        found = declared[name].load()
    except (ImportError, AttributeError) as error:
        raise ChainError(f"the advice {name!r} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Advice)):
        raise ChainError(f"the advice {name!r} is {found!r}, which is no class of advices")
    return found


def known_advices() -> list[str]:
    """Return the names of all advices there are."""
    from importlib.metadata import entry_points

    return sorted({*entry_points(group=_GROUP).names, *_OURS})


def unknown(what: str, name: str, known: Iterable[str]) -> ChainError:
    """Return the error of a name that means nothing: with those that do, and those that are near."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names)
    return ChainError(
        f"unknown {what} {name!r}; known: {', '.join(names) or 'none'}",
        hint=f"did you mean {' or '.join(map(repr, close))}?" if close else None,
    )

# SPDX-License-Identifier: Apache-2.0
"""Filling the fields of a template with the values of a resource record.

Two engines: ``default`` is Python's format syntax limited to plain names (no attributes, no items: values come from
outside), ``jinja2`` runs in Jinja's sandbox. Jinja2 is imported when a unit first asks for it. Values are text but for
``__index__``, a number in both engines.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import string
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from plainbox.errors import FieldError, MissingParameterError
from plainbox.units.record import Value

if TYPE_CHECKING:
    import jinja2

__all__ = ["ENGINES", "Environment", "interpolate", "names_in"]

ENGINES = ("default", "jinja2")

#: What ``__checkbox_env__`` shows: the [environment] section of the settings.
Environment = Mapping[str, str]

_formatter = string.Formatter()
_INDEX = "__index__"
#: No width and no precision of more than three digits: a hostile one fills the memory.
_SPEC = re.compile(r"([^{}]?[<>=^])?[-+ ]?#?[0-9]{0,3}[,_]?(\.[0-9]{1,3})?[a-zA-Z%]?")


def interpolate(
    value: Value, parameters: Mapping[str, str], engine: str, *, environment: Environment | None = None
) -> Value:
    """Return ``value`` with the parameters filled in; lists and mappings item by item.

    A name without a value raises :class:`MissingParameterError` in the default engine and is empty in jinja2.
    """
    typed: Mapping[str, object] = parameters
    if parameters.get(_INDEX, "").isdecimal():
        typed = {**parameters, _INDEX: int(parameters[_INDEX])}
    render = functools.partial(_render, parameters=typed, engine=engine, environment=environment or {})
    return _map(value, render)


def names_in(value: Value, engine: str, *, strict: bool = False) -> frozenset[str]:
    """Return the names of the parameters that ``value`` asks for.

    A text that is no good template asks for none, or raises :class:`FieldError` when ``strict``.
    """
    found: set[str] = set()

    def collect(text: str) -> str:
        if engine == "jinja2":
            if "{" in text:
                found.update(_jinja_names(text))
        elif "{" in text or "}" in text:
            found.update(name for name, _, _ in _fields(text))
        return text

    try:
        _map(value, collect)
    except FieldError:
        if strict:
            raise
        return frozenset()
    return frozenset(found)


def _map(value: Value, render: Callable[[str], str]) -> Value:
    if isinstance(value, str):
        return render(value)
    if isinstance(value, list):
        return [_map(item, render) for item in value]
    return {render(key): _map(item, render) for key, item in value.items()}


def _render(text: str, parameters: Mapping[str, object], engine: str, environment: Environment) -> str:
    if engine == "jinja2":
        return _render_jinja(text, parameters, environment) if "{" in text else text
    return _render_format(text, parameters) if "{" in text or "}" in text else text


def _fields(text: str) -> list[tuple[str, str, str | None]]:
    """Return (name, format spec, conversion) of each replacement field; refuse what could reach into a value."""
    result = []
    try:
        parsed = list(_formatter.parse(text))
    except ValueError as error:
        raise FieldError(
            f"not a good template: {str(error).lower()}",
            hint="write {{ and }} for braces that are meant as text",
        ) from None
    for _, name, spec, conversion in parsed:
        if name is None:
            continue
        if not name.isidentifier():
            raise FieldError(
                f"a template parameter is a plain name, not {name[:60]!r}",
                hint="write {{ and }} for braces that are meant as text",
            )
        if spec and not _SPEC.fullmatch(spec):
            raise FieldError(f"the format of {name[:60]!r} is too elaborate: {spec[:20]!r}")
        result.append((name, spec or "", conversion))
    return result


def _render_format(text: str, parameters: Mapping[str, object]) -> str:
    for name, _, _ in _fields(text):
        if name not in parameters:
            raise MissingParameterError(name)
    try:
        return text.format_map(parameters)
    except (ValueError, TypeError, OverflowError) as error:
        raise FieldError(f"cannot be formatted: {error}") from None


@functools.cache
def _jinja_environment() -> jinja2.Environment:
    from plainbox.units.sandbox import Sandbox

    return Sandbox()


@functools.lru_cache(maxsize=1024)
def _jinja_template(text: str) -> jinja2.Template:
    with _jinja_errors("not a good Jinja2 template"):
        return _jinja_environment().from_string(text)


@functools.lru_cache(maxsize=1024)
def _jinja_names(text: str) -> frozenset[str]:
    with _jinja_errors("not a good Jinja2 template"):
        from jinja2 import meta

        return frozenset(meta.find_undeclared_variables(_jinja_environment().parse(text)))


@contextlib.contextmanager
def _jinja_errors(what: str) -> Iterator[None]:
    """Turn whatever Jinja2 raises into a :class:`FieldError`."""
    import jinja2

    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise FieldError(f"{what}: {error.message}", line=(error.lineno or 1) - 1) from None
    except RecursionError:
        raise FieldError(f"{what}: nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the text may do anything that Jinja allows, and fail in any way
        raise FieldError(f"{what}: {error}") from None


def _render_jinja(text: str, parameters: Mapping[str, object], environment: Environment) -> str:
    context: dict[str, object] = {
        **parameters,
        "__checkbox_env__": dict(environment),
        "__system_env__": dict(os.environ),
        "__on_ubuntucore__": os.path.exists("/run/snapd-on-core") or bool(os.environ.get("SNAP_CORE")),
    }
    from plainbox.units.sandbox import budget

    template = _jinja_template(text)
    with _jinja_errors("the Jinja2 template failed"), budget():
        return template.render(context)

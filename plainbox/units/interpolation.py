# SPDX-License-Identifier: Apache-2.0
"""Filling the fields of a template with the values of a resource record.

Two engines: ``default`` is Python's format syntax limited to plain names (no attributes, no items: values come from
outside), ``jinja2`` runs in Jinja's sandbox. Jinja2 is imported when a unit first asks for it.
"""

from __future__ import annotations

import functools
import os
import string
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from plainbox.errors import FieldError, MissingParameterError
from plainbox.units.record import Value

if TYPE_CHECKING:
    import jinja2

__all__ = ["ENGINES", "Environment", "interpolate", "names_in"]

ENGINES = ("default", "jinja2")

#: What ``__checkbox_env__`` shows: the [environment] section of the settings.
Environment = Mapping[str, str]

_formatter = string.Formatter()


def interpolate(
    value: Value, parameters: Mapping[str, str], engine: str, *, environment: Environment | None = None
) -> Value:
    """Return ``value`` with the parameters filled in; lists and mappings item by item.

    A name without a value raises :class:`MissingParameterError` in the default engine and is empty in jinja2.
    """
    render = functools.partial(_render, parameters=parameters, engine=engine, environment=environment or {})
    return _map(value, render)


def names_in(value: Value, engine: str) -> frozenset[str]:
    """Return the names of the parameters that ``value`` asks for; a text that does not parse asks for none."""
    found: set[str] = set()

    def collect(text: str) -> str:
        if engine == "jinja2":
            if "{" in text:
                found.update(_jinja_names(text))
        elif "{" in text:
            found.update(name for name, _, _ in _fields(text))
        return text

    try:
        _map(value, collect)
    except FieldError:
        return frozenset()
    return frozenset(found)


def _map(value: Value, render: Callable[[str], str]) -> Value:
    if isinstance(value, str):
        return render(value)
    if isinstance(value, list):
        return [_map(item, render) for item in value]
    return {render(key): _map(item, render) for key, item in value.items()}


def _render(text: str, parameters: Mapping[str, str], engine: str, environment: Environment) -> str:
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
                f"a template parameter is a plain name, not {name!r}",
                hint="write {{ and }} for braces that are meant as text",
            )
        if spec and ("{" in spec or len(spec) > 8):
            raise FieldError(f"the format of {name!r} is too elaborate: {spec[:20]!r}")
        result.append((name, spec or "", conversion))
    return result


def _render_format(text: str, parameters: Mapping[str, str]) -> str:
    for name, _, _ in _fields(text):
        if name not in parameters:
            raise MissingParameterError(name)
    try:
        return text.format_map(parameters)
    except (ValueError, TypeError) as error:
        raise FieldError(f"cannot be formatted: {error}") from None


@functools.cache
def _jinja_environment() -> jinja2.Environment:
    import jinja2.sandbox

    # Text of a unit is shell script or prose, never HTML: escaping happens in the reports.
    return jinja2.sandbox.ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)


@functools.lru_cache(maxsize=1024)
def _jinja_template(text: str) -> jinja2.Template:
    import jinja2

    try:
        return _jinja_environment().from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise FieldError(f"not a good Jinja2 template: {error.message}", line=(error.lineno or 1) - 1) from None
    except RecursionError:
        raise FieldError("nested too deeply") from None


@functools.lru_cache(maxsize=1024)
def _jinja_names(text: str) -> frozenset[str]:
    import jinja2
    from jinja2 import meta

    try:
        return frozenset(meta.find_undeclared_variables(_jinja_environment().parse(text)))
    except jinja2.TemplateSyntaxError as error:
        raise FieldError(f"not a good Jinja2 template: {error.message}", line=(error.lineno or 1) - 1) from None


def _render_jinja(text: str, parameters: Mapping[str, str], environment: Environment) -> str:
    context: dict[str, Any] = {
        **parameters,
        "__checkbox_env__": dict(environment),
        "__system_env__": dict(os.environ),
        "__on_ubuntucore__": os.path.exists("/run/snapd-on-core") or bool(os.environ.get("SNAP_CORE")),
    }
    try:
        return _jinja_template(text).render(context)
    except FieldError:
        raise
    except Exception as error:  # noqa: BLE001 - the text may do anything that Jinja allows, and fail in any way
        raise FieldError(f"the Jinja2 template failed: {error}") from None

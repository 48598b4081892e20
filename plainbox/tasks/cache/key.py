# SPDX-License-Identifier: Apache-2.0
"""What makes two executions the same: everything that is known to change what they come to.

For a job that is its unit and its command as they are filled in, the account, the variables that it declares or names,
the version and the files of its provider, and the machine. For a function it is the code that it belongs to, its own
code with its defaults and what it has closed over, its arguments, and the Python. For both it is what the advices further
inside make of them, and the place that these move them to.

What must stay true: whatever cannot be told apart is not kept at all. :class:`UncacheableArgument` says why.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

from plainbox.errors import UncacheableArgument
from plainbox.tasks.cache.tree import Trees, source_of
from plainbox.tasks.canonical import canonical_identifier
from plainbox.tasks.identifier import identifier_from_parts

if TYPE_CHECKING:
    from types import CellType

    from plainbox.tasks.invocation import Invocation
    from plainbox.units import JobDefinition

__all__ = ["CacheKey", "key_of"]

#: Changes with the meaning of the parts.
_SCHEMA = "plainbox.cache-key/2"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
#: Those parts of a provider that programs of its namespace use.
_USED = ("bin", "data", "build/bin", "python")
#: Variables that Plainbox sets itself, other ones in every session.
_OURS = re.compile(r"PLAINBOX_.*|CHECKBOX_SHARE|TEXTDOMAIN|TEXTDOMAINDIR|PATH|PWD|RANDOM")


@dataclass(frozen=True)
class CacheKey:
    """``digest`` is the key; ``parts`` are what it is made of, for people. Values that may be secrets are digests."""

    digest: str
    parts: Mapping[str, str]


def key_of(invocation: Invocation, trees: Trees | None = None) -> CacheKey:
    """Return the key of an execution; :class:`UncacheableArgument` when it has none. ``trees`` are known already."""
    try:
        parts = dict(_inside(invocation))
        if invocation.job is not None:
            parts.update(_job_parts(invocation, invocation.job, trees or Trees()))
        else:
            parts.update(_function_parts(invocation))
    except OSError as error:
        raise UncacheableArgument(f"what it depends on cannot be read: {error}") from error
    flat = [text for name in sorted(parts) for text in (name, parts[name])]
    return CacheKey(identifier_from_parts(_SCHEMA, *flat), parts)


def _inside(invocation: Invocation) -> Iterator[tuple[str, str]]:
    """Yield what the advices inside of this one make of it, and where they have it executed."""
    inner = invocation.inner_advices
    # Nothing is known of how the advices of a program are written, only of where they move to.
    links = invocation.links[len(invocation.links) - len(inner) :] if inner else ()
    advices = [str(link) for link in links if link.advice.changes_results]
    if advices:
        yield "advices", ", ".join(advices)
    targets = [target for target in (advice.target(invocation) for advice in inner) if target is not None]
    if targets:
        yield "target", " ".join(targets)


# -- jobs


def _job_parts(invocation: Invocation, job: JobDefinition, trees: Trees) -> Iterator[tuple[str, str]]:
    if not job.automated:
        raise UncacheableArgument("what a person says counts, and that is asked each time")
    if "noreturn" in job.flags:
        raise UncacheableArgument("a job that ends the session has to do that each time")
    if "PLAINBOX_SESSION_SHARE" in (job.command or ""):
        raise UncacheableArgument("it uses the files of its session")
    if "preserve-cwd" in job.flags:
        raise UncacheableArgument("it works with the files of the directory that it is called in")
    yield "kind", "job"
    yield "job", job.id
    yield "task", invocation.task.task_id
    yield "arguments", invocation.execution.execution_id
    yield "unit", job.checksum
    yield "user", job.user or ""
    yield "environment", _environment(invocation, job)
    if invocation.surroundings is not None and invocation.surroundings.attach:
        yield "attach", " ".join(invocation.surroundings.attach)
    yield "machine", _machine()
    if job.plugin == "function":
        yield "python", _python()
    if job.provider is not None:
        yield "provider", f"{job.provider.name} {job.provider.version}"
        yield "files", identifier_from_parts(*map(trees.digest, _directories(invocation, job)))


def _environment(invocation: Invocation, job: JobDefinition) -> str:
    """Return the variables that the unit declares or its command names, their values as a digest."""
    values = {} if invocation.surroundings is None else invocation.surroundings.environment
    named = {*job.environ, *_VARIABLE.findall(job.command or "")} | {"LANG", "LC_ALL", "LANGUAGE"}
    names = sorted(name for name in named if name in values and not _OURS.fullmatch(name))
    digest = identifier_from_parts(*(text for name in names for text in (name, values[name])))
    return " ".join([digest, *names])


def _directories(invocation: Invocation, job: JobDefinition) -> Iterator[Path | None]:
    """Yield where the files are that a job may use: those of all providers whose programs it can call."""
    provider, surroundings = job.provider, invocation.surroundings
    if provider is not None:
        yield provider.bin_dir
        yield provider.data_dir
        yield from (provider.base_dir / name for name in ("build/bin", "python"))
    if surroundings is not None and surroundings.equipment is not None:
        for other in surroundings.equipment.providers:
            if provider is None or other.base != str(provider.base_dir):
                directories = {"build/bin": os.path.join(other.base, "build/bin"), **other.directories}
                yield from (Path(directories[name]) for name in _USED if name in directories)


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read().strip() or os.uname().nodename
    except (OSError, ValueError):
        return os.uname().nodename


def _python() -> str:
    return f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"


# -- functions


def _function_parts(invocation: Invocation) -> Iterator[tuple[str, str]]:
    from plainbox.tasks.function import FunctionTask

    task = invocation.task
    if not isinstance(task, FunctionTask):
        raise UncacheableArgument(f"nothing tells what {type(task).__name__} depends on")
    if invocation.execution.uncacheable is not None:
        raise UncacheableArgument(invocation.execution.uncacheable)
    yield "kind", "function"
    yield "function", str(task)
    yield "task", task.task_id
    yield "arguments", invocation.execution.execution_id
    yield "source", _source_of(task.function)
    yield "code", identifier_from_parts(*_parts_of(task.function, []))
    yield "python", _python()


def _source_of(function: FunctionType) -> str:
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    if file is None or not os.path.isfile(file):
        raise UncacheableArgument(f"there is no source of the module {function.__module__}")
    return source_of(file)


def _parts_of(function: FunctionType, known: list[FunctionType]) -> Iterator[str]:
    """Yield what a function is beside the source of its module: two of one name in one file differ here."""
    known.append(function)
    yield from _code_parts(function.__code__)
    yield canonical_identifier((function.__defaults__, function.__kwdefaults__))
    for content in map(_content_of, function.__closure__ or ()):
        inner = inspect.unwrap(content) if callable(content) else content
        if isinstance(inner, FunctionType):
            # One that calls itself has itself in a cell.
            yield from _parts_of(inner, known) if inner not in known else [f"function {known.index(inner)}"]
        else:
            yield canonical_identifier(content)


def _content_of(cell: CellType) -> object:
    try:
        content: object = cell.cell_contents
    except ValueError:
        return None  # a variable that has no value yet
    return content


def _code_parts(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield from (repr(names) for names in (code.co_names, code.co_varnames, code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield repr(constant) if constant is ... else canonical_identifier(constant)

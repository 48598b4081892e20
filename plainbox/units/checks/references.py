# SPDX-License-Identifier: Apache-2.0
"""References that lead nowhere, or to a unit that cannot serve: those of jobs, setup jobs and templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from plainbox.errors import ExpressionError, FieldError
from plainbox.units import converters
from plainbox.units.checks.index import UnitIndex, is_open, shape_of
from plainbox.units.converters import qualify
from plainbox.units.expressions import parse_imports
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.record import Value
from plainbox.units.scanner import Token, scan
from plainbox.units.setup_job import SetupJobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["AUTOMATED_JOB", "CATEGORY", "PLAN", "SETUP_JOB", "Wanted", "check", "line_of", "lines_of", "look_up"]


@attrs.frozen
class Wanted:
    """What a reference should lead to: a kind of unit and, perhaps, a property that ``lacks`` puts into words."""

    noun: str
    kind: str
    lacks: Callable[[Unit], str | None] = lambda unit: None


def _no_resource(unit: Unit) -> str | None:
    plugin = unit.plugin if isinstance(unit, JobDefinition) else None
    return None if plugin == "resource" else f"is no resource job, its plugin is {plugin or 'not known'}"


def _not_automated(unit: Unit) -> str | None:
    if isinstance(unit, JobDefinition) and not unit.automated:
        return f"needs a person, its plugin is {unit.plugin or 'not known'}"
    return None


JOB = Wanted("job", "job")
RESOURCE = Wanted("resource job", "job", _no_resource)
AUTOMATED_JOB = Wanted("job", "job", _not_automated)
SETUP_JOB = Wanted("setup job", "setup job")
CATEGORY = Wanted("category", "category")
PLAN = Wanted("test plan", "test plan")
ENTRY = Wanted("manifest entry", "manifest entry")

#: What no id has.
_SPECIAL = re.compile(r"[\^$*+?{}\[\]\\|()]")
#: The lists of whole ids, which some take for lists of patterns.
_ID_LISTS = ("depends", "after", "before", "salvages", "bootstrap_include", "setup_include", "nested_part")

_JOB_FIELDS = {
    "depends": Severity.ERROR,
    "after": Severity.ERROR,
    "before": Severity.ERROR,
    "salvages": Severity.WARNING,
}


def look_up(
    unit: Unit,
    field: str,
    identifiers: Iterable[str],
    wanted: Wanted,
    index: UnitIndex,
    severity: Severity = Severity.ERROR,
    line: int | None = None,
) -> Iterator[Issue]:
    """Yield what is wrong with the units that a field names; without ``line`` each is looked for in the field."""
    lines: Mapping[str, int] | None = None
    for identifier in identifiers:
        found = _wrong_with(identifier, wanted, index, unit.namespace)
        if found is not None:
            code, message, hint = found
            if field in _ID_LISTS and _SPECIAL.search(identifier):
                hint = "this list takes ids, no patterns"
            elif field == "requires" and wanted is RESOURCE and code is Code.UNKNOWN_REFERENCE:
                hint = _import_of(identifier, index) or hint
            if line is None and lines is None:
                lines = lines_of(field, unit)
            where = line if line is not None else (lines or {}).get(identifier, 0)
            yield unit.issue(code, message, severity=severity, field=field, line=where, hint=hint)


def _import_of(resource_id: str, index: UnitIndex) -> str | None:
    """Return how to import a resource that only another namespace has."""
    found = index.elsewhere([RESOURCE.kind], resource_id.rpartition("::")[2])
    namespace, _, name = (found or "").rpartition("::")
    return f"write 'imports: from {namespace} import {name}'" if found is not None else None


def check(unit: Unit, index: UnitIndex) -> Iterator[Issue]:
    """Yield what is wrong with the references of a job, a setup job or a template."""
    if isinstance(unit, TemplateUnit):
        if unit.template_resource:
            yield from look_up(unit, "template-resource", [unit.resource_id], RESOURCE, index)
        shape = shape_of(unit)
        if isinstance(shape, JobDefinition):
            yield from _of_job(unit, shape, index)
    elif isinstance(unit, JobDefinition):
        yield from _of_job(unit, unit, index)


def _of_job(unit: Unit, job: JobDefinition, index: UnitIndex) -> Iterator[Issue]:
    """Yield the findings about ``job``, which is ``unit`` itself or what the instances of that template look like."""
    yield from look_up(unit, "category_id", [job.category_id], CATEGORY, index)
    if isinstance(job, SetupJobDefinition):
        entries = [entry for entry, _ in job.requires_manifest]
        yield from look_up(unit, "requires_manifest", entries, ENTRY, index, Severity.WARNING)
        return
    for field, severity in _JOB_FIELDS.items():
        yield from look_up(unit, field, getattr(job, field), JOB, index, severity)
    yield from _imports(unit, job, index)
    yield from _requires(unit, job, index)
    yield from _siblings(unit, job, index)


def _imports(unit: Unit, job: JobDefinition, index: UnitIndex) -> Iterator[Issue]:
    if not job.imports:
        return
    for line, text in converters.numbered(job.value_of("imports") or "", _ignore):
        try:
            imported = parse_imports([text]).values()
        except ExpressionError:
            continue
        yield from look_up(unit, "imports", imported, JOB, index, line=line)


def _requires(unit: Unit, job: JobDefinition, index: UnitIndex) -> Iterator[Issue]:
    if not job.requires:
        return
    try:
        program = job.resource_program
        imported = set(parse_imports(job.imports).values())
    except ExpressionError:
        return  # told by the job itself
    if program is None:
        return
    lines = [line for line, _ in converters.numbered(job.value_of("requires") or "", _ignore)]
    told: set[str] = set()
    for line, expression in zip(lines, program.expressions, strict=False):
        for resource_id in expression.resource_ids:
            # What is imported and not there is told at its import.
            if resource_id not in told and not (resource_id in imported and _is_missing(resource_id, index)):
                told.add(resource_id)
                yield from look_up(unit, "requires", [resource_id], RESOURCE, index, line=line)
        for entry in expression.manifest_ids:
            if entry not in told and entry.rpartition("::")[2] not in index.manifest_keys:
                told.add(entry)
                yield from look_up(unit, "requires", [entry], ENTRY, index, Severity.WARNING, line=line)


def _is_missing(resource_id: str, index: UnitIndex) -> bool:
    return resource_id not in index.of_kind(JobDefinition.kind)


def _siblings(unit: Unit, job: JobDefinition, index: UnitIndex) -> Iterator[Issue]:
    for overrides in job.siblings:
        for key, value in overrides.items():
            field = key.removeprefix("_")
            try:
                if field in _JOB_FIELDS:
                    targets = converters.references(value, unit.namespace, _ignore)
                    yield from look_up(unit, "siblings", targets, JOB, index, _JOB_FIELDS[field], line=0)
                elif field == "category_id":
                    yield from look_up(
                        unit, "siblings", [converters.reference(value, unit.namespace)], CATEGORY, index, line=0
                    )
            except FieldError:
                continue  # told by the job itself


def _wrong_with(
    identifier: str, wanted: Wanted, index: UnitIndex, namespace: str | None
) -> tuple[Code, str, str | None] | None:
    if is_open(identifier):
        return None
    unit = index.of_kind(wanted.kind).get(identifier)
    if unit is not None:
        lack = wanted.lacks(unit)
        return None if lack is None else (Code.WRONG_REFERENCE, f"{identifier!r} {lack}", None)
    if not identifier or index.could_become(wanted.kind, identifier):
        return None
    other = index.of_any_kind(identifier)
    if other is not None:
        return Code.WRONG_REFERENCE, f"{identifier!r} is the id of a {other.kind}, not of a {wanted.noun}", None
    return Code.UNKNOWN_REFERENCE, f"no {wanted.noun} {identifier!r}", index.guess([wanted.kind], identifier, namespace)


def line_of(identifier: str, field: str, unit: Unit) -> int:
    """Return the line or the item of a field that means this full id."""
    return lines_of(field, unit).get(identifier, 0)


def lines_of(field: str, unit: Unit) -> Mapping[str, int]:
    """Return the line or the number of the item of each full id that a field means."""
    value = unit.data.get(field)
    words: Iterable[tuple[int, Value]] = ()
    if isinstance(value, list):
        words = enumerate(value)
    elif isinstance(value, str):
        words = ((token.line, token.text) for token in scan(value) if token.kind is Token.WORD)
    lines: dict[str, int] = {}
    for line, word in words:
        if isinstance(word, str):
            lines.setdefault(qualify(word.strip(), unit.namespace), line)
    return lines


def _ignore(error: FieldError) -> None:
    """Let an error pass that the unit itself tells."""

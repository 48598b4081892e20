# SPDX-License-Identifier: Apache-2.0
"""Everything that can be found about providers without running anything of them.

Called by ``plainbox lint`` and by the validation of providers. Findings are those of the providers that are asked about;
what they refer to may be anywhere in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from plainbox.errors import PlainboxError, UnitSyntaxError
from plainbox.providers.catalogue import Catalogue
from plainbox.providers.files import classify
from plainbox.providers.notes import Notes
from plainbox.providers.provider import Provider
from plainbox.providers.silence import Configuration
from plainbox.units import ExporterUnit, JobDefinition, TestPlanUnit, Unit
from plainbox.units.checks import commands, cycles, files, plans, references, unique, values
from plainbox.units.checks.checkbox import judged
from plainbox.units.checks.index import UnitIndex
from plainbox.units.issues import Code, Issue, Severity

__all__ = ["LintReport", "format_issue", "lint"]


@attrs.frozen
class LintReport:
    """What was found, sorted by file and line, and what of it nobody wants to hear of."""

    issues: tuple[Issue, ...]
    silenced_issues: tuple[Issue, ...] = ()

    @property
    def silenced(self) -> int:
        """The number of findings that are left out."""
        return len(self.silenced_issues)

    def count(self, severity: Severity) -> int:
        return sum(issue.severity is severity for issue in self.issues)

    def failed(self, strict: bool, as_checkbox: bool = False) -> bool:
        """Tell whether there are errors or, when ``strict``, warnings. Advice never fails.

        ``as_checkbox`` leaves out what Checkbox does not look for.
        """
        failing = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
        return any(issue.severity in failing and not (as_checkbox and issue.beyond_checkbox) for issue in self.issues)

    def summary(self) -> str:
        """Return the sums in words: ``2 errors, 1 warning (3 silenced)``."""
        words = []
        for severity in Severity:
            count = self.count(severity)
            if count:
                words.append(f"{count} {severity}{'s' if count != 1 and severity is not Severity.ADVICE else ''}")
        silenced = f" ({self.silenced} silenced)" if self.silenced else ""
        return (", ".join(words) or "nothing is wrong") + silenced

    def as_dict(self, base: Path) -> dict[str, object]:
        """Return the content of a ``plainbox.lint/1`` document, paths relative to ``base`` when they are inside."""
        counts: dict[str, int] = {severity: self.count(severity) for severity in Severity}
        counts["silenced"] = self.silenced
        return {"issues": [_described(issue, base) for issue in self.issues], "counts": counts}

    def without(self, unwanted: Callable[[Issue], bool]) -> LintReport:
        """Return the report with further findings silenced."""
        kept = tuple(issue for issue in self.issues if not unwanted(issue))
        return LintReport(kept, (*self.silenced_issues, *filter(unwanted, self.issues)))

    def only(self, wanted: Callable[[Issue], bool]) -> LintReport:
        """Return the report of the findings that are asked for, as if there were no others."""
        return LintReport(tuple(filter(wanted, self.issues)), tuple(filter(wanted, self.silenced_issues)))


def _nothing_further(unit: Unit) -> Iterable[Issue]:
    return ()


def lint(
    providers: Sequence[Provider], catalogue: Catalogue, further: Callable[[Unit], Iterable[Issue]] = _nothing_further
) -> LintReport:
    """Return what is wrong with providers of the catalogue: with their files, their units, and what these refer to.

    ``further`` finds in a unit what is known further up only.
    """
    index = UnitIndex.of(unit for provider in catalogue.providers for unit in provider.unit_list)
    told: list[Issue] = []
    silenced: list[Issue] = []
    for provider in providers:
        configuration = Configuration.load(provider.base_dir)
        notes = Notes(_unit_files(provider))
        problems = map(judged, (*configuration.problems, *notes.problems()))
        # The same thing may be found in a unit and in what the unit stands for.
        for issue in dict.fromkeys((*problems, *_findings(provider, index, further))):
            (silenced if notes.silence(issue) or configuration.silence(issue) else told).append(issue)
    return LintReport(tuple(sorted(told, key=_place)), tuple(sorted(silenced, key=_place)))


def format_issue(issue: Issue, base: Path | None = None) -> str:
    """Return a finding in one line, its path relative to ``base`` when it is inside."""
    if issue.origin is None:
        return str(issue)
    return str(attrs.evolve(issue, origin=attrs.evolve(issue.origin, source=_shown_path(issue.origin.source, base))))


def _described(issue: Issue, base: Path) -> dict[str, object]:
    origin = issue.origin
    return {
        "code": issue.code,
        "severity": issue.severity,
        "path": _shown_path(origin.source, base) if origin is not None else None,
        "line": origin.line_start if origin is not None else None,
        "unit": issue.unit_id,
        "field": issue.field,
        "message": issue.message,
        "hint": issue.hint,
    }


def _shown_path(source: str, base: Path | None) -> str:
    """Return a path relative to ``base`` when it is inside."""
    path = Path(source)
    return str(path.relative_to(base)) if base is not None and path.is_relative_to(base) else source


def _unit_files(provider: Provider) -> Iterator[str]:
    """Yield the files that units or broken records come from."""
    origins = [unit.origin for unit in provider.unit_list]
    for origin in (*origins, *(problem.origin for problem in provider.problem_list)):
        if origin is not None and origin.line_start is not None:
            yield origin.source


def _findings(provider: Provider, index: UnitIndex, further: Callable[[Unit], Iterable[Issue]]) -> Iterator[Issue]:
    """Yield all that is found, as Checkbox would judge it."""
    for unit in provider.unit_list:
        for issue in (*_of_unit(unit, index), *further(unit)):
            yield judged(issue, unit)
    yield from map(judged, _of_all(provider, index))


def _of_unit(unit: Unit, index: UnitIndex) -> Iterator[Issue]:
    yield from unit.issues
    yield from values.check(unit)
    yield from references.check(unit, index)
    if isinstance(unit, TestPlanUnit):
        yield from plans.check(unit, index)
    elif isinstance(unit, ExporterUnit):
        yield from files.check_exporter(unit)


def _of_all(provider: Provider, index: UnitIndex) -> Iterator[Issue]:
    units = provider.unit_list
    for problem in provider.problem_list:
        yield _of_problem(problem)
    yield from commands.check(units)
    yield from unique.check(units, index)
    yield from cycles.check((unit for unit in units if isinstance(unit, JobDefinition)), index)
    yield from plans.check_loops((unit for unit in units if isinstance(unit, TestPlanUnit)), index)
    yield from files.check(classify(provider))


def _of_problem(problem: PlainboxError) -> Issue:
    """Return what kept a file or a record from being read as a finding."""
    has_line = problem.origin is not None and problem.origin.line_start is not None
    code = Code.NO_UNIT if has_line else Code.UNREADABLE
    if isinstance(problem, UnitSyntaxError):
        code = Code.SYNTAX
    return Issue(code, Severity.ERROR, problem.message, origin=problem.origin, hint=problem.hint)


def _place(issue: Issue) -> tuple[str, int, str, str]:
    origin = issue.origin
    return (origin.source if origin else "", (origin.line_start or 0) if origin else 0, issue.code, issue.message)

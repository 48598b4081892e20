# SPDX-License-Identifier: Apache-2.0
"""The text of commands: what the shell could not read, and variables that have other names today."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

import attrs

from plainbox.units.checks.index import shape_of
from plainbox.units.checks.shell import syntax_errors
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["check"]

#: What follows CHECKBOX_ in the old name of a variable -> what follows PLAINBOX_ in the name that it has today.
_RENAMED = {"SHARE": "PROVIDER_DATA", "DATA": "SESSION_SHARE"}
_OLD = re.compile(rf"\bCHECKBOX_({'|'.join(_RENAMED)})\b")
_SHELLS = {"/bin/sh": "/bin/sh"}


def check(units: Iterable[Unit]) -> Iterator[Issue]:
    """Yield what is wrong with the commands of jobs and of templates for jobs."""
    scripts: dict[str, list[tuple[Unit, str]]] = {}
    for unit in units:
        job = shape_of(unit) if isinstance(unit, TemplateUnit) else unit
        if not isinstance(job, JobDefinition) or not isinstance(unit.data.get("command"), str):
            continue
        yield from _old_names(unit)
        command = job.value_of("command")
        if isinstance(command, str) and command and not _has_branches(unit):
            scripts.setdefault(_SHELLS.get(job.shell, "bash"), []).append((unit, command))
    for shell, commands in scripts.items():
        for number, (line, message) in syntax_errors([text for _, text in commands], shell).items():
            unit, text = commands[number]
            issue = unit.issue(
                Code.SHELL_SYNTAX, f"the shell cannot read it: {message}", field="command", line=_inside(text, line)
            )
            yield attrs.evolve(issue, beyond_checkbox=_has_whole_words(text))


def _old_names(unit: Unit) -> Iterator[Issue]:
    text = str(unit.data["command"])
    if "CHECKBOX_" not in text:
        return
    for number, line in enumerate(text.split("\n")):
        for name in dict.fromkeys(_OLD.findall(line)):
            yield unit.issue(
                Code.DEPRECATED,
                f"$CHECKBOX_{name} is deprecated",
                severity=Severity.ADVICE,
                field="command",
                line=number,
                hint=f"write $PLAINBOX_{_RENAMED[name]}",
            )


def _has_branches(unit: Unit) -> bool:
    """Tell whether values that only a resource knows decide which parts of a command there are."""
    return unit.data.get("template-engine") == "jinja2" and "{%" in str(unit.data["command"])


def _has_whole_words(text: str) -> bool:
    """Tell whether a command passes the check of Checkbox: its quotes end, or it has a here-document."""
    try:
        return "<<" in text or bool(shlex.split(text))
    except ValueError:
        return False


def _inside(text: str, line: int) -> int:
    """Return a line of the command: at its end the shell names the one behind the last."""
    return min(line, text.count("\n"))

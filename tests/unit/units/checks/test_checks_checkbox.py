# SPDX-License-Identifier: Apache-2.0
"""What Checkbox validates: one bad unit for each of its checks, and what is different on purpose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from linting import Workshop

from plainbox.units import Code, Issue

RESOURCE = "id: r\nplugin: resource\n_summary: R\ncommand: true\n\n"
CATEGORY = "unit: category\nid: c\n_name: C\n\n"
JOB = "id: j\nflags: simple\n_summary: J\ncommand: true\n"
SHELL = "id: j\n_summary: J\ncommand: true\n"
MANUAL = "id: j\nplugin: manual\n_summary: J\n"
TEMPLATE = f"{RESOURCE}unit: template\ntemplate-resource: r\ntemplate-summary: T\n_summary: J\n"
PLAN = "unit: test plan\nid: p\n_name: P\n"
EXPORTER = "unit: exporter\nid: e\n_summary: E\n"
ENTRY = "unit: manifest entry\nid: m\n_name: M\n"
PACKAGES = "unit: packaging meta-data\nos-id: debian\n"

#: A bad unit -> the field, the code and the severity of what is wrong with it.
CATALOGUE: dict[str, tuple[str, str | None, str, str]] = {
    # ids
    "no id": ("flags: simple\ncommand: true\n", None, "PB002", "error"),
    "namespace in the id": (JOB.replace("id: j", "id: a::j"), None, "PB002", "error"),
    "id twice": (f"{JOB}\n{JOB.replace('true', 'false')}", "id", "PB203", "error"),
    "constant id": (f"{TEMPLATE}id: j\nflags: simple\ncommand: true\n", "id", "PB106", "error"),
    "parameter in a constant field": (
        f"{TEMPLATE}id: j-{{x}}\nplugin: {{x}}\ncommand: true\n",
        "plugin",
        "PB107",
        "error",
    ),
    # jobs
    "old name": (JOB.replace("id: j", "name: j"), "name", "PB104", "advice"),
    "no summary": (JOB.replace("_summary: J\n", ""), "summary", "PB101", "advice"),
    "summary of two lines": (JOB.replace("_summary: J", "_summary:\n J\n J"), "summary", "PB113", "warning"),
    "long summary": (JOB.replace("_summary: J", f"_summary: {'J' * 81}"), "summary", "PB113", "warning"),
    "no plugin": (SHELL, "plugin", "PB101", "error"),
    "unknown plugin": (f"{SHELL}plugin: qml\n", "plugin", "PB102", "error"),
    "old plugin": (f"{SHELL}plugin: user-verify\n", "plugin", "PB104", "advice"),
    "no command": (JOB.replace("command: true\n", ""), "command", "PB101", "error"),
    "command of a manual job": (f"{MANUAL}_description: D\ncommand: true\n", "command", "PB105", "warning"),
    "old variable": (JOB.replace("true", "ls $CHECKBOX_SHARE"), "command", "PB104", "advice"),
    "other old variable": (JOB.replace("true", "ls $CHECKBOX_DATA"), "command", "PB104", "advice"),
    "quote that does not end": (JOB.replace("true", "echo 'a"), "command", "PB114", "error"),
    "manual job without description": (MANUAL, "description", "PB101", "error"),
    "other user": (f"{JOB}user: ubuntu\n", "user", "PB102", "error"),
    "user without command": (f"{MANUAL}_steps: S\nuser: root\n", "user", "PB105", "warning"),
    "environ without command": (f"{MANUAL}_steps: S\nenviron: LANG\n", "environ", "PB105", "warning"),
    "no duration": (f"{JOB}estimated_duration: long\n", "estimated_duration", "PB102", "error"),
    "duration of nothing": (f"{JOB}estimated_duration: 0\n", "estimated_duration", "PB102", "error"),
    "empty duration": (f"{JOB}estimated_duration:\n", "estimated_duration", "PB102", "error"),
    **{
        f"{field} of an unknown job": (f"{JOB}{field}: x\n", field, "PB201", "error")
        for field in ("depends", "after", "before")
    },
    **{
        f"{field} of no job": (f"{CATEGORY}{JOB}{field}: c\n", field, "PB202", "error")
        for field in ("depends", "after", "before")
    },
    "bad expression": (f"{RESOURCE}{JOB}requires: r.x ==\n", "requires", "PB110", "error"),
    "unknown resource": (f"{JOB}requires: x.y == '1'\n", "requires", "PB201", "error"),
    "no resource": (f"{JOB}\n{JOB.replace('id: j', 'id: k')}requires: j.y == '1'\n", "requires", "PB202", "error"),
    "other shell": (f"{JOB}shell: zsh\n", "shell", "PB102", "error"),
    "bad import": (f"{JOB}imports: import x\n", "imports", "PB110", "error"),
    "unknown import": (f"{JOB}imports: from org.example import x\n", "imports", "PB201", "error"),
    "unknown category": (f"{JOB}category_id: x\n", "category_id", "PB201", "error"),
    "no category": (f"{RESOURCE}{JOB}category_id: r\n", "category_id", "PB202", "error"),
    "certification status": (f"{JOB}certification-status: yes\n", "certification-status", "PB102", "error"),
    "auto retry": (f"{JOB}auto-retry: yes\n", "auto-retry", "PB102", "error"),
    "siblings": (f"{JOB}siblings: {{}}\n", "siblings", "PB102", "error"),
    "field of a sibling": (f'{JOB}siblings: [{{"id": "k", "x": "y"}}]\n', "siblings", "PB103", "error"),
    # templates
    "no resource of a template": (
        f"{TEMPLATE.replace('template-resource: r', 'flags: simple')}id: j-{{x}}\ncommand: true\n",
        "template-resource",
        "PB101",
        "error",
    ),
    "no summary of a template": (
        f"{TEMPLATE.replace('template-summary: T', 'flags: simple')}id: j-{{x}}\ncommand: true\n",
        "template-summary",
        "PB101",
        "advice",
    ),
    "bad instance": (f"{TEMPLATE}id: j-{{x}}\nplugin: qml\ncommand: true\n", "plugin", "PB102", "error"),
    "duration of instances": (
        f"{TEMPLATE}id: j-{{x}}\nflags: simple\ncommand: true\nestimated_duration: 0\n",
        "estimated_duration",
        "PB102",
        "error",
    ),
    "user of instances": (
        f"{TEMPLATE}id: j-{{x}}\nflags: simple\ncommand: true\nuser: me\n",
        "user",
        "PB102",
        "error",
    ),
    # test plans
    "no include": (PLAN, "include", "PB101", "error"),
    "mandatory and included": (
        f"{JOB}\n{PLAN}include: j\nmandatory_include: j\n",
        "mandatory_include",
        "PB205",
        "warning",
    ),
    "bootstrap and included": (
        f"{RESOURCE}{PLAN}include: r\nbootstrap_include: r\n",
        "bootstrap_include",
        "PB205",
        "warning",
    ),
    "unknown in the bootstrap": (f"{PLAN}include:\nbootstrap_include: x\n", "bootstrap_include", "PB201", "error"),
    "manual in the bootstrap": (
        f"{MANUAL}_steps: S\n\n{PLAN}include:\nbootstrap_include: j\n",
        "bootstrap_include",
        "PB202",
        "error",
    ),
    "unknown in the setup": (f"{PLAN}include:\nsetup_include: x\n", "setup_include", "PB201", "error"),
    "no setup job": (f"{JOB}\n{PLAN}include:\nsetup_include: j\n", "setup_include", "PB202", "error"),
    # other kinds
    "no summary of an exporter": (
        "unit: exporter\nid: e\nentry_point: html\nfile_extension: html\n",
        "summary",
        "PB101",
        "advice",
    ),
    "unknown exporter": (f"{EXPORTER}entry_point: nonsense\nfile_extension: html\n", "entry_point", "PB102", "error"),
    "extension": (f"{EXPORTER}entry_point: html\nfile_extension: a/b\n", "file_extension", "PB102", "error"),
    "data": (f"{EXPORTER}entry_point: html\nfile_extension: html\ndata: [1\n", "data", "PB102", "error"),
    "no type of an answer": (ENTRY, "value-type", "PB101", "error"),
    "type of an answer": (f"{ENTRY}value-type: text\n", "value-type", "PB102", "error"),
    "no reason to hide": (f"{ENTRY.replace('id: m', 'id: _m')}value-type: bool\n", "hidden-reason", "PB101", "error"),
}

#: What Checkbox finds and Plainbox does not, or not as bad: the reason, a unit, and what Plainbox finds.
DIFFERENT: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "a unit without 'unit' is a job, and nothing is gained by writing so": (JOB, []),
    "relations of packages may be those of other units; one twice in a unit does nothing": (
        f"{PACKAGES}Depends: a, a\n",
        [("PB105", "warning")],
    ),
    "the same relation in two units is for two systems": (
        f"{PACKAGES}Depends: a\n\n{PACKAGES}os-version-id: 24.04\nDepends: a\n",
        [],
    ),
    "units that are equal do no harm": (f"{JOB}\n{JOB}", [("PB203", "warning")]),
    "the shell is asked about commands: an apostrophe in a comment is no quote": (
        JOB.replace("true", "\n # it's hot\n true"),
        [],
    ),
}

#: What Plainbox finds and Checkbox does not look for: it fails no validation.
BEYOND: dict[str, tuple[str, str]] = {
    "unknown field": (f"{JOB}environment: LANG\n", "PB103"),
    "unknown flag": (JOB.replace("simple", "simple preserve_cwd"), "PB109"),
    "unknown salvages": (f"{JOB}salvages: x\n", "PB201"),
    "unknown manifest entry": (
        f"{JOB}requires: manifest.x == 'True'\nimports: from com.canonical.plainbox import manifest\n",
        "PB201",
    ),
    "unknown part": (f"{PLAN}include:\nnested_part: x\n", "PB201"),
    "unknown category of an override": (f"{JOB}\n{PLAN}include: j\ncategory_overrides: apply x to j\n", "PB201"),
    "dead entry": (f"{PLAN}include: x\n", "PB204"),
    "bad entry": (f"{PLAN}include: x(\n", "PB111"),
    "bad override": (f"{PLAN}include:\ncategory_overrides: to x\n", "PB111"),
    "duration of a plan": (f"{PLAN}include:\nestimated_duration: long\n", "PB102"),
    "loop": (f"{PLAN}include:\nnested_part: p\n", "PB206"),
    "cycle": (f"{JOB}depends: j\n", "PB207"),
    "reference of a template": (f"{TEMPLATE}id: j-{{x}}\nflags: simple\ncommand: true\ndepends: x\n", "PB201"),
    "reference of a sibling": (f'{JOB}siblings: [{{"id": "k", "depends": "x"}}]\n', "PB201"),
    "what Plainbox adds": (f"{JOB}timeout: long\n", "PB102"),
    "whole words that are no command": (JOB.replace("true", "if true; then"), "PB114"),
    "empty command": (JOB.replace("command: true", "command:"), "PB105"),
    "not translated": (f"{JOB}_user: root\n", "PB105"),
    "exporter of a later version": (f"{EXPORTER}entry_point: tar\nfile_extension: tar\n", "PB102"),
    "comment in a value": (JOB.replace("_summary: J", "_summary: J # noqa: PB101"), "PB304"),
}


def seen(issues: Sequence[Issue]) -> list[tuple[str | None, str, str]]:
    return [(issue.field, issue.code.value, issue.severity.value) for issue in issues]


@pytest.mark.parametrize("name", CATALOGUE)
def test_catalogue(workshop: Workshop, name: str) -> None:
    """Each check of Checkbox finds its bad unit, as bad as Checkbox calls it, and nothing else is found in it."""
    text, *expected = CATALOGUE[name]
    report = workshop.report(text)
    assert seen(report.issues) == [tuple(expected)]
    assert report.failed(strict=True, as_checkbox=True) is (expected[-1] != "advice")


def test_list_as_text(workshop: Workshop) -> None:
    """A list of a YAML unit that is written as text fails a strict validation, as it does in Checkbox."""
    report = workshop.report({"units/x.yaml": "id: j\n_summary: J\nflags: simple\ncommand: 'true'\n"})
    assert seen(report.issues) == [("flags", "PB115", "warning")]
    assert report.failed(strict=True, as_checkbox=True)


@pytest.mark.parametrize("reason", DIFFERENT)
def test_different_on_purpose(workshop: Workshop, reason: str) -> None:
    """What Checkbox calls wrong and Plainbox does not."""
    text, expected = DIFFERENT[reason]
    assert [(code, severity) for _, code, severity in seen(workshop.issues(text))] == expected


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_checkbox(workshop: Workshop, name: str) -> None:
    """What Checkbox does not look for is told, and fails no validation that Checkbox passes."""
    text, code = BEYOND[name]
    report = workshop.report(text)
    assert [issue.code.value for issue in report.issues] == [code]
    assert not report.failed(strict=True, as_checkbox=True)
    assert report.failed(strict=True) is (code != Code.NESTED_LOOP)

# SPDX-License-Identifier: Apache-2.0
"""What test plans name."""

from __future__ import annotations

import pytest
from linting import Workshop

from plainbox.providers import Catalogue
from plainbox.units import TestPlanUnit
from plainbox.units.checks.index import UnitIndex
from plainbox.units.checks.plans import dead_entries

JOBS = """\
id: disk/read
flags: simple also-after-suspend
command: true

id: disk/list
plugin: resource
command: echo 'name: sda'

id: look
plugin: manual
description: Look.

unit: template
template-summary: S
template-resource: disk/list
id: disk/smart_{name}
flags: simple
command: true

unit: setup job
id: prepare
plugin: shell
command: true

unit: test plan
id: p
name: P
"""


def plan(text: str) -> str:
    return f"{JOBS}{text}\n"


@pytest.mark.parametrize(
    "entry",
    [
        "disk/read",
        "disk/re.*",
        ".*",
        "after-suspend-disk/read",
        "after-suspend-.*",
        "disk/smart_name",
        "disk/smart_sda",
        "disk/smart_.*",
        "disk/(read|smart).*",
        "org.example::disk/read",
        "org.example::disk/smart_sda",
        "org.example::disk/.*",
        "com.canonical.plainbox::manifest",
        "# a comment",
    ],
)
def test_living_entries(workshop: Workshop, entry: str) -> None:
    """What means a job, a sibling, a template or a possible instance is no finding."""
    assert workshop.codes(plan(f"include:\n {entry}\nexclude:\n {entry}")) == []


@pytest.mark.parametrize(
    "entry",
    [
        "disk/reed",
        "disk/*",
        "desk/.*",
        "after-suspend-disk/list",
        "org.example::disk/reed",
        "prepare",
    ],
)
@pytest.mark.parametrize("field", ["include", "mandatory_include", "exclude"])
def test_dead_entries(workshop: Workshop, field: str, entry: str) -> None:
    """What means nothing is a warning at its line, in every list."""
    rest = "" if field == "include" else "\ninclude:"
    assert workshop.codes(plan(f"{field}:\n disk/read\n {entry}{rest}")) == [(30, "PB204")]


def test_dead_entry_names_what_was_meant(workshop: Workshop) -> None:
    """A plain id gets a guess; a pattern is shown as it is written."""
    assert workshop.found(plan("include:\n disk/reda\n dusk/.* certification-status=blocker")) == [
        (
            "units/x.pxu:29: PB204 warning: org.example::p: field 'include': no job 'org.example::disk/reda': this entry"
            " means nothing (did you mean 'disk/read'?)"
        ),
        (
            "units/x.pxu:30: PB204 warning: org.example::p: field 'include': no job matches 'dusk/.*': this entry means"
            " nothing"
        ),
    ]


@pytest.mark.parametrize(
    ("field", "good"),
    [
        ("category_overrides", "apply com.canonical.plainbox::disk to disk/read"),
        ("certification_status_overrides", "apply blocker to disk/.*"),
    ],
)
def test_dead_overrides(workshop: Workshop, field: str, good: str) -> None:
    """An override for jobs that are not there is a warning."""
    bad = good.rpartition(" ")[0] + " usb/.*"
    assert workshop.codes(plan(f"include: disk/read\n{field}:\n {good}\n {bad}")) == [(31, "PB204")]


def test_dead_entries_of_one_list(workshop: Workshop) -> None:
    """Whoever runs a plan can ask for the entries of some lists alone."""
    provider = workshop.provider(plan("include: nothing\nexclude: nobody"))
    units = Catalogue.load([provider], installed=False).units
    [unit] = [unit for unit in units if isinstance(unit, TestPlanUnit) and unit.partial_id == "p"]
    index = UnitIndex.of(units)
    assert [issue.field for issue in dead_entries(unit, index)] == ["include", "exclude"]
    assert [issue.field for issue in dead_entries(unit, index, ["include"])] == ["include"]


def test_bootstrap(workshop: Workshop) -> None:
    """Bootstrap jobs are there and need no person."""
    assert workshop.codes(plan("include:\nbootstrap_include:\n disk/list")) == []
    assert workshop.found(plan("include:\nbootstrap_include:\n look\n disk/lst")) == [
        (
            "units/x.pxu:30: PB202 error: org.example::p: field 'bootstrap_include': 'org.example::look' needs a person,"
            " its plugin is manual"
        ),
        (
            "units/x.pxu:31: PB201 error: org.example::p: field 'bootstrap_include': no job 'org.example::disk/lst' (did"
            " you mean 'disk/list'?)"
        ),
    ]


def test_setup(workshop: Workshop) -> None:
    """Setup jobs are there and are setup jobs."""
    assert workshop.codes(plan("include:\nsetup_include: prepare")) == []
    assert workshop.codes(plan("include:\nsetup_include: perpare disk/read")) == [(29, "PB201"), (29, "PB202")]


def test_nested_parts(workshop: Workshop) -> None:
    """A part that is not there, or is no plan, is a warning: the plan runs without it."""
    assert workshop.codes(plan("include:\nnested_part: other\n\nunit: test plan\nid: other\nname: O\ninclude:")) == []
    assert workshop.found(plan("include:\nnested_part: other")) == [
        "units/x.pxu:29: PB201 warning: org.example::p: field 'nested_part': no test plan 'org.example::other'"
    ]
    assert workshop.codes(plan("include:\nnested_part: look")) == [(29, "PB202")]


def test_categories_of_overrides(workshop: Workshop) -> None:
    """Categories that overrides give are looked up."""
    text = "include:\n disk/read category-id=nothing\ncategory_overrides:\n apply com.canonical.plainbox::dusk to .*"
    assert workshop.codes(plan(text)) == [(29, "PB201"), (31, "PB201")]


@pytest.mark.parametrize(
    "text",
    [
        "include: disk/read\nmandatory_include: disk/read",
        "include: disk/.*\nmandatory_include: disk/read",
        "include: disk/read\nmandatory_include: disk/r.*",
        "include: disk/.*\nbootstrap_include: disk/list",
    ],
)
def test_overlap(workshop: Workshop, text: str) -> None:
    """What runs anyway and is included too is a warning."""
    assert workshop.codes(plan(text)) == [(29, "PB205")]


def test_no_overlap(workshop: Workshop) -> None:
    """Different jobs in different lists are no finding."""
    assert workshop.codes(plan("include: disk/read\nmandatory_include: look\nbootstrap_include: disk/list")) == []


def test_nested_loop(workshop: Workshop) -> None:
    """A plan that is part of itself is told once for each loop."""
    other = "\nunit: test plan\nid: q\nname: Q\ninclude:\nnested_part:\n look\n p\n"
    found = workshop.found(plan("include:\nnested_part: q\n") + other)
    assert "units/x.pxu:29: PB206 advice: org.example::p: field 'nested_part': the plan is part of itself:" in found[0]
    assert "org.example::p -> org.example::q -> org.example::p" in found[0]
    assert [line.split()[1] for line in found] == ["PB206", "PB202"]


@pytest.mark.parametrize("pattern", [r"org\.elsewhere::disk/.*", "org.elsewhere::disk/.*", "org.elsewhere::disk"])
def test_namespace_that_is_not_there(workshop: Workshop, pattern: str) -> None:
    """An entry for another namespace says that its provider is not there."""
    [finding] = workshop.found(plan(f"include: {pattern}"))
    assert finding.endswith("(no provider with the namespace 'org.elsewhere' is loaded)")


@pytest.mark.parametrize("field", ["bootstrap_include", "setup_include", "nested_part"])
def test_pattern_for_an_id(workshop: Workshop, field: str) -> None:
    """A pattern in a list of ids is told as what it is."""
    [finding] = workshop.found(plan(f"include:\n{field}: disk/.*"))
    assert finding.endswith("(this list takes ids, no patterns)")

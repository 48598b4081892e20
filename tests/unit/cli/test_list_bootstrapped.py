# SPDX-License-Identifier: Apache-2.0
"""``plainbox list-bootstrapped``: what a plan contains on this machine, found out without keeping anything."""

from __future__ import annotations

from pathlib import Path

import pytest

UNITS = """
unit: setup job
id: prepare
flags: simple
command: touch {mark}

id: res
plugin: resource
command: printf 'name: x\\n\\nname: y\\n'

id: broken
plugin: resource
command: exit 1

unit: template
template-resource: res
template-id: maker
id: made-{{name}}
summary: Made for {{name}}
flags: simple
command: touch {mark}

id: plain
flags: simple
summary: Plain
command: touch {mark}

unit: test plan
id: plan
_name: The plan
setup_include: prepare
bootstrap_include: res
include:
 plain certification-status=blocker
 maker

unit: test plan
id: poor
_name: A poor plan
bootstrap_include: broken
include: plain
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that jobs make which must not run."""
    return tmp_path / "mark"


@pytest.fixture
def demo(provider, mark: Path) -> Path:
    return provider(UNITS.format(mark=mark))


def test_listing(run, demo: Path, mark: Path, home: Path) -> None:
    """Jobs and instances in the order of a run; no test and no setup job has run, and no session is left."""
    ran = run("list-bootstrapped", "plan", "--provider", demo)
    assert ran.code == 0
    assert [line.split(maxsplit=1) for line in ran.out.splitlines()] == [
        ["org.example::plain", "Plain"],
        ["org.example::made-x", "Made for x"],
        ["org.example::made-y", "Made for y"],
    ]
    assert not mark.exists()
    assert "no stored sessions" in run("session", "list").err


def test_json(run, demo: Path) -> None:
    """The document says where a job comes from and how the plan counts it."""
    document = run("list-bootstrapped", "plan", "--provider", demo, "--json").json
    assert document["schema"] == "plainbox.list-bootstrapped/1"
    assert document["plan"] == "org.example::plan"
    assert [(unit["id"], unit["certification_status"], unit["template_id"]) for unit in document["units"]] == [
        ("org.example::plain", "blocker", None),
        ("org.example::made-x", "non-blocker", "org.example::maker"),
        ("org.example::made-y", "non-blocker", "org.example::maker"),
    ]


def test_exclude(run, demo: Path) -> None:
    """Jobs can be left out."""
    ran = run("list-bootstrapped", "plan", "--provider", demo, "--exclude", "maker")
    assert ran.out.split() == ["org.example::plain", "Plain"]


def test_a_resource_that_fails(run, demo: Path) -> None:
    """A bootstrap job that did not pass is told: something may be missing."""
    ran = run("list-bootstrapped", "poor", "--provider", demo)
    assert ran.code == 0
    assert "org.example::broken: failed" in ran.err


def test_unknown_plan(run, demo: Path) -> None:
    """A plan that is not there is a usage error with a near name."""
    ran = run("list-bootstrapped", "plam", "--provider", demo)
    assert ran.code == 2
    assert "did you mean" in ran.err


def test_instances_that_are_no_good(run, provider, home: Path) -> None:
    """A job that would fail because its template was not filled in is told; it is not listed when runs leave it out."""
    demo = provider(
        "id: res\nplugin: resource\ncommand: echo 'name: x'\n\n"
        "unit: template\ntemplate-resource: res\nid: made-{other}\nflags: simple\ncommand: true\n\n"
        "id: plain\nflags: simple\ncommand: true\n\n"
        "unit: test plan\nid: plan\n_name: P\nbootstrap_include: res nothing\ninclude: .*\n"
    )
    strict = run("list-bootstrapped", "plan", "--provider", demo)
    assert "made-MISSING_PARAM_1" in strict.out
    assert "this job fails when it runs" in strict.err
    assert "org.example::nothing" in strict.err
    (home / "config").mkdir()
    (home / "config" / "plainbox.conf").write_text("[features]\nstrict_template_expansion = no\n")
    assert "MISSING_PARAM" not in run("list-bootstrapped", "plan", "--provider", demo).out

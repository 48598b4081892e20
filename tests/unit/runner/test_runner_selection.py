# SPDX-License-Identifier: Apache-2.0
"""What a run is asked to run: plans and patterns, matches and exclusions, and their form in the session."""

from __future__ import annotations

import json

import pytest

from plainbox.errors import CorruptedSessionError, NothingSelectedError, UsageError
from plainbox.runner import Selection
from plainbox.runner.selection import NEVER_RUN, WantedReport
from plainbox.session.state import SessionState
from plainbox.units import TestPlanUnit
from plainbox.units.selection import flatten

UNITS = """
id: res
plugin: resource
command: true

unit: template
template-resource: res
template-id: maker
id: made-{name}
plugin: shell
command: true

unit: template
template-resource: other-res
id: {name}-odd
plugin: shell
command: true

id: other-res
plugin: resource
command: true

id: a
plugin: shell
command: true

id: b
plugin: shell
command: true
depends: a

id: c
plugin: shell
command: true
requires: res.name == 'x'

id: must
plugin: shell
command: true

unit: test plan
id: plan
name: Plan
bootstrap_include: res
mandatory_include: must
include:
 a
 b
 c
exclude: res
"""


@pytest.fixture
def made(catalogue):
    """A state over the units, and the plan."""
    known = catalogue(UNITS)
    plans = known.of_kind(TestPlanUnit)
    return SessionState(list(known.units)), flatten([plans["org.example::plan"]], plans)


def names(jobs) -> list[str]:
    return [job.partial_id for job in jobs]


# -- the form in the session


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(plan_id="org.example::plan", providers=("/a b", "/c")),
        Selection(patterns=("x", "y.*"), match=("z",), exclude=("\N{SNOWMAN}",)),
        Selection(
            patterns=("x",),
            timeout_s=1.5,
            reports=(WantedReport("json", "/a\udcff", ("opt",)), WantedReport("html", "-")),
        ),
    ],
)
def test_round_trip(selection: Selection) -> None:
    """A selection comes back from the session as it was."""
    assert Selection.from_blob(selection.as_blob()) == selection


def test_older_form() -> None:
    """A session that was stored without a limit and without reports has none."""
    document = json.loads(Selection(patterns=("x",)).as_blob())
    del document["timeout_s"], document["reports"]
    assert Selection.from_blob(json.dumps(document).encode()) == Selection(patterns=("x",))


@pytest.mark.parametrize(
    "odd",
    [
        {"timeout_s": "long"},
        {"timeout_s": -1},
        {"timeout_s": 10**400},
        {"reports": [{"format": "json"}]},
        {"reports": ["json:x"]},
        {"reports": 7},
    ],
)
def test_odd_form(odd: dict) -> None:
    """A limit or reports that make no sense are damage, and told as that."""
    with pytest.raises(CorruptedSessionError):
        Selection.from_blob(json.dumps(odd).encode())


def test_form() -> None:
    """Other programs find the plan where they look for it."""
    stored = json.loads(Selection(plan_id="org.example::plan").as_blob())
    assert stored["testplan_id"] == "org.example::plan"
    assert {"launcher", "description"} <= set(stored)


@pytest.mark.parametrize("blob", [b"", None, b"{}"])
def test_no_form(blob: bytes | None) -> None:
    """A session that was asked nothing has an empty selection."""
    assert Selection.from_blob(blob) == Selection()


@pytest.mark.parametrize("blob", [b"\xff", b"[]", b"{", b'{"patterns": 5}', b"null"])
def test_bad_form(blob: bytes) -> None:
    """What makes no sense is damage."""
    with pytest.raises(CorruptedSessionError):
        Selection.from_blob(blob)


# -- the bootstrap


def test_bootstrap_of_a_plan(made) -> None:
    """The bootstrap jobs of a plan run first, whatever the plan itself excludes, less those excluded by hand."""
    state, plan = made
    assert names(Selection(plan_id="p").bootstrap_jobs(state, plan)) == ["res"]
    assert names(Selection(plan_id="p", exclude=("res",)).bootstrap_jobs(state, plan)) == []
    assert names(Selection(plan_id="p", exclude=("org.example::r.*",)).bootstrap_jobs(state, plan)) == []


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("a", ["other-res"]),
        ("made-x", ["res", "other-res"]),
        ("made-.*", ["res", "other-res"]),
        ("maker", ["res", "other-res"]),
        ("org.example::maker", ["res"]),
        ("org.example::made-x", ["res"]),
        (".*", ["res", "other-res"]),
        ("x-odd", ["other-res"]),
        ("(made|x)-.*", ["res", "other-res"]),
    ],
)
def test_bootstrap_of_patterns(made, pattern: str, wanted: list[str]) -> None:
    """Before patterns are applied run the resources of the templates that they could mean, too many rather than few."""
    state, _ = made
    found = names(Selection(patterns=(pattern,)).bootstrap_jobs(state, None))
    assert set(found) <= {"res", "other-res"}
    if "made" in pattern or "maker" in pattern or pattern == ".*":
        assert "res" in found
    if "odd" in pattern or pattern == ".*":
        assert "other-res" in found


# -- the selection


def test_plan(made) -> None:
    """A plan means its jobs, mandatory ones in front; who needs a bootstrap job has it, even if the plan excludes it."""
    state, plan = made
    Selection(plan_id="p").apply(state, plan)
    assert names(state.mandatory_job_list) == ["must"]
    assert names(state.run_list) == ["must", "a", "b", "res", "c"]
    assert not state.metadata.custom_joblist
    assert state.dropped == {}


def test_match_and_exclude(made) -> None:
    """Of what is selected only what matches is kept, and nothing that is excluded; mandatory jobs stay."""
    state, plan = made
    Selection(plan_id="p", match=("a", "b"), exclude=("a", "must")).apply(state, plan)
    # The job b needs one that is excluded: it cannot run, and says so.
    assert names(state.run_list) == ["must"]
    assert list(state.dropped) == ["org.example::b"]
    assert state.metadata.custom_joblist


def test_patterns(made) -> None:
    """Patterns mean full and partial ids, each job once, in the order of the patterns."""
    state, _ = made
    Selection(patterns=("c", "org.example::b", "[abc]")).apply(state, None)
    assert names(state.desired_job_list) == ["c", "b", "a"]
    assert state.mandatory_job_list == []


def test_nothing(made) -> None:
    """A selection without any job is told, and changes nothing."""
    state, plan = made
    with pytest.raises(NothingSelectedError):
        Selection(patterns=("nobody",)).apply(state, None)
    assert state.desired_job_list == []
    # Mandatory jobs alone are something.
    Selection(plan_id="p", exclude=(".*",)).apply(state, plan)
    assert names(state.run_list) == ["must"]


@pytest.mark.parametrize("where", ["patterns", "match", "exclude"])
def test_bad_pattern(made, where: str) -> None:
    """A pattern that is none is a mistake of the user's."""
    state, _ = made
    with pytest.raises(UsageError, match="regular expression"):
        Selection(**{"patterns": ("a",), where: ("(",)}).apply(state, None)


def test_jobs_whose_work_is_done_elsewhere(catalogue) -> None:
    """Some jobs of existing plans have nothing to do here, and are left out without a word."""
    assert all("::" in job_id for job_id in NEVER_RUN)

# SPDX-License-Identifier: Apache-2.0
"""The setup job: the fields it has, those it has not, and what it wants of the manifest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.units import Code, JobDefinition, SetupJobDefinition, read_units

PROVIDER = SimpleNamespace(namespace="org.example")


def setup_job(**fields: object) -> SetupJobDefinition:
    return SetupJobDefinition({"id": "a", "flags": "simple", "command": "true", **fields}, provider=PROVIDER)


def test_it_is_a_job() -> None:
    """It runs like any job, is told apart by its kind, and is a job to code that asks for the meta name."""
    job = setup_job()
    assert isinstance(job, JobDefinition)
    assert (job.kind, job.Meta.name, job.plugin, job.id) == ("setup job", "job", "shell", "org.example::a")
    assert not job.issues


@pytest.mark.parametrize(
    "field", ["requires", "imports", "depends", "after", "before", "salvages", "group", "function", "cache"]
)
def test_fields_it_does_not_have(field: str) -> None:
    """What orders jobs or asks for resources has no effect, and is told."""
    job = setup_job(**{field: "b"})
    assert getattr(job, field) in ((), None, False)
    assert [(issue.code, issue.field) for issue in job.issues] == [(Code.UNKNOWN_FIELD, field)]


@pytest.mark.parametrize("plugin", ["manual", "resource", "attachment", "user-interact"])
def test_plugins_it_cannot_have(plugin: str) -> None:
    """A setup job is a shell job."""
    assert [issue.field for issue in setup_job(plugin=plugin).errors] == ["plugin"]


def test_requires_manifest(tmp_path: Path) -> None:
    """An item is an id that must be true, or an id with the value that it must have."""
    path = tmp_path / "a.yaml"
    path.write_text(
        "unit: setup job\nid: a\nflags: [simple]\ncommand: 'true'\n"
        "requires_manifest:\n  - has_wifi\n  - org.other::has_lte: false\n  - disks: 2\n"
    )
    [job] = read_units(path, PROVIDER, on_error=pytest.fail)
    assert isinstance(job, SetupJobDefinition)
    assert job.required_manifest == {
        "org.example::has_wifi": True,
        "org.other::has_lte": False,
        "org.example::disks": 2,
    }
    assert not job.issues


def test_bad_items_of_requires_manifest() -> None:
    """An item that is none is told with its number; the others count."""
    job = setup_job(requires_manifest=["good", {"a": "1", "b": "2"}, ["list"], {"c": ["x"]}, {"d": "perhaps"}])
    assert job.required_manifest == {"org.example::good": True}
    assert [issue.field for issue in job.errors] == ["requires_manifest"] * 4


def test_siblings_are_setup_jobs() -> None:
    """A sibling is what its elder is."""
    [sibling] = setup_job(siblings=[{"id": "b"}]).siblings_units()
    assert isinstance(sibling, SetupJobDefinition)
    assert sibling.id == "org.example::b"


@given(
    st.recursive(
        st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=6,
    )
)
def test_any_value_of_requires_manifest(value: object) -> None:
    """Whatever is written there, the field reads as a mapping and its faults are told."""
    job = setup_job(requires_manifest=value)
    assert all(isinstance(wanted, (bool, int)) for wanted in job.required_manifest.values())
    assert all(str(issue) for issue in job.issues)

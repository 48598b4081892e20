# SPDX-License-Identifier: Apache-2.0
"""Ids that are used twice."""

from __future__ import annotations

from linting import Workshop

JOB = "id: a\nflags: simple\ncommand: true\n"
OTHER = "id: a\nflags: simple\ncommand: false\n"


def test_within_a_provider(workshop: Workshop) -> None:
    """The second of two has the finding, with the place of the first."""
    assert workshop.found({"units/a.pxu": JOB, "units/b.pxu": OTHER}) == [
        (
            "units/b.pxu:1: PB203 error: org.example::a: field 'id': the id is also that of the job at units/a.pxu:1:"
            " this one is left out"
        )
    ]


def test_equal_units(workshop: Workshop) -> None:
    """Two units that are the same are a warning."""
    assert "PB203 warning" in workshop.found(f"{JOB}\n{JOB}")[0]


def test_across_providers(workshop: Workshop) -> None:
    """The provider that is asked about has the finding, whichever unit counts."""
    other = workshop.provider({"units/b.pxu": OTHER}, "org.example:other")
    [finding] = workshop.found({"units/a.pxu": JOB}, other)
    assert finding.startswith("units/a.pxu:1: PB203 error")
    assert f"{other}/units/b.pxu" in finding
    assert finding.endswith("the other one is left out")


def test_jobs_and_setup_jobs(workshop: Workshop) -> None:
    """A setup job cannot have the id of a job."""
    assert workshop.codes(f"{JOB}\nunit: setup job\nid: a\nplugin: shell\ncommand: true\n") == [(6, "PB203")]


def test_sibling(workshop: Workshop) -> None:
    """A job that is written out counts more than a sibling of its id."""
    units = 'id: a\nflags: simple\ncommand: true\nsiblings: [{"id": "b"}]\n\nid: b\nflags: simple\ncommand: false\n'
    assert workshop.codes(units) == [(4, "PB203")]


def test_kinds_have_ids_of_their_own(workshop: Workshop) -> None:
    """A plan may have the id of a job, and other namespaces do not matter."""
    other = workshop.provider(JOB, "com.example.other:other")
    assert workshop.codes(f"{JOB}\nunit: test plan\nid: a\nname: A\ninclude: a\n", other) == []

# SPDX-License-Identifier: Apache-2.0
"""Listings for people and for programs: what the commands print, and that their JSON keeps its form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

UNITS = """
unit: category
id: cat
_name: A category

id: res
plugin: resource
command: echo 'name: x'

id: one
plugin: shell
_summary: The first job
category_id: cat
estimated_duration: 1m
command: true

id: two
plugin: shell
flags: also-after-suspend
command: false
requires: manifest.has_x == 'True'
imports: from com.canonical.plainbox import manifest

unit: manifest entry
id: has_x
_name: An X
value-type: bool

unit: template
template-resource: res
template-id: maker
_template-summary: Makes jobs
id: made-{name}
plugin: shell
command: true

unit: test plan
id: plan
_name: The plan
include:
 one certification-status=blocker
 two
 maker
exclude: three

unit: test plan
id: outer
_name: The outer plan
include: res
nested_part:
 plan
 nobody
"""


@pytest.fixture
def directory(provider) -> Path:
    made: Path = provider(UNITS)
    return made


def own(units: list[dict[str, object]]) -> list[dict[str, object]]:
    return [unit for unit in units if unit.get("provider") == "org.example:demo"]


# -- list


@pytest.mark.parametrize(
    ("word", "kind", "ids"),
    [
        ("jobs", "job", ["res", "one", "two"]),
        ("job", "job", ["res", "one", "two"]),
        ("plans", "test plan", ["plan", "outer"]),
        ("test plan", "test plan", ["plan", "outer"]),
        ("Plans", "test plan", ["plan", "outer"]),
        ("templates", "template", ["maker"]),
        ("categories", "category", ["cat"]),
        ("manifest", "manifest entry", ["has_x"]),
        ("exporters", "exporter", []),
        ("packaging", "packaging meta-data", []),
    ],
)
def test_list(run, directory: Path, word: str, kind: str, ids: list[str]) -> None:
    """A listing has the units of one kind, in the order of their files, under their full ids."""
    document = run("list", word, "--provider", directory, "--json").json
    assert list(document) == ["schema", "units"]
    assert document["schema"] == "plainbox.list/1"
    assert {unit["kind"] for unit in document["units"]} <= {kind}
    assert [unit["id"] for unit in own(document["units"])] == [f"org.example::{name}" for name in ids]


def test_facts_of_a_job(run, directory: Path) -> None:
    """A job is listed with what programs ask for, every key there whether it has a value or not."""
    units = own(run("list", "jobs", "--provider", directory, "--json").json["units"])
    assert units[1] == {
        "kind": "job",
        "id": "org.example::one",
        "summary": "The first job",
        "provider": "org.example:demo",
        "plugin": "shell",
        "category_id": "org.example::cat",
        "certification_status": "non-blocker",
        "estimated_duration": 60.0,
        "origin": f"{directory}/units/units.pxu:10-15",
    }
    assert set(units[0]) == set(units[1]) == set(units[2])


def test_facts_of_a_template(run, directory: Path) -> None:
    """A template is listed under its own id, with that of its instances and its resource."""
    [template] = own(run("list", "templates", "--provider", directory, "--json").json["units"])
    assert (template["id"], template["summary"]) == ("org.example::maker", "Makes jobs")
    assert (template["id_pattern"], template["resource"]) == ("org.example::made-{name}", "org.example::res")


def test_list_providers(run, directory: Path) -> None:
    """Providers are listed with their namespace, version and directory."""
    document = run("list", "providers", "--provider", directory, "--json").json
    assert document["schema"] == "plainbox.list/1"
    [found] = [unit for unit in document["units"] if unit["id"] == "org.example:demo"]
    assert found == {
        "kind": "provider",
        "id": "org.example:demo",
        "namespace": "org.example",
        "version": "1.0",
        "directory": str(directory),
        "summary": "A provider",
    }


def test_list_for_people(run, directory: Path) -> None:
    """Without a terminal there are just lines: the id, then the summary."""
    lines = run("list", "jobs", "--provider", directory).out.splitlines()
    assert any(line.split(maxsplit=1) == ["org.example::one", "The first job"] for line in lines)
    assert run("list", "providers", "--provider", directory).out.count(str(directory)) == 1


def test_list_of_something_else(run, directory: Path) -> None:
    """A kind that is none is answered with those there are."""
    done = run("list", "gadgets")
    assert done.code == 2
    assert "gadgets" in done.err
    assert "plans" in done.err


# -- show


def test_show(run, directory: Path) -> None:
    """A unit is shown as it is written, with its place; by partial id too."""
    for name in ("one", "org.example::one"):
        done = run("show", name, "--provider", directory)
        assert done.code == 0
        assert "# job org.example::one" in done.out
        assert f"# {directory}/units/units.pxu:10-15" in done.out
        assert "_summary: The first job" in done.out
    document = run("show", "one", "maker", "--provider", directory, "--json").json
    assert document["schema"] == "plainbox.show/1"
    assert [unit["id"] for unit in document["units"]] == ["org.example::one", "org.example::maker"]
    assert document["units"][0]["fields"]["command"] == "true"


def test_show_what_is_not_there(run, directory: Path) -> None:
    """A unit that is not there is answered with a near one."""
    done = run("show", "onee", "--provider", directory)
    assert done.code == 2
    assert "did you mean 'one'?" in done.err


# -- expand


def test_expand(run, directory: Path) -> None:
    """A plan expands to its jobs and templates, and to the manifest entries that they ask for."""
    document = run("expand", "plan", "--provider", directory, "--json").json
    assert list(document) == ["schema", "plan", "units"]
    assert (document["schema"], document["plan"]) == ("plainbox.expand/1", "org.example::plan")
    assert document["units"] == [
        {"kind": "manifest entry", "id": "org.example::has_x", "category_id": None, "certification_status": None},
        {
            "kind": "template",
            "id": "org.example::maker",
            "category_id": "com.canonical.plainbox::uncategorised",
            "certification_status": "non-blocker",
        },
        {
            "kind": "job",
            "id": "org.example::one",
            "category_id": "org.example::cat",
            "certification_status": "blocker",
        },
        {
            "kind": "job",
            "id": "org.example::two",
            "category_id": "com.canonical.plainbox::uncategorised",
            "certification_status": "non-blocker",
        },
    ]


def test_expand_for_people(run, directory: Path) -> None:
    """Without JSON there is a line for each unit, and what is wrong is said beside it."""
    done = run("expand", "org.example::outer", "--provider", directory)
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["manifest", "entry"],
        ["template", "org.example::maker"],
        ["job", "org.example::one"],
        ["job", "org.example::res"],
        ["job", "org.example::two"],
    ]
    assert "nobody" in done.err


def test_expand_unknown_plan(run, directory: Path) -> None:
    """A plan that is not there is answered with a near one."""
    done = run("expand", "plam", "--provider", directory)
    assert done.code == 2
    assert "did you mean 'plan'?" in done.err


# -- sessions


def test_no_sessions(run) -> None:
    """No sessions are an empty list, and a word for people."""
    assert run("session", "list", "--json").json == {"schema": "plainbox.session-list/1", "sessions": []}
    done = run("session", "list")
    assert (done.code, done.out) == (0, "")
    assert "no stored sessions" in done.err


def test_session_list(run, directory: Path) -> None:
    """A stored session is listed with its state, its outcomes and where it is."""
    assert run("run", "plan", "--no-input", "--provider", directory, "--title", "Mine").code == 0
    document = run("session", "list", "--json").json
    assert list(document) == ["schema", "sessions"]
    [session] = document["sessions"]
    assert {"id", "directory", "title", "state", "outcomes", "created", "size_bytes", "reason"} <= set(session)
    assert (session["title"], session["state"], session["reason"]) == ("Mine", "complete", None)
    assert sum(session["outcomes"].values()) == len(run("session", "show", "--json").json["jobs"])
    assert session["created"].endswith("Z")
    assert session["size_bytes"] > 0
    line = run("session", "list").out
    assert session["id"] in line
    assert "complete" in line


def test_session_show(run, directory: Path) -> None:
    """A session is shown with each of its jobs: what became of it, why, and all attempts."""
    run("run", "one", "two", "--no-input", "--provider", directory)
    document = run("session", "show", "--json").json
    assert document["schema"] == "plainbox.session/1"
    jobs = {job["id"]: job for job in document["jobs"]}
    one = jobs["org.example::one"]
    assert set(one) == {
        "id",
        "summary",
        "outcome",
        "running",
        "interrupted",
        "duration",
        "shown_duration",
        "return_code",
        "comments",
        "reason",
        "attempt",
        "running_attempt",
        "origin",
        "stale_definition",
        "attempts",
    }
    assert (one["outcome"], one["running"], one["return_code"], one["summary"]) == ("pass", False, 0, "The first job")
    [attempt] = one["attempts"]
    assert (attempt["outcome"], attempt["comments"], attempt["origin"], attempt["counts"]) == (
        "pass",
        None,
        "run",
        True,
    )
    text = run("session", "show").out
    assert "state:" in text
    assert any(line.split()[:2] == ["pass", "org.example::one"] for line in text.splitlines())


def test_session_without_its_provider(run, directory: Path) -> None:
    """A session can be shown when its provider is gone: ids, summaries and outcomes are its own."""
    run("run", "one", "made-x", "--no-input", "--provider", directory)
    before = {job["id"]: job for job in run("session", "show", "--json").json["jobs"]}
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()
    after = {job["id"]: job for job in run("session", "show", "--json").json["jobs"]}
    assert after == before
    assert after["org.example::one"]["summary"] == "The first job"


def test_unreadable_session(run, directory: Path, home: Path) -> None:
    """A session that cannot be read is a row that says why; showing it is an error of its own kind."""
    broken = home / "state" / "plainbox" / "sessions" / "pbox-2020-01-01T00.00.00.000000.session"
    broken.mkdir(parents=True)
    (broken / "journal-000001.pbj").write_bytes(b"garbage\n")
    [session] = run("session", "list", "--json").json["sessions"]
    assert session["state"] == "unreadable"
    assert session["reason"]
    done = run("session", "show")
    assert done.code == 3
    assert done.err.startswith("plainbox: ")


def test_empty_session(run, home: Path) -> None:
    """A session without any checkpoint is listed as empty."""
    from plainbox.session import SessionManager

    SessionManager.create().close()
    [session] = run("session", "list", "--json").json["sessions"]
    assert session["state"] == "empty"
    assert run("session", "show", "--json").json["jobs"] == []


def test_json_is_one_document(run, directory: Path) -> None:
    """With --json the standard output is one JSON document and nothing else, whatever is said beside it."""
    broken = directory / "units" / "broken.pxu"
    broken.write_text("this is no field\n")
    for words in (("list", "jobs"), ("expand", "outer"), ("show", "one"), ("list", "providers")):
        done = run(*words, "--provider", directory, "--json")
        assert isinstance(json.loads(done.out), dict)
        assert "broken.pxu" in done.err

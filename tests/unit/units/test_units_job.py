# SPDX-License-Identifier: Apache-2.0
"""Units of every kind: their fields, ids, identity, checks, and the siblings of jobs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import Reader

from plainbox.errors import FieldError, UnitError
from plainbox.units import (
    KINDS,
    CategoryUnit,
    ExporterUnit,
    JobDefinition,
    ManifestEntryUnit,
    Origin,
    PackagingMetaDataUnit,
    TemplateUnit,
    TestPlanUnit,
    Unit,
)
from plainbox.units.job import FLAGS, PLUGINS


@attrs.frozen
class Home:
    """A provider as far as a unit is concerned."""

    namespace: str = "org.example"
    name: str = "org.example:home"
    version: str = "1"
    gettext_domain: str | None = None
    base_dir: Path = Path("/nowhere")
    units_dir: Path | None = None
    jobs_dir: Path | None = None
    data_dir: Path | None = None
    bin_dir: Path | None = None
    locale_dir: Path | None = None


def job(**data: Any) -> JobDefinition:
    """Return a job of a namespace; an underscore in front of a key stands for one in the file."""
    return JobDefinition({"id": "a", "plugin": "shell", "command": "true"} | data, provider=Home())


def found(unit: Unit) -> list[tuple[str, str, str | None]]:
    return [(str(issue.code), str(issue.severity), issue.field) for issue in unit.issues]


# -- the registry


def test_kinds_by_the_words_of_files() -> None:
    """Every kind is found by what files write behind 'unit:'."""
    assert {kind: cls.__name__ for kind, cls in KINDS.items()} == {
        "job": "JobDefinition",
        "setup job": "SetupJobDefinition",
        "template": "TemplateUnit",
        "test plan": "TestPlanUnit",
        "category": "CategoryUnit",
        "manifest entry": "ManifestEntryUnit",
        "exporter": "ExporterUnit",
        "packaging meta-data": "PackagingMetaDataUnit",
    }
    assert all(cls.kind == kind for kind, cls in KINDS.items())
    assert all(cls.Meta.name == kind.removeprefix("setup ") for kind, cls in KINDS.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: a\nunit: jop\n", "x.pxu:2: unknown unit type 'jop'"),
        ("id: a\n\nunit: file\nid: b\n", "x.pxu:3: unknown unit type 'file'"),
        ("plugin: shell\ncommand: true\n", "x.pxu:1-2: this job has no id"),
        ("plugin: shell\nid:\n", "x.pxu:1-2: this job has no id"),
        ("unit: template\ntemplate-resource: r\n", "x.pxu:1-2: this template has no id"),
        ("unit: template\nid: {}\n", "x.pxu:1-2: this template has no id"),
        ("unit: category\nname: x\n", "x.pxu:1-2: this category has no id"),
        ("plugin: shell\nid: other::a\n", "x.pxu:2: the id 'other::a' must not contain '::'"),
        ("plugin: shell\nid:\n a\n b\n", "x.pxu:3: an id is one line of text"),
        ("unit: template\nid: a{x}\ntemplate-id: n::a\n", "x.pxu:3: the id 'n::a' must not contain '::'"),
    ],
)
def test_a_record_that_is_no_unit_is_left_out_alone(read: Reader, text: str, expected: str) -> None:
    """It is a problem with its line; the other units of the file are read."""
    units, problems = read(text + "\nid: last\nplugin: shell\ncommand: true\n")
    assert [unit.id for unit in units][-1] == "last"
    assert problems == [expected]


@pytest.mark.parametrize("unit", ["[a]", "{a: b}"])
def test_an_unknown_kind_of_another_type_is_told(read: Reader, unit: str) -> None:
    """YAML can give a list where a word is wanted."""
    units, [problem] = read(f"id: a\nunit: {unit}\n", "x.yaml")
    assert units == []
    assert problem.startswith("x.yaml:2: unknown unit type ")


def test_a_kind_that_is_nearly_known_is_guessed(tmp_path: Path) -> None:
    """The hint names it."""
    from plainbox.units import read_units

    problems: list[UnitError] = []
    (tmp_path / "x.pxu").write_text("unit: testplan\nid: a\n")
    read_units(tmp_path / "x.pxu", on_error=problems.append)
    assert [problem.hint for problem in problems] == ["did you mean 'test plan'?"]


def test_packaging_needs_no_id(read: Reader) -> None:
    """It is the one kind without a name."""
    [unit], problems = read("unit: packaging meta-data\nos-id: debian\nDepends: a\n")
    assert (unit.id, unit.partial_id, problems) == ("", None, [])


# -- ids and identity


def test_the_full_id_has_the_namespace_of_the_provider() -> None:
    """Without provider the full id is the id alone."""
    assert (job().id, job().partial_id) == ("org.example::a", "a")
    assert JobDefinition({"id": "a"}).id == "a"
    assert JobDefinition({"name": "old"}).id == "old"
    assert JobDefinition({"name": "old", "id": "new"}).id == "new"


def test_the_checksum_is_that_of_checkbox() -> None:
    """SHA-256 of the record as JSON with sorted keys, the namespace behind them."""
    assert JobDefinition({"id": "a", "flags": "simple"}).checksum.startswith("6b8f3d31")
    assert JobDefinition({"id": "a", "flags": "simple"}).checksum.endswith("f3ef")
    text = '{"command":"true","id":"a","plugin":"shell","namespace":"org.example"}'
    assert job().checksum == hashlib.sha256(text.encode()).hexdigest()
    umlaut = JobDefinition({"id": "ä"})
    assert umlaut.checksum == hashlib.sha256(json.dumps({"id": "ä"}, separators=(",", ":")).encode()).hexdigest()


def test_units_are_equal_when_they_say_the_same() -> None:
    """Kind and checksum count, the place does not."""
    here = JobDefinition({"id": "a"}, origin=Origin("f", 1))
    assert here == JobDefinition({"id": "a"})
    assert hash(here) == hash(JobDefinition({"id": "a"}))
    assert here != JobDefinition({"id": "b"})
    assert here != CategoryUnit({"id": "a"})
    assert here != "a"
    assert here != job()
    assert "org.example::a" in repr(job())


@given(st.permutations(["id", "plugin", "command", "x"]))
def test_the_order_of_fields_does_not_count(keys: list[str]) -> None:
    """Two files that give the same fields in another order define equal units."""
    assert JobDefinition(dict.fromkeys(keys, "v")) == JobDefinition(dict.fromkeys(sorted(keys), "v"))


def test_python_values_become_what_a_file_would_give() -> None:
    """Numbers, truth values and tuples are accepted in a mapping; None is no value."""
    unit = JobDefinition({"id": "a", "timeout": 5, "cache": True, "depends": ("b",), "user": None, "x": {1: [2.5]}})
    assert unit.data == {"id": "a", "timeout": "5", "cache": "true", "depends": ["b"], "x": {"1": ["2.5"]}}
    assert (unit.timeout, unit.cache, unit.depends) == (5.0, True, ("b",))


def test_places() -> None:
    """A range of lines, one line, a whole file, and a line below the start."""
    assert str(Origin("f", 1, 3)) == "f:1-3"
    assert str(Origin("f", 2, 2)) == str(Origin("f", 2)) == "f:2"
    assert str(Origin("f")) == str(Origin("f").line(3)) == "f"
    assert str(Origin("f", 1, 3).line(1)) == "f:2"
    assert JobDefinition({"id": "a"}).origin_of("id") is None


# -- the job


def test_the_fields_of_a_job() -> None:
    """Each field has the type that the reference says."""
    unit = job(
        _summary="S",
        plugin="manual",
        user="root",
        environ="A, B",
        shell="/bin/sh",
        estimated_duration="1m 30s",
        depends="b other::c",
        after="d",
        before="e",
        salvages="f",
        group="g",
        requires="r.x == '1'\nr.y == '2'",
        imports="from n import r",
        category_id="audio",
        flags="simple, preserve-cwd",
        timeout="2h",
        uses="camera",
        tags="x y",
        cache="yes",
        **{"certification-status": "blocker", "auto-retry": "no", "on-crash": "retry"},
    )
    assert (unit.summary, unit.tr_summary()) == ("S", "S")
    assert (unit.plugin, unit.user, unit.environ, unit.shell) == ("manual", "root", ("A", "B"), "/bin/sh")
    assert (unit.estimated_duration, unit.timeout) == (90.0, 7200.0)
    assert unit.depends == ("org.example::b", "other::c")
    assert (unit.after, unit.before, unit.salvages) == (("org.example::d",), ("org.example::e",), ("org.example::f",))
    assert (unit.group, unit.requires) == ("g", ("r.x == '1'", "r.y == '2'"))
    assert unit.category_id == "org.example::audio"
    assert (unit.certification_status, unit.auto_retry, unit.on_crash) == ("blocker", "no", "retry")
    assert unit.flags == frozenset({"simple", "preserve-cwd"})
    assert (unit.uses, unit.tags, unit.cache) == (("camera",), ("x", "y"), True)
    assert (unit.kind, unit.template_id, unit.automated) == ("job", None, False)


def test_the_defaults_of_a_job() -> None:
    """A job says only what differs."""
    unit = JobDefinition({"id": "a"})
    assert (unit.summary, unit.description, unit.plugin, unit.command, unit.shell) == ("a", None, None, None, "bash")
    assert (unit.user, unit.environ, unit.flags, unit.estimated_duration, unit.timeout) == (
        None,
        (),
        frozenset(),
        None,
        None,
    )
    assert (unit.depends, unit.after, unit.before, unit.salvages, unit.requires, unit.group) == (
        (),
        (),
        (),
        (),
        (),
        None,
    )
    assert unit.category_id == "com.canonical.plainbox::uncategorised"
    assert (unit.certification_status, unit.auto_retry, unit.on_crash) == ("non-blocker", "unspecified", "crash")
    assert (unit.uses, unit.tags, unit.cache, unit.siblings, unit.kwargs) == ((), (), False, (), None)


@pytest.mark.parametrize("key", ["certification_status", "auto_retry"])
def test_fields_with_a_dash_are_not_read_with_an_underscore(key: str) -> None:
    """The spelling of files is one."""
    unit = job(**{key: "no"})
    assert (unit.certification_status, unit.auto_retry) == ("non-blocker", "unspecified")
    assert found(unit) == [("PB103", "warning", key)]


def test_the_flag_simple_makes_a_shell_job() -> None:
    """The plugin may be left out then."""
    unit = JobDefinition({"id": "a", "command": "true", "flags": "simple"})
    assert (unit.plugin, unit.automated, unit.issues) == ("shell", True, ())


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_plugin_is_known(plugin: str) -> None:
    """Those that need a person are not automated."""
    unit = job(plugin=plugin, function="a:b", description="D")
    assert unit.plugin == plugin
    assert unit.automated is (plugin in ("shell", "resource", "attachment", "function"))
    assert unit.errors == ()


def test_the_description_is_made_of_its_parts() -> None:
    """Purpose, steps and verification under their headings, those that there are."""
    assert job(purpose="P", verification="V").description == "PURPOSE:\nP\n\nVERIFICATION:\nV"
    assert job(purpose="P", description="D").description == "D"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({}, [], id="nothing wrong"),
        pytest.param({"plugin": None}, [("PB101", "error", "plugin")], id="no plugin"),
        pytest.param({"plugin": "local"}, [("PB102", "error", "plugin")], id="a plugin that is gone"),
        pytest.param({"plugin": "user-verify"}, [("PB104", "advice", "plugin")], id="a plugin that is going"),
        pytest.param({"command": None}, [("PB101", "error", "command")], id="no command"),
        pytest.param(
            {"plugin": "manual", "description": "D"}, [("PB105", "warning", "command")], id="a command of a manual job"
        ),
        pytest.param({"plugin": "manual", "command": None}, [("PB101", "warning", "description")], id="nothing to do"),
        pytest.param({"plugin": "manual", "command": None, "steps": "S"}, [], id="steps are enough"),
        pytest.param({"plugin": "function", "command": None}, [("PB101", "error", "function")], id="no function"),
        pytest.param(
            {"plugin": "function", "command": None, "function": "a:b", "args": "[1]", "kwargs": '{"a": 1}'},
            [],
            id="a function",
        ),
        pytest.param({"user": "root"}, [], id="root"),
        pytest.param({"command": ""}, [("PB105", "warning", "command")], id="an empty command"),
        pytest.param(
            {"certification-status": "x"}, [("PB102", "warning", "certification-status")], id="no such status"
        ),
        pytest.param({"auto-retry": "yes"}, [("PB102", "warning", "auto-retry")], id="no such retry"),
        pytest.param({"on-crash": "x"}, [("PB102", "error", "on-crash")], id="no such rule for a crash"),
        pytest.param({"user": "me"}, [("PB102", "warning", "user")], id="another user"),
        pytest.param(
            {"plugin": "manual", "command": None, "steps": "S", "user": "root", "environ": "A"},
            [("PB105", "warning", "user"), ("PB105", "warning", "environ")],
            id="a user and nothing to run",
        ),
        pytest.param({"shell": "zsh"}, [("PB102", "error", "shell")], id="another shell"),
        pytest.param({"flags": "simple nosuch"}, [("PB109", "warning", "flags")], id="an unknown flag"),
        pytest.param({"environment": "A"}, [("PB103", "warning", "environment")], id="an unknown field"),
        pytest.param(
            {"_command": "x", "command": None}, [("PB105", "warning", "command")], id="a command that is no prose"
        ),
        pytest.param({"name": "b", "id": None}, [("PB104", "advice", "name")], id="the old name of the id"),
        pytest.param(
            {"estimated_duration": "5s 1m"}, [("PB102", "warning", "estimated_duration")], id="a bad duration"
        ),
        pytest.param({"requires": "a.x and"}, [("PB110", "error", "requires")], id="a bad expression"),
        pytest.param({"imports": "a"}, [("PB110", "error", "imports")], id="a bad import"),
        pytest.param({"siblings": "{}"}, [("PB102", "error", "siblings")], id="siblings that are none"),
        pytest.param(
            {"siblings": '[{"nosuch": "x"}]'}, [("PB103", "warning", "siblings")], id="an unknown field of a sibling"
        ),
        pytest.param({"template-engine": "jinja3"}, [("PB102", "error", "template-engine")], id="an unknown engine"),
        pytest.param(
            {"template-engine": "jinja2", "command": "{{"}, [("PB112", "error", "command")], id="a bad Jinja2 text"
        ),
    ],
)
def test_the_checks_of_a_job(data: dict[str, object], expected: list[tuple[str, str, str | None]]) -> None:
    """Each mistake is told once, with its field."""
    assert found(job(**data)) == expected


def test_what_checkbox_runs_all_the_same_is_no_error() -> None:
    """A job with an error does not run, so an error is only what keeps it from doing its work."""
    data = {
        "user": "me",
        "estimated_duration": "soon",
        "certification-status": "x",
        "auto-retry": "x",
        "flags": "x",
        "x": "y",
    }
    unit = job(**data, siblings='[{"id": "b", "nosuch": "x"}]')
    assert len(unit.issues) == 7
    assert unit.errors == ()


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_is_known(flag: str) -> None:
    """Also those without effect, which existing providers have."""
    assert job(flags=flag).issues == ()


def test_an_unknown_field_is_told_with_the_nearest_one() -> None:
    """Providers in the wild have 'environment' for 'environ' and never know."""
    [issue] = job(environment="A").issues
    assert issue.hint == "did you mean 'environ'?"


def test_a_job_that_is_written_out_may_use_jinja() -> None:
    """The environment of the settings is what the loader was given."""
    text = "{% if __checkbox_env__.get('K') %}yes{% else %}no{% endif %}"
    data = {"id": "a", "template-engine": "jinja2", "command": text, "plugin": "shell"}
    assert JobDefinition(data).command == "no"
    assert JobDefinition(data, environment={"K": "v"}).command == "yes"


# -- siblings


def test_declared_siblings_differ_in_what_they_say() -> None:
    """Everything else is that of the job, the siblings themselves are left out."""
    unit = job(_summary="S", siblings='[{"id": "b", "_summary": "T"}, {"id": "c", "summary": "U", "depends": "a"}]')
    second, third = unit.siblings_units()
    assert (second.id, second.summary, second.command, second.depends) == ("org.example::b", "T", "true", ())
    assert (third.id, third.summary, third.depends) == ("org.example::c", "U", ("org.example::a",))
    assert second.siblings_units() == ()
    assert second.provider is unit.provider


def test_siblings_of_yaml_files(read: Reader) -> None:
    """A list of mappings is as good as JSON, and siblings have the place of their job."""
    [unit], _ = read("id: a\nplugin: shell\ncommand: 'true'\nsiblings:\n  - id: b\n    depends: [a]\n", "x.yaml")
    assert isinstance(unit, JobDefinition)
    [sibling] = unit.siblings_units()
    assert (sibling.id, sibling.depends, sibling.origin) == ("b", ("a",), unit.origin)


@pytest.mark.parametrize("flags", ["also-after-suspend preserve-locale", ["also-after-suspend", "preserve-locale"]])
@pytest.mark.parametrize("depends", ["b", ["b"]])
def test_a_job_runs_again_after_the_suspend(flags: object, depends: object) -> None:
    """The sibling has a new id, summary and group, depends on the job and the suspend, and has no such flag."""
    [sibling] = job(flags=flags, depends=depends, summary="S", group="g").siblings_units()
    assert (sibling.id, sibling.summary, sibling.group) == (
        "org.example::after-suspend-a",
        "S after suspend (S3)",
        "after-suspend-g",
    )
    assert sibling.depends == (
        "org.example::b",
        "org.example::a",
        "com.canonical.certification::suspend/suspend_advanced_auto",
    )
    assert sibling.flags == frozenset({"preserve-locale"})


def test_a_job_runs_again_after_the_manual_suspend() -> None:
    """Both flags make a sibling each, and asking twice changes nothing."""
    unit = job(flags="also-after-suspend-manual also-after-suspend")
    assert [sibling.id for sibling in unit.siblings_units()] == [
        "org.example::after-suspend-a",
        "org.example::after-suspend-manual-a",
    ]
    manual = unit.siblings_units()[1]
    assert manual.depends == ("org.example::a", "com.canonical.certification::suspend/suspend_advanced")
    assert (manual.flags, manual.summary, manual.group) == (frozenset(), "a after suspend (S3)", None)
    assert unit.siblings_units() == unit.siblings_units()
    assert unit.depends == ()


def test_siblings_keep_the_texts_of_translators() -> None:
    """The message ids of a sibling's fields are those of the job's file."""
    unit = JobDefinition(
        {"id": "a", "_steps": "x\ny", "flags": "also-after-suspend"}, raw={"id": "a", "_steps": "  x\n  y"}
    )
    [sibling] = unit.siblings_units()
    assert sibling.raw["_steps"] == "  x\n  y"


# -- translation


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A provider with a German catalogue, for a German reader."""
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    catalogue = Catalog(locale="de")
    catalogue.add("Check", "Prüfen")
    catalogue.add("  one\n    two", "  eins\n    zwei\n")
    catalogue.add("Look at {x}", "{x} ansehen")
    catalogue.add("Bad {x}", "Schlecht {y}")
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / f"{tmp_path.name}.mo").open("wb") as stream:
        write_mo(stream, catalogue)
    monkeypatch.setenv("LANGUAGE", "de")
    return Home(gettext_domain=tmp_path.name, locale_dir=tmp_path)


def test_texts_are_shown_in_the_language_of_the_reader(german: Home) -> None:
    """The raw text is looked up, its translation normalised."""
    unit = JobDefinition(
        {"id": "a", "_summary": "Check", "_steps": "one\n  two", "_purpose": ""},
        raw={"id": "a", "_summary": "Check", "_steps": "  one\n    two", "_purpose": ""},
        provider=german,
    )
    assert (unit.tr_summary(), unit.summary) == ("Prüfen", "Check")
    assert unit.translated("steps") == "eins\n  zwei"
    assert unit.translated("purpose") == ""
    assert unit.translated("verification") is None
    assert JobDefinition({"id": "a", "summary": "Check"}, provider=german).tr_summary() == "Check"
    assert CategoryUnit({"id": "a", "_name": "Check"}, provider=german).tr_name() == "Prüfen"


def test_translations_of_instances_are_filled_in(german: Home) -> None:
    """After the look-up; a translation that cannot be filled in is not shown."""
    for text, expected in (("Look at {x}", "disk ansehen"), ("Bad {x}", "Bad disk"), ("Not {x}", "Not disk")):
        unit = JobDefinition({"id": "a", "_summary": text}, provider=german, parameters={"x": "disk"})
        assert unit.tr_summary() == expected


# -- the other kinds


def test_the_fields_of_a_test_plan() -> None:
    """References are full ids, lists keep their order."""
    plan = TestPlanUnit(
        {
            "id": "p",
            "_name": "Plan",
            "_description": "D",
            "include": "a\nb.*",
            "mandatory_include": "m",
            "bootstrap_include": "r s",
            "setup_include": "u",
            "exclude": "x",
            "nested_part": "q other::q",
            "estimated_duration": "1h",
            "icon": "i",
        },
        provider=Home(),
    )
    assert (plan.id, plan.name, plan.summary, plan.description) == ("org.example::p", "Plan", "Plan", "D")
    assert [entry.pattern.full for entry in plan.include] == ["org.example::a", "org.example::b.*"]
    assert [entry.pattern.full for entry in (*plan.mandatory_include, *plan.exclude)] == [
        "org.example::m",
        "org.example::x",
    ]
    assert plan.bootstrap_include == ("org.example::r", "org.example::s")
    assert (plan.setup_include, plan.nested_part) == (("org.example::u",), ("org.example::q", "other::q"))
    assert (plan.estimated_duration, plan.icon, plan.issues) == (3600.0, "i", ())


def test_the_defaults_of_a_test_plan() -> None:
    """Id, name and an include list, which may be empty, are required."""
    assert TestPlanUnit({"id": "p", "name": "P", "include": ""}).issues == ()
    assert found(TestPlanUnit({"id": "p"})) == [("PB101", "error", "name"), ("PB101", "error", "include")]
    plan = TestPlanUnit({"id": "p"})
    assert (plan.name, plan.include, plan.nested_part, plan.estimated_duration) == ("p", (), (), None)


def test_a_bad_duration_of_a_plan_does_not_raise() -> None:
    """It is unknown, and an issue, as for jobs; a YAML number is fine."""
    plan = TestPlanUnit({"id": "p", "name": "P", "include": "", "estimated_duration": "soon"})
    assert (plan.estimated_duration, found(plan)) == (None, [("PB102", "warning", "estimated_duration")])
    assert TestPlanUnit({"id": "p", "estimated_duration": 5}).estimated_duration == 5.0


def test_a_category() -> None:
    """It has an id and a name."""
    category = CategoryUnit({"id": "audio", "_name": "Audio tests"}, provider=Home())
    assert (category.id, category.name, category.summary, category.tr_name()) == (
        "org.example::audio", "Audio tests", "Audio tests", "Audio tests",
    )  # fmt: skip
    assert category.issues == ()
    assert found(CategoryUnit({"id": "a"})) == [("PB101", "error", "name")]


def test_a_manifest_entry() -> None:
    """Its answer is a truth value or a natural number, with defaults for everything but the name."""
    entry = ManifestEntryUnit({"id": "has_x", "_name": "X", "value-type": "bool"}, provider=Home())
    assert (entry.name, entry.value_type, entry.resource_key, entry.default_value) == ("X", "bool", "has_x", False)
    assert (entry.prompt, entry.is_hidden, entry.issues) == (
        "Does this machine have this piece of hardware?",
        False,
        (),
    )
    assert (entry.convert("yes"), entry.convert("False")) == (True, False)
    number = ManifestEntryUnit(
        {"id": "n", "name": "N", "value-type": "natural", "value-unit": "GiB", "resource-key": "k", "prompt": "?"}
    )
    assert (number.default_value, number.value_unit, number.resource_key, number.prompt) == (0, "GiB", "k", "?")
    assert number.convert(" 12 ") == 12
    plain = ManifestEntryUnit({"id": "n", "name": "N", "value-type": "natural"})
    assert plain.prompt == "Please enter the requested data:"


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "9" * 5000, "²"])
def test_what_is_no_natural_number(text: str) -> None:
    """Any other answer is a field error."""
    with pytest.raises(FieldError):
        ManifestEntryUnit({"id": "n", "value-type": "natural"}).convert(text)


def test_a_hidden_manifest_entry_says_why() -> None:
    """Nobody is asked for an entry whose id begins with an underscore."""
    entry = ManifestEntryUnit({"id": "_x", "name": "X", "value-type": "bool"})
    assert (entry.is_hidden, found(entry)) == (True, [("PB101", "error", "hidden-reason")])
    assert ManifestEntryUnit({"id": "_x", "name": "X", "value-type": "bool", "hidden-reason": "R"}).issues == ()


def test_the_checks_of_a_manifest_entry() -> None:
    """The type of the value is one of two; another spelling of the unit is deprecated."""
    assert found(ManifestEntryUnit({"id": "a", "name": "A", "value-type": "int"})) == [("PB102", "error", "value-type")]
    assert found(ManifestEntryUnit({"id": "a", "name": "A"})) == [("PB101", "error", "value-type")]
    entry = ManifestEntryUnit({"id": "a", "name": "A", "value-type": "natural", "value-units": "m"})
    assert found(entry) == [("PB104", "advice", "value-units")]


def test_an_exporter() -> None:
    """Options are words, data a mapping or JSON text."""
    unit = ExporterUnit(
        {
            "id": "html",
            "summary": "S",
            "entry_point": "html",
            "file_extension": "html",
            "options": "a; b=c, d",
            "data": '{"k": "v"}',
        }
    )
    assert (unit.entry_point, unit.file_extension, unit.support_data) == ("html", "html", {"k": "v"})
    assert ExporterUnit({"id": "x"}).support_data == {}
    assert {issue.field for issue in ExporterUnit({"id": "x"}).errors} >= {"entry_point", "file_extension"}
    bad = ExporterUnit({"id": "x", "entry_point": "json", "file_extension": "a/b", "data": "["})
    assert {issue.field for issue in bad.errors} >= {"file_extension", "data"}


def test_packaging() -> None:
    """Relations stand apart by commas, line ends mean nothing."""
    unit = PackagingMetaDataUnit(
        {"os-id": "debian", "os-version-id": ">=12", "Depends": "a,\nb (>= 1) |\n c", "Suggests": ["d"]}
    )
    assert (unit.os_id, unit.os_version_id, unit.summary) == ("debian", ">=12", "debian >=12")
    assert (unit.depends, unit.recommends, unit.suggests) == (("a", "b (>= 1) | c"), (), ("d",))
    assert found(PackagingMetaDataUnit({})) == [("PB101", "error", "os-id")]


def test_a_template_is_a_unit_too() -> None:
    """Everything about templates has tests of its own."""
    assert TemplateUnit({"id": "a-{x}"}).id == "a-x"


AUTO = "com.canonical.certification::suspend/suspend_advanced_auto"
BY_HAND = "com.canonical.certification::suspend/suspend_advanced"


@pytest.mark.parametrize(
    ("fields", "precedes"),
    [
        ({}, ()),
        ({"before": "b"}, ("b",)),
        ({"flags": "also-after-suspend"}, (AUTO,)),
        ({"flags": "also-after-suspend also-after-suspend-manual", "before": "b"}, ("b", AUTO, BY_HAND)),
        ({"siblings": [{"id": "b", "after": AUTO}]}, (AUTO,)),
        ({"siblings": [{"id": "b", "depends": "c"}]}, ()),
        ({"flags": "also-after-suspend", "depends": AUTO}, ()),
        ({"flags": "also-after-suspend", "after": AUTO}, ()),
        ({"flags": "also-after-suspend", "before": AUTO}, (AUTO,)),
    ],
)
def test_a_job_precedes_the_suspend_that_a_sibling_waits_for(
    fields: dict[str, object], precedes: tuple[str, ...]
) -> None:
    """A job runs before the machine is suspended for its sibling, unless it waits for the suspend itself."""
    assert JobDefinition({"id": "a", "plugin": "shell", "command": "true", **fields}).precedes == precedes


def test_a_field_given_in_both_spellings() -> None:
    """The one with the underscore counts, and the other is told to be void."""
    job = JobDefinition({"id": "a", "flags": "simple", "command": "true", "_summary": "One", "summary": "Other"})
    assert job.summary == "One"
    assert [(str(issue.code), issue.field) for issue in job.issues] == [("PB105", "summary")]


def test_descendants_are_siblings_of_siblings_too() -> None:
    """A sibling brings its own siblings along: the one after a suspend, and those that its fields declare."""
    fields = {"id": "a", "plugin": "shell", "command": "true", "flags": "also-after-suspend"}
    job = JobDefinition({**fields, "siblings": [{"id": "b"}, {"id": "c", "flags": "", "siblings": '[{"id": "d"}]'}]})
    assert [item.id for item in job.descendants()] == ["b", "after-suspend-b", "c", "d", "after-suspend-a"]


def test_exporters_that_are_not_there_yet() -> None:
    """An exporter that existing providers name and this version has not is a warning, and makes no report."""
    unit = ExporterUnit({"id": "a", "summary": "A", "entry_point": "jinja2", "file_extension": "html"})
    assert [str(issue.severity) for issue in unit.issues] == ["warning"]
    assert unit.support is None


def test_advice_syntax():
    """The name of a chain and the parameters of advices have a form; what they mean is not known here."""
    good = job(
        **{"advice-chain": "on-dut", "advice-parameters": "retry.attempts: 3\nskip-if.expression: a.b == 'x: y'"}
    )
    assert found(good) == []
    bad = job(**{"advice-chain": "on dut", "advice-parameters": "retry.attempts: 3\nretry attempts 3\nretry.on:"})
    assert found(bad) == [
        ("PB102", "error", "advice-chain"),
        ("PB102", "error", "advice-parameters"),
        ("PB102", "error", "advice-parameters"),
    ]

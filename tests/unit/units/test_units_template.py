# SPDX-License-Identifier: Apache-2.0
"""Templates: how they are named, what their instances are, and what is checked before there are any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import Reader
from strategies import expressions, identifiers, templates

from plainbox.units import CategoryUnit, JobDefinition, ManifestEntryUnit, TemplateUnit, TestPlanUnit, Unit
from plainbox.units.checksum import checksum


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


def template(**data: Any) -> TemplateUnit:
    """Return a template whose keys are written with underscores instead of dashes."""
    fields = {
        "id": "disk/check-{name}",
        "plugin": "shell",
        "command": "check {name}",
        "template-resource": "disk",
        "template-summary": "Each disk",
    }
    fields |= {key.replace("template_", "template-"): value for key, value in data.items()}
    return TemplateUnit(fields, provider=Home())


def instance(unit: TemplateUnit, record: Mapping[str, str] | None = None, index: int = 1) -> JobDefinition:
    made = unit.instantiate(record if record is not None else {"name": "sda", "size": "1"}, index)
    assert isinstance(made, JobDefinition)
    return made


def found(unit: Unit) -> list[tuple[str, str, str | None]]:
    return [(str(issue.code), str(issue.severity), issue.field) for issue in unit.issues]


# -- the template


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "disk/check-name"),
        ({"id": "stress_{n}_x"}, "stress_n_x"),
        ({"id": "a-{{ b }}-c"}, "a-b-c"),
        ({"id": r"A1-_.:/\!?"}, "A1-_.:/\\"),
        ({"template_id": "disk/check"}, "disk/check"),
        ({"id": None, "name": "old-{n}"}, "old-n"),
    ],
)
def test_a_template_is_named_by_its_template_id(data: dict[str, Any], expected: str) -> None:
    """Without one, by its id less the characters that are not of ids."""
    unit = template(**data)
    assert (unit.partial_id, unit.id, unit.template_id) == (
        expected,
        f"org.example::{expected}",
        f"org.example::{expected}",
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "org.example::disk"),
        ({"template_resource": "other::disk"}, "other::disk"),
        ({"template_resource": "d", "template_imports": "from other import disk/all as d"}, "other::disk/all"),
        ({"template_resource": "disk", "template_imports": "from other import disk"}, "other::disk"),
        ({"template_imports": "nonsense"}, "org.example::disk"),
    ],
)
def test_the_resource_of_a_template(data: dict[str, Any], expected: str) -> None:
    """An id of its own namespace, a full id, or a name that an import gives."""
    assert template(**data).resource_id == expected


def test_what_a_template_tells_of_its_instances() -> None:
    """The pattern of their ids, their kind, the parameters that they ask for."""
    unit = template(summary="{name} of {size}", template_description="not {counted}")
    assert unit.instance_id_pattern == "org.example::disk/check-{name}"
    assert (unit.instance_kind, unit.template_unit, unit.template_engine) == (JobDefinition, "job", "default")
    assert unit.instance_parameters == {"name", "size"}
    assert template(template_unit="nosuch").instance_kind is None


def test_the_summary_of_a_template() -> None:
    """Its own, or that of the instances, or its id."""
    assert template().summary == "Each disk"
    assert template(template_summary=None, _summary="Check {name}").summary == "Check {name}"
    assert template(template_summary=None).summary == "disk/check-name"


# -- instances


def test_an_instance_is_filled_in_from_the_record() -> None:
    """Its fields are filled in, its id belongs to the namespace, it knows its template."""
    unit = template(_summary="{name}: {size}", depends="a-{name}", category_id="disk", flags="simple")
    job = instance(unit)
    assert (job.id, job.partial_id, job.command, job.summary) == (
        "org.example::disk/check-sda",
        "disk/check-sda",
        "check sda",
        "sda: 1",
    )
    assert (job.depends, job.category_id, job.flags) == (
        ("org.example::a-sda",),
        "org.example::disk",
        frozenset({"simple"}),
    )
    assert (job.template_id, job.origin, job.provider) == (unit.id, unit.origin, unit.provider)
    assert job.issues == ()


def test_fields_of_the_template_itself_are_not_of_the_instance() -> None:
    """All but the engine, the template's id and the kind are dropped."""
    assert template(_template_summary="x", template_filter="disk.x").instance_data() == {
        "id": "disk/check-{name}",
        "plugin": "shell",
        "command": "check {name}",
        "unit": "job",
        "template-engine": "default",
        "template-id": "org.example::disk/check-name",
    }


def test_only_the_parameters_that_are_asked_for_count() -> None:
    """An instance stays the same when other values of the record change; the index is always there."""
    unit = template()
    job = instance(unit, {"name": "sda", "temperature": "40"}, 3)
    assert job.parameters == {"name": "sda", "__index__": "3"}
    assert job == instance(unit, {"name": "sda", "temperature": "41"}, 3)
    assert job != instance(unit, {"name": "sda"}, 4)
    assert job.checksum == checksum(unit.instance_data(), "org.example", {"name": "sda", "__index__": "3"})


@pytest.mark.parametrize(
    ("engine", "text", "expected"),
    [
        ("default", "{__index__}", "2"),
        ("default", "{__index__:02d}", "02"),
        ("default", "{{literal}}", "{literal}"),
        ("jinja2", "{{ __index__ }}", "2"),
        ("jinja2", "{{ __index__ + 1 }}", "3"),
        ("jinja2", "{% if name == 'sda' %}first{% endif %}", "first"),
        ("jinja2", "{{ nosuch }}!", "!"),
        ("jinja2", "{literal}", "{literal}"),
    ],
)
def test_engines(engine: str, text: str, expected: str) -> None:
    """The engine of the template is that of its instances."""
    assert instance(template(template_engine=engine, summary=text), index=2).summary == expected


def test_instances_see_the_environment_of_the_settings() -> None:
    """As it was given to the loader."""
    data = dict(template(template_engine="jinja2", summary="{{ __checkbox_env__['K'] }}").data)
    made = TemplateUnit(data, environment={"K": "v"}).instantiate({"name": "x"}, 1)
    assert isinstance(made, JobDefinition)
    assert made.summary == "v"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, True),
        ({"template_filter": "disk.name == 'sda'"}, True),
        ({"template_filter": "disk.name == 'sdb'"}, False),
        ({"template_filter": "disk.name == 'sda'\ndisk.size == '2'"}, False),
        ({"template_filter": "other.name == 'sda'"}, False),
        ({"template_filter": "disk.name =="}, False),
        (
            {"template_resource": "d", "template_imports": "from n import x as d", "template_filter": "d.size == '1'"},
            True,
        ),
        ({"template_unit": "nosuch"}, False),
    ],
)
def test_the_filter_says_which_records_make_instances(data: dict[str, Any], expected: bool) -> None:
    """Each record is asked alone; a filter that cannot be evaluated accepts none."""
    assert (template(**data).instantiate({"name": "sda", "size": "1"}, 1) is not None) is expected


def test_a_missing_parameter_is_marked_in_the_text() -> None:
    """The instance is returned and its issues say why it is no good."""
    job = instance(template(summary="{name} {size}"), {"size": "1"}, 4)
    assert (job.id, job.summary, job.command) == (
        "org.example::disk/check-MISSING_PARAM_4",
        "MISSING_PARAM_4 1",
        "check MISSING_PARAM_4",
    )
    assert {(str(issue.code), issue.field) for issue in job.errors} == {
        ("PB108", "id"),
        ("PB108", "summary"),
        ("PB108", "command"),
    }


def test_a_text_that_cannot_be_filled_in_is_left_as_it_is() -> None:
    """Reading it does not raise, checking tells."""
    job = instance(template(summary="{name:d}", purpose="{nosuch} {name:d}"))
    assert (job.summary, job.purpose) == ("{name:d}", "{nosuch} {name:d}")
    assert ("PB112", "error", "summary") in found(job)


def test_values_of_a_record_are_text() -> None:
    """A resource can put anything into a field but not make it ask for more, and a bad id is an error."""
    job = instance(template(summary="{name}"), {"name": "{size} {{ size }} {% raw %}"})
    assert job.summary == "{size} {{ size }} {% raw %}"
    hostile = instance(template(), {"name": "x::y\nz"})
    assert ("PB102", "error", "id") in found(hostile)


def test_templates_make_units_of_other_kinds() -> None:
    """Categories, manifest entries and plans alike."""
    category = template(template_unit="category", name="Disk {name}", plugin=None, command=None).instantiate(
        {"name": "sda"}, 1
    )
    assert isinstance(category, CategoryUnit)
    assert (category.id, category.name, category.issues) == ("org.example::disk/check-sda", "Disk sda", ())
    plan = template(
        template_unit="test plan", name="{name}", include="a-{name}\nb", plugin=None, command=None
    ).instantiate({"name": "x"}, 1)
    assert isinstance(plan, TestPlanUnit)
    assert [entry.pattern.full for entry in plan.include] == ["org.example::a-x", "org.example::b"]
    entry = template(template_unit="manifest entry", name="{name}", **{"value-type": "bool"}).instantiate(
        {"name": "x"}, 1
    )
    assert isinstance(entry, ManifestEntryUnit)
    assert entry.name == "x"


def test_lists_and_mappings_are_filled_in_item_by_item(read: Reader) -> None:
    """YAML gives them as they are."""
    text = (
        "unit: template\nid: a-{name}\ntemplate-resource: r\nplugin: shell\ncommand: 'true'\n"
        "depends: [b, 'c-{name}']\nsiblings:\n  - {id: 'd-{name}', summary: S}\n"
    )
    [unit], _ = read(text, "x.yaml")
    assert isinstance(unit, TemplateUnit)
    job = instance(unit)
    assert job.depends == ("b", "c-sda")
    assert [sibling.id for sibling in job.siblings_units()] == ["d-sda"]


@pytest.mark.parametrize("engine", ["default", "jinja2"])
def test_siblings_of_instances_are_filled_in_once(engine: str) -> None:
    """The sibling is made of the template's text, so braces in a record stay text."""
    name = "{name}" if engine == "default" else "{{ name }}"
    unit = template(
        template_engine=engine,
        id=f"c-{name}",
        _summary=f"S {name}",
        group=f"g-{name}",
        depends=f"b-{name}",
        flags="also-after-suspend",
    )
    for value in ("sda", "{name}", "{{ name }}", "{% if"):
        [sibling] = instance(unit, {"name": value}).siblings_units()
        assert sibling.id == f"org.example::after-suspend-c-{value}"
        assert (sibling.summary, sibling.group) == (f"S {value} after suspend (S3)", f"after-suspend-g-{value}")
        assert f"org.example::c-{value}" in sibling.depends
        assert sibling.depends[-1] == "com.canonical.certification::suspend/suspend_advanced_auto"


def test_declared_siblings_of_instances_need_doubled_braces() -> None:
    """JSON inside the format syntax is written so in existing providers."""
    unit = template(siblings='[{{"id": "after-{name}", "depends": "x"}}]')
    assert [sibling.id for sibling in instance(unit).siblings_units()] == ["org.example::after-sda"]


# -- checks


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({}, [], id="nothing wrong"),
        pytest.param({"template_summary": None}, [("PB101", "advice", "template-summary")], id="no summary"),
        pytest.param({"template_summary": "x" * 81}, [("PB113", "warning", "template-summary")], id="a long summary"),
        pytest.param({"template_resource": None}, [("PB101", "error", "template-resource")], id="no resource"),
        pytest.param({"template_unit": "nosuch"}, [("PB102", "error", "template-unit")], id="no such kind"),
        pytest.param({"template_engine": "mako"}, [("PB102", "error", "template-engine")], id="no such engine"),
        pytest.param({"id": "constant"}, [("PB106", "error", "id")], id="an id that does not vary"),
        pytest.param({"plugin": "{name}"}, [("PB107", "error", "plugin")], id="a plugin that varies"),
        pytest.param({"category_id": "{name}"}, [("PB107", "error", "category_id")], id="a category that varies"),
        pytest.param({"flags": "{name}"}, [("PB107", "error", "flags")], id="flags that vary"),
        pytest.param(
            {"estimated_duration": "{name}"}, [("PB107", "error", "estimated_duration")], id="a duration that varies"
        ),
        pytest.param({"imports": "from {name} import x"}, [("PB107", "error", "imports")], id="an import that varies"),
        pytest.param({"environment": "x"}, [("PB103", "warning", "environment")], id="an unknown field"),
        pytest.param({"summary": "{name"}, [("PB112", "error", "summary")], id="an open brace"),
        pytest.param({"command": "a }"}, [("PB112", "error", "command")], id="a brace too many"),
        pytest.param({"template_filter": "disk.x ="}, [("PB110", "error", "template-filter")], id="a bad filter"),
        pytest.param({"template_imports": "disk"}, [("PB110", "error", "template-imports")], id="a bad import"),
        pytest.param(
            {"template_imports": "from a import b\nfrom c import d"},
            [("PB102", "error", "template-imports")],
            id="two imports",
        ),
        pytest.param({"plugin": None}, [("PB101", "error", "plugin")], id="instances without a plugin"),
        pytest.param({"flags": "nosuch"}, [("PB109", "warning", "flags")], id="instances with an unknown flag"),
        pytest.param(
            {"estimated_duration": "soon"},
            [("PB102", "warning", "estimated_duration")],
            id="instances with a bad duration",
        ),
        pytest.param(
            {"_command": "x", "command": None}, [("PB105", "warning", "command")], id="a command that is no prose"
        ),
        pytest.param({"plugin": "shel"}, [("PB102", "error", "plugin")], id="instances with a bad plugin"),
        pytest.param(
            {"requires": "{name}.x =="}, [("PB110", "error", "requires")], id="instances with a bad expression"
        ),
        pytest.param({"requires": "{name}.x == '1'", "timeout": "{size}"}, [], id="what only the record can tell"),
        pytest.param(
            {"template_unit": "category", "plugin": None, "command": None},
            [("PB101", "error", "name")],
            id="another kind",
        ),
    ],
)
def test_the_checks_of_a_template(data: dict[str, Any], expected: list[tuple[str, str, str | None]]) -> None:
    """What all instances would get wrong is told at the template."""
    assert found(template(**data)) == expected


def test_issues_of_templates_name_the_line(read: Reader) -> None:
    """Also those that its instances would have."""
    text = (
        "unit: template\ntemplate-resource: r\n_template-summary: S\nid: a-{x}\nplugin: shel\ntemplate-engine: jinja2\n"
        "command:\n true\n# c\n {% if %}\nrequires:\n r.x\n r.y =\ntemplate-filter:\n r.x\n r.z =\n"
    )
    places = [issue.split()[0] for issue in read.issues(text)]
    assert sorted(places) == ["x.pxu:10:", "x.pxu:13:", "x.pxu:16:", "x.pxu:4:", "x.pxu:5:"]


@given(
    st.dictionaries(
        st.sampled_from(
            ["id", "_summary", "command", "requires", "flags", "siblings", "template-filter", "template-imports", "x"]
        ),
        templates | expressions | identifiers,
    ),
    st.sampled_from(["default", "jinja2"]),
    st.sampled_from(["job", "test plan", "category", "template", "exporter"]),
    st.dictionaries(st.sampled_from(["x", "name"]), st.text(max_size=10) | templates),
)
def test_any_template_is_checked_and_instantiated(
    fields: dict[str, str], engine: str, kind: str, record: dict[str, str]
) -> None:
    """Neither checking nor instantiating nor reading the instance raises, whatever provider and record say."""
    unit = TemplateUnit(
        {"id": "a-{x}", "template-resource": "r", "template-unit": kind, "template-engine": engine} | fields,
        provider=Home(),
    )
    assert all(str(issue) for issue in unit.issues)
    made = unit.instantiate(record, 1)
    if made is not None:
        assert all(str(issue) for issue in made.issues)
        assert len(made.checksum) == 64
        assert isinstance(made.id, str)
        if isinstance(made, JobDefinition):
            assert all(sibling.id for sibling in made.siblings_units() if sibling.data.get("id"))


def test_a_filter_about_another_resource() -> None:
    """A filter sees one record of the template's own resource: any other name in it is an error with the near one."""
    unit = template(**{"template-resource": "network", "template-filter": "network.x == '1'\nnetwrk.x == '1'"})
    [issue] = [issue for issue in unit.issues if issue.field == "template-filter"]
    assert str(issue.code) == "PB110"
    assert "'netwrk'" in issue.message
    assert issue.hint == "did you mean 'network'?"


def test_a_template_of_templates() -> None:
    """Templates make no templates."""
    assert "template-unit" in [issue.field for issue in template(**{"template-unit": "template"}).errors]

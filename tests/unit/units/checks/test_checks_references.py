# SPDX-License-Identifier: Apache-2.0
"""References of jobs and templates."""

from __future__ import annotations

import pytest
from linting import Workshop

GOOD = """\
id: detect
plugin: resource
command: echo 'name: sda'

id: read
flags: simple
command: true
depends: detect
requires: detect.name == 'sda'
category_id: com.canonical.plainbox::disk
"""


def job(extra: str) -> str:
    return f"{GOOD}\nid: x\nflags: simple\n{extra}\ncommand: true\n"


def test_good_references(workshop: Workshop) -> None:
    """References to units of the provider and of other loaded providers are no findings."""
    assert workshop.found(GOOD) == []


@pytest.mark.parametrize("field", ["depends", "after", "before"])
def test_unknown_job(workshop: Workshop, field: str) -> None:
    """A dependency on a job that nobody has is an error at its line, with the id that was meant."""
    assert workshop.found(job(f"{field}:\n read\n detekt")) == [
        (
            f"units/x.pxu:16: PB201 error: org.example::x: field '{field}': no job 'org.example::detekt'"
            " (did you mean 'detect'?)"
        )
    ]


def test_unknown_salvaged_job(workshop: Workshop) -> None:
    """A job that is to be salvaged and is not there is a warning: the others still count."""
    assert workshop.found(job("salvages: raed")) == [
        "units/x.pxu:14: PB201 warning: org.example::x: field 'salvages': no job 'org.example::raed' (did you mean 'read'?)"
    ]


def test_reference_to_another_kind(workshop: Workshop) -> None:
    """A dependency on what is no job says what it is."""
    units = job("after: all") + "\nunit: test plan\nid: all\nname: All\ninclude: x\n"
    assert workshop.found(units) == [
        (
            "units/x.pxu:14: PB202 error: org.example::x: field 'after': 'org.example::all' is the id of a test plan,"
            " not of a job"
        )
    ]


def test_setup_job_is_no_dependency(workshop: Workshop) -> None:
    """A setup job cannot be depended on: it runs before everything."""
    units = job("depends: prepare") + "\nunit: setup job\nid: prepare\nplugin: shell\ncommand: true\n"
    assert workshop.codes(units) == [(14, "PB202")]


def test_missing_provider(workshop: Workshop) -> None:
    """When nothing of a namespace is loaded, the hint says so."""
    assert workshop.found(job("depends: com.example.other::read")) == [
        (
            "units/x.pxu:14: PB201 error: org.example::x: field 'depends': no job 'com.example.other::read'"
            " (no provider with the namespace 'com.example.other' is loaded)"
        )
    ]


def test_category(workshop: Workshop) -> None:
    """A category that nobody has, and a category that is a job, are errors."""
    assert workshop.found(job("category_id: com.canonical.plainbox::dsik")) == [
        (
            "units/x.pxu:14: PB201 error: org.example::x: field 'category_id': no category 'com.canonical.plainbox::dsik'"
            " (did you mean 'com.canonical.plainbox::disk'?)"
        )
    ]
    assert workshop.codes(job("category_id: read")) == [(14, "PB202")]


class TestRequires:
    def test_unknown_resource(self, workshop: Workshop) -> None:
        """Each resource that is not there is told once, at the first line that asks for it."""
        extra = "requires:\n detect.name == 'sda'\n package.name == 'a'\n package.name == 'b'"
        assert workshop.codes(job(extra)) == [(16, "PB201")]

    def test_job_that_is_no_resource(self, workshop: Workshop) -> None:
        """A job of another plugin has no records."""
        assert workshop.found(job("requires: read.name == 'sda'")) == [
            (
                "units/x.pxu:14: PB202 error: org.example::x: field 'requires': 'org.example::read' is no resource job,"
                " its plugin is shell"
            )
        ]

    def test_import_from_nowhere(self, workshop: Workshop) -> None:
        """What is imported and not there is told at the import alone."""
        extra = "imports: from org.example import package as p\nrequires: p.name == 'a'"
        assert workshop.codes(job(extra)) == [(14, "PB201")]

    def test_import_of_a_job_that_is_no_resource(self, workshop: Workshop) -> None:
        """It is the expression that needs a resource, not the import."""
        extra = "imports: from org.example import read as r\nrequires: r.name == 'a'"
        assert workshop.codes(job(extra)) == [(15, "PB202")]

    def test_unknown_manifest_entry(self, workshop: Workshop) -> None:
        """An entry that nobody has, or will ever answer, is a warning."""
        extra = "imports: from com.canonical.plainbox import manifest\nrequires: manifest.has_disk == 'True'"
        assert workshop.found(job(extra)) == [
            "units/x.pxu:15: PB201 warning: org.example::x: field 'requires': no manifest entry 'org.example::has_disk'"
        ]
        entry = (
            "\nunit: manifest entry\nid: _disk\nname: Disk\nvalue-type: bool\nresource-key: has_disk\nhidden-reason: -"
        )
        assert workshop.codes(job(extra) + entry) == []

    def test_bad_expression_is_told_once(self, workshop: Workshop) -> None:
        """Nothing is looked up for a job whose program cannot be read."""
        assert workshop.codes(job("requires:\n package.name ==\n package.name == 'a'")) == [(15, "PB110")]


class TestSetupJobs:
    def test_manifest(self, workshop: Workshop) -> None:
        """A setup job that asks for an unknown manifest entry is told."""
        unit = "unit: setup job\nid: prepare\nplugin: shell\ncommand: true\nrequires_manifest: has_disk\n"
        assert workshop.codes(unit) == [(5, "PB201")]
        assert workshop.codes(f"{unit}\nunit: manifest entry\nid: has_disk\nname: D\nvalue-type: bool\n") == []


class TestSiblings:
    def test_reference_of_a_sibling(self, workshop: Workshop) -> None:
        """The fields that make a sibling differ are looked up too."""
        assert workshop.codes(job('siblings: [{"id": "y", "depends": "nobody"}]')) == [(14, "PB201")]
        assert workshop.codes(job('siblings: [{"id": "y", "depends": "read", "category_id": "read"}]')) == [
            (14, "PB202")
        ]
        assert workshop.codes(job('siblings: [{"id": "y", "depends": "read"}]')) == []

    def test_reference_to_a_sibling(self, workshop: Workshop) -> None:
        """Jobs that others bring along can be depended on."""
        units = job('siblings: [{"id": "y"}]') + "\nid: z\nflags: simple\ncommand: true\nafter: y\n"
        assert workshop.codes(units) == []


class TestTemplates:
    TEMPLATE = (
        "unit: template\ntemplate-summary: S\ntemplate-resource: detect\nid: disk-{name}\nflags: simple\n"
        "command: true\n"
    )

    def test_resource(self, workshop: Workshop) -> None:
        """A template needs a resource job that is there."""
        template = self.TEMPLATE.replace("detect", "read")
        assert workshop.codes(f"{GOOD}\n{template}") == [(14, "PB202")]
        template = self.TEMPLATE.replace("detect", "nothing")
        assert workshop.codes(f"{GOOD}\n{template}") == [(14, "PB201")]

    def test_fields(self, workshop: Workshop) -> None:
        """References of the instances are looked up, those with a parameter are not."""
        assert workshop.codes(f"{GOOD}\n{self.TEMPLATE}depends: nobody") == [(18, "PB201")]
        assert workshop.codes(f"{GOOD}\n{self.TEMPLATE}requires: nobody.name == '{{name}}'") == [(18, "PB201")]
        assert workshop.codes(f"{GOOD}\n{self.TEMPLATE}depends: read disk-{{name}}-first") == []

    def test_reference_to_an_instance(self, workshop: Workshop) -> None:
        """An id that an instance could have is no finding, one that none could have is."""
        assert workshop.codes(job("after: disk-sda") + f"\n{self.TEMPLATE}") == []
        assert workshop.codes(job("after: dsk-sda") + f"\n{self.TEMPLATE}") == [(14, "PB201")]

    def test_reference_to_a_sibling_of_an_instance(self, workshop: Workshop) -> None:
        """The instances of a template may bring siblings along."""
        template = self.TEMPLATE.replace("flags: simple", "flags: simple also-after-suspend")
        assert workshop.codes(job("after: after-suspend-disk-sda") + f"\n{template}") == []

    def test_jinja2(self, workshop: Workshop) -> None:
        """The ids of Jinja2 templates count as well as others."""
        template = self.TEMPLATE.replace("{name}", "{{ name }}") + "template-engine: jinja2\n"
        assert workshop.codes(job("after: disk-sda") + f"\n{template}") == []
        assert workshop.codes(f"{GOOD}\n{template}depends: {{{{ name }}}} nobody") == [(19, "PB201")]


def test_line_of_a_yaml_item(workshop: Workshop) -> None:
    """In a YAML list the finding is at the item."""
    rest = "plugin: shell\ncommand: 'true'\n"
    text = f"id: x\n{rest}depends:\n  - x2\n  - nobody\n---\nid: x2\n{rest}"
    assert workshop.codes({"units/x.yaml": text}) == [(6, "PB201")]


def test_in_another_namespace(workshop: Workshop) -> None:
    """An id that another namespace has is what was meant; a resource of it is imported."""
    other = workshop.provider("id: probe\nplugin: resource\ncommand: true\n", "com.example.other:other")
    found = workshop.found(job("category_id: disk\nafter: probe\nrequires: probe.x == '1'"), other)
    assert [line.rpartition(" (")[2] for line in found] == [
        "did you mean 'com.canonical.plainbox::disk'?)",
        "did you mean 'com.example.other::probe'?)",
        "write 'imports: from com.example.other import probe')",
    ]


@pytest.mark.parametrize("field", ["depends", "after", "before", "salvages"])
def test_pattern_for_an_id(workshop: Workshop, field: str) -> None:
    """A pattern where whole ids stand is told as what it is."""
    [finding] = workshop.found(job(f"{field}: re.*"))
    assert finding.endswith("(this list takes ids, no patterns)")


def test_sibling_of_a_sibling(workshop: Workshop) -> None:
    """What a sibling brings along can be referred to, also when a template makes them."""
    family = 'flags: simple also-after-suspend\nsiblings: [{"id": "%s"}]\ncommand: true\n'
    suspend = workshop.provider(
        "id: suspend/suspend_advanced_auto\nflags: simple\ncommand: true\n", "com.canonical.certification:suspend"
    )
    written = f"id: a\n{family % 'b'}\nid: c\nflags: simple\ncommand: true\nafter: after-suspend-b\n"
    assert workshop.found(written, suspend) == []
    made = (
        f"{GOOD}\nunit: template\ntemplate-summary: S\ntemplate-resource: detect\nid: a-{{name}}\n"
        f"{family % 'b-{name}'}\nid: c\nflags: simple\ncommand: true\nafter: after-suspend-b-sda\n"
    ).replace('[{"id": "b-{name}"}]', '[{{"id": "b-{name}"}}]')
    assert workshop.found(made, suspend) == []

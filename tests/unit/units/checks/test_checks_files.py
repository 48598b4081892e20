# SPDX-License-Identifier: Apache-2.0
"""Files of a provider, and values of YAML units."""

from __future__ import annotations

import os

from linting import Workshop

EXPORTER = "unit: exporter\nid: e\nsummary: S\nentry_point: html\nfile_extension: html\n"


def test_skipped_unit_files(workshop: Workshop) -> None:
    """A file that looks like a unit file and is not read is a warning."""
    files = {"units/a.pxu.disabled": "", "units/deep/b.yamll": "", "jobs/c.pxx": ""}
    assert workshop.found(files) == [
        f"{path}: PB302 warning: this file is not read as a unit file (unit files end in .pxu, .yaml or .yml)"
        for path in sorted(files)
    ]


def test_files_that_nobody_takes_for_units(workshop: Workshop) -> None:
    """Notes, hidden files and remains of editors are no findings."""
    assert (
        workshop.codes({f"units/{name}": "" for name in ("README.md", "README", ".gitignore", "a.pxu~", "a.txt")}) == []
    )


def test_what_cannot_be_read_is_told_once(workshop: Workshop) -> None:
    """A unit file that is no file is told as such, and not as one that is skipped."""
    units = workshop.provider("") / "units"
    os.mkfifo(units / "pipe.pxu")
    (units / "loop.pxu").symlink_to(units / "loop.pxu")
    (units / "away.yaml").symlink_to(units / "nowhere.yaml")
    assert workshop.codes("") == [(None, "PB003")] * 3


def test_program_without_permission(workshop: Workshop) -> None:
    """A script in bin that cannot be executed is a warning; what is no program, is none."""
    files = {"bin/tool": "#!/bin/sh\ntrue\n", "bin/data.txt": "text\n", "units/a.pxu": ""}
    assert workshop.found(files) == [
        "bin/tool: PB301 warning: this program may not be executed: jobs do not find it (chmod +x tool)"
    ]
    (workshop.directory / "org.example.demo" / "bin" / "tool").chmod(0o755)
    assert workshop.codes({"units/a.pxu": ""}) == []


def test_exporter_template(workshop: Workshop) -> None:
    """The template of an exporter unit is a file in the data directory, not outside of it."""
    unit = EXPORTER + 'data: {"template": "report.html"}\n'
    assert workshop.codes(unit) == [(6, "PB303")]
    assert workshop.codes({"units/x.pxu": unit, "data/report.html": "x"}) == []
    assert workshop.codes(EXPORTER + 'data: {"template": "../units/x.pxu"}\n') == [(6, "PB303")]
    assert workshop.codes(EXPORTER) == []


def test_list_as_text_in_yaml(workshop: Workshop) -> None:
    """A list that is written as text is a warning in YAML and the only way in PXU."""
    good = "id: a\nflags: [simple]\ncommand: 'true'\nsummary: simple\n"
    assert workshop.codes({"units/x.yaml": good}) == []
    assert workshop.found({"units/x.yaml": good.replace("[simple]", "simple")}) == [
        "units/x.yaml:2: PB115 warning: org.example::a: field 'flags': a list is written as text (write a YAML list)"
    ]
    assert workshop.codes({"units/x.yaml": "", "units/y.pxu": "id: a\nflags: simple\ncommand: true\n"}) == []


def test_list_as_text_in_a_yaml_template(workshop: Workshop) -> None:
    """A template has the lists of its instances."""
    text = (
        "id: r\nplugin: resource\ncommand: 'true'\n---\n"
        "unit: template\ntemplate-resource: r\ntemplate-summary: S\nid: 'a-{x}'\nflags: simple\ncommand: 'true'\n"
    )
    assert workshop.codes({"units/x.yaml": text}) == [(9, "PB115")]


def test_codes_are_explained() -> None:
    """Every code has a meaning, a remedy and at least one severity."""
    from plainbox.units import Code
    from plainbox.units.checks.codes import CODES

    assert list(CODES) == list(Code)
    for explanation in CODES.values():
        assert explanation.severities
        assert explanation.meaning.endswith(".")
        assert explanation.remedy.endswith(".")
        assert bool(explanation.bad) == bool(explanation.good)

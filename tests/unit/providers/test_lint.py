# SPDX-License-Identifier: Apache-2.0
"""What is found in a provider, and whose findings these are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from linting import Workshop

from plainbox import dirs
from plainbox.providers import Catalogue
from plainbox.providers.lint import format_issue, lint
from plainbox.units import Code, Issue, Origin, Severity

BAD = "id: a\nflags: simpel\nplugin: shell\ncommand: true\ndepends: b\nsummary: " + "x" * 100 + "\n"


class TestWhatCannotBeRead:
    def test_syntax(self, workshop: Workshop) -> None:
        """A bad line is an error with its place; the other records count."""
        assert workshop.codes("id a\nplugin: shell\n\nid: b\nplugin: shell\ncommand: true\n") == [(1, "PB001")]

    def test_yaml(self, workshop: Workshop) -> None:
        """What is not YAML is an error too."""
        assert workshop.codes({"units/x.yaml": "id: a\nplugin: [\n"})[0][1] == "PB001"

    @pytest.mark.parametrize("unit", ["unit: jop\nid: a", "plugin: shell\ncommand: true", "id: a::b\nplugin: shell"])
    def test_no_unit(self, workshop: Workshop, unit: str) -> None:
        """A record of no known kind, without an id, or with one that cannot be one, is an error."""
        assert [code for _, code in workshop.codes(unit)] == ["PB002"]

    def test_unreadable(self, workshop: Workshop) -> None:
        """A file that is no file is an error without a line."""
        base = workshop.provider("")
        os.mkfifo(base / "units" / "pipe.pxu")
        assert (None, "PB003") in workshop.codes("")


class TestWhose:
    def test_only_the_linted_provider(self, workshop: Workshop) -> None:
        """Other providers lend their units and keep their findings."""
        other = workshop.provider(f"{BAD}\nid: b\nflags: simple\ncommand: true\n", "com.example.other:other")
        assert workshop.codes("id: x\nflags: simple\ncommand: true\ndepends: com.example.other::b\n", other) == []

    def test_several(self, workshop: Workshop) -> None:
        """Several providers can be linted at once."""
        places = [workshop.provider(BAD), workshop.provider(BAD, "com.example.other:other")]
        catalogue = Catalogue.load(places, installed=False)
        sources = {issue.origin.source for issue in lint(catalogue.providers[:2], catalogue).issues if issue.origin}
        assert sources == {str(place / "units" / "x.pxu") for place in places}

    def test_nothing(self, workshop: Workshop) -> None:
        """An empty provider is no finding."""
        assert workshop.codes({"data/text": ""}) == []


class TestReport:
    def test_order(self, workshop: Workshop) -> None:
        """Findings are sorted by file and line."""
        found = workshop.codes({"units/b.pxu": BAD, "units/a.pxu": BAD.replace("id: a", "id: c")})
        assert found == [(2, "PB109"), (5, "PB201"), (6, "PB113")] * 2

    def test_counts(self, workshop: Workshop) -> None:
        """Errors fail, warnings fail when told to be strict, advice never does."""
        report = workshop.report(BAD)
        assert [report.count(severity) for severity in Severity] == [1, 2, 0]
        assert report.failed(strict=False)
        report = report.without(lambda issue: issue.severity is Severity.ERROR)
        assert (report.failed(strict=False), report.failed(strict=True)) == (False, True)
        assert report.silenced == 1
        report = report.only(lambda issue: issue.code is Code.DEPRECATED)
        assert (report.issues, report.silenced, report.failed(strict=True)) == ((), 0, False)

    def test_format(self, tmp_path: Path) -> None:
        """A finding is one line, with a path relative to the base when it is inside."""
        origin = Origin(str(tmp_path / "units" / "x.pxu"), 7)
        issue = Issue(Code.WRONG, Severity.ERROR, "no such plugin", "a::b", "plugin", origin, "write shell")
        text = "PB102 error: a::b: field 'plugin': no such plugin (write shell)"
        assert format_issue(issue, tmp_path) == f"units/x.pxu:7: {text}"
        assert format_issue(issue, tmp_path / "elsewhere") == f"{origin.source}:7: {text}"
        assert format_issue(issue) == f"{origin.source}:7: {text}"
        assert format_issue(Issue(Code.WRONG, Severity.ERROR, "bad")) == "PB102 error: bad"


@pytest.mark.parametrize("name", sorted(path.name for path in dirs.bundled_providers().iterdir() if path.is_dir()))
def test_bundled_providers_are_clean(name: str) -> None:
    """Nothing is wrong with what comes with Plainbox."""
    catalogue = Catalogue.load([dirs.bundled_providers() / name], installed=False)
    assert [format_issue(issue) for issue in lint(catalogue.providers[:1], catalogue).issues] == []

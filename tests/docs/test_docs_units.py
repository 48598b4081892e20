# SPDX-License-Identifier: Apache-2.0
"""The pages about units: examples that work, and manual pages that leave nothing out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agreement import documents, schema_errors
from docs_pages import DOCS, PageFile, read_page
from reading import Reader

from plainbox.cli.main import COMMANDS
from plainbox.units import KINDS, Severity
from plainbox.units.job import FLAGS
from plainbox.units.translation import difference

PAGES = sorted(path for path in (DOCS / "reference" / "units").glob("*.md") if path.name != "index.md")


def test_every_kind_has_a_page() -> None:
    """The pages are as many as the kinds."""
    assert len(PAGES) == len(KINDS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_examples_are_good_and_mean_the_same(path: Path, tmp_path: Path) -> None:
    """The example of a page is without a fault in both syntaxes, is of its kind, and each is a translation of the other."""
    read = Reader(tmp_path)
    pxu, yaml = [step for step in read_page(path).steps if isinstance(step, PageFile)]
    (before, problems), (after, more) = read(pxu.text, pxu.path), read(yaml.text, yaml.path)
    assert problems + more == []
    for one, other in zip(before, after, strict=True):
        assert difference(one, other) is None
        assert f"{{unit-fields}} {one.kind}\n" in path.read_text(encoding="utf-8")
        assert [issue for issue in (*one.issues, *other.issues) if issue.severity is not Severity.ADVICE] == []
    assert [error for document in documents(yaml.text) for error in schema_errors(document)] == []


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manual pages, built as ``make docs`` builds them; a warning fails."""
    out = tmp_path_factory.mktemp("man")
    # Alone, as the pages that they are: all the others would take ten times as long.
    sources = out / "docs"
    shutil.copytree(DOCS / "man", sources / "man")
    shutil.copytree(DOCS / "_ext", sources / "_ext")
    shutil.copy(DOCS / "conf.py", sources)
    (sources / "index.md").write_text("# Manual pages\n\n```{toctree}\nman/plainbox\nman/plainbox-unit\n```\n")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "man", str(sources), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


def plain(path: Path) -> str:
    """Return the text of a manual page without what says how it looks."""
    text = re.sub(r"\\f[BIRP]|\\&|\\%|\\fP", "", path.read_text(encoding="utf-8"))
    return text.replace(r"\-", "-").replace(r"\(aq", "'")


def test_the_manual_of_units_names_every_kind_and_field(manual: Path) -> None:
    """Each kind has a section, and it each of its fields with its names; each flag is there."""
    sections = dict(
        re.findall(r'^\.SH "?([^"\n]+)"?\n(.*?)(?=^\.SH|\Z)', plain(manual / "plainbox-unit.5"), re.M | re.S)
    )
    for kind, cls in KINDS.items():
        section = sections[kind.upper()]
        for field in cls.fields.values():
            names = [field.key, f"_{field.key}"] if field.translatable else [field.key]
            assert f"\n{', '.join(names)} (" in section
    for flag in FLAGS:
        assert f"\n{flag}\n" in sections["FLAGS OF JOBS"]


def test_the_manual_of_the_command_names_every_command(manual: Path) -> None:
    """Each command is there."""
    text = plain(manual / "plainbox.1")
    for command in COMMANDS:
        assert f"\n{command}\n" in text

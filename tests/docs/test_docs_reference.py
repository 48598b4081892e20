# SPDX-License-Identifier: Apache-2.0
"""The reference says what the code says."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from docs_pages import DOCS, ROOT

from plainbox import errors
from plainbox.cli.main import COMMANDS
from plainbox.session import SessionStorage
from plainbox.units import KINDS, Code

sys.path.insert(0, str(DOCS / "_ext"))
tables = importlib.import_module("reference_tables")

REFERENCE = DOCS / "reference"


def read(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "plainbox").rglob("*.py")):
        if "bundled" not in path.parts:
            yield path, path.read_text(encoding="utf-8")


# -- made from the code


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_on_the_page(kind: str) -> None:
    """Each kind of unit has a page with its table, and the table has each of its fields with a meaning."""
    pages = [
        page for page in (REFERENCE / "units").glob("*.md") if f"```{{unit-fields}} {kind}\n" in page.read_text("utf-8")
    ]
    assert len(pages) == 1
    rows = [line for line in tables.unit_fields(kind).splitlines() if line.startswith("| `")]
    assert len(rows) == len(KINDS[kind].fields)
    for row, (key, field) in zip(rows, KINDS[kind].fields.items(), strict=True):
        assert row.startswith(f"| `{key}`")
        assert field.doc.split()[0] in row


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_on_the_page(command: str) -> None:
    """The page has a section for each command, with the arguments that ``--help`` shows."""
    assert f"## {command}\n\n```{{command-line}} {command}\n" in read("command-line")
    text = tables.command_line(command).replace("\\|", "|")
    for parser in tables.parsers(command):
        words = parser.prog.split()[1:]
        shown = subprocess.run(
            [sys.executable, "-m", "plainbox.cli.main", *words, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown):
            assert option in (*("-h", "--help"), *re.findall(r"--?[a-z][a-z-]*", text)), f"{parser.prog} {option}"


def test_every_issue_code_has_a_meaning() -> None:
    """The table of issue codes has a row for each code."""
    rows = [line for line in tables.issue_codes().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [str(code) for code in Code]


def test_tables_have_one_shape() -> None:
    """Nothing in the code breaks a row of a table: all have as many cells as the header."""
    for text in (tables.issue_codes(), tables.outcomes(), tables.job_flags(), *map(tables.unit_fields, KINDS)):
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in text.splitlines()}
        assert len(cells) == 1, text


# -- written by hand


def test_exit_codes() -> None:
    """The page and the README name the exit codes of all errors and of the command line, and no others."""
    from plainbox import streams
    from plainbox.cli import running, stopping

    known = {
        error.exit_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")
    }
    for module in (streams, running, stopping):
        known |= {value for name, value in vars(module).items() if name.startswith("EXIT_")}
    known |= {0, 1, *stopping._EXIT_CODES.values()}
    page = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", read("exit-codes"), re.MULTILINE)}
    assert page == known
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([0-9, ]+) \|", readme, re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == known


def test_environment_variables() -> None:
    """The page names the variables of our own that the code reads or sets, and no others."""
    pattern = re.compile(r"[\"'`](PLAINBOX_[A-Z_]+|CHECKBOX_[A-Z_]+|PROVIDERPATH)[\"'`]")
    known = {name for _, text in sources() for name in pattern.findall(text)}
    # The beginning of the names of all settings, which the page shows with their parts.
    known = {f"{name}SECTION__KEY" if name == "PLAINBOX_CONF_" else name for name in known}
    assert set(pattern.findall(read("environment"))) == known


def test_export_options() -> None:
    """Each option of an exporter that the page names is one, and each that has an effect is named."""
    page = read("command-line")
    rows = dict(re.findall(r"^\| `([a-z]+)` \|(.*)\|$", page, re.MULTILINE))
    for entry_point in entry_points(group="plainbox.exporters"):
        named = set(re.findall(r"`([a-z-]+)`", rows[entry_point.name]))
        assert named <= set(entry_point.load().supported_option_list), entry_point.name


def test_stored_keys(tmp_path: Path) -> None:
    """Every kind of record and every key that a run leaves in its journal is on the page."""
    units = tmp_path / "demo" / "units"
    units.mkdir(parents=True)
    (tmp_path / "demo" / "demo.provider").write_text(
        "[PlainBox Provider]\nname = org.example:demo\nversion = 1\nrelocatable = True\n"
    )
    (units / "units.pxu").write_text(
        "id: a\nplugin: resource\ncommand: echo 'name: x'\n\n"
        "unit: template\ntemplate-resource: a\nid: t-{name}\nflags: simple\ncommand: echo {name}; exit 1\n\n"
        "id: s\nflags: simple\nrequires: a.name == 'y'\ncommand: true\n\n"
        "unit: test plan\nid: p\nname: P\nbootstrap_include: a\ninclude: .*\n"
    )
    subprocess.run(
        [sys.executable, "-m", "plainbox.cli.main", "run", "-q", "--provider", "demo", "p"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PLAINBOX_SESSION_REPO": str(tmp_path / "sessions")},
        capture_output=True,
        check=False,
    )
    [location] = (tmp_path / "sessions").iterdir()
    page = read("storage")
    for record in SessionStorage(location).records():
        assert f"| `{record['t']}` |" in page
        keys = set(record) - {"t"}
        for key in ("meta", "head"):
            keys |= set(record.get(key, {}))
        for name in ("jobs", "units"):
            keys |= {key for entry in record.get(name, {}).values() for key in entry}
        for _, _, result in record.get("res", []):
            keys |= set(result) | set(result.get("log", {}))
        for attempt in record.get("meta", {}).get("running", {}).values():
            keys |= set(attempt)
        missing = {key for key in keys if f"`{key}`" not in page}
        assert not missing, f"{record['t']}: {missing}"


def test_layers() -> None:
    """The layers that the page shows are those that the check of the imports enforces, less rooms without inhabitants."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    enforced = []
    for layer in contract["contracts"][0]["layers"]:
        rooms = {room for room in re.findall(r"plainbox\.(\w+)", layer) if importlib.util.find_spec(f"plainbox.{room}")}
        if rooms:
            enforced.append(rooms)
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    block = page.partition("## Who may know whom")[2].split("```")[1].removeprefix("text\n")
    assert [{room.strip() for room in line.split("|")} for line in block.strip().splitlines()] == enforced


# -- all pages


def test_pages_speak_of_the_project_alone() -> None:
    """No page names a path of the machine that it was written on, or a package registry."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *(ROOT / "changes").glob("*.md")]
    for path in pages:
        found = re.search(r"/root/|/srv/|https?://", path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found}"


def test_pages_that_are_mentioned_exist() -> None:
    """Every file of the repository that the README and CONTRIBUTING name is there."""
    for name in ("README.md", "CONTRIBUTING.md"):
        for path in re.findall(r"`((?:docs|plainbox|tests|changes|\.ci)/[\w./-]*)`", (ROOT / name).read_text("utf-8")):
            assert path == "docs/_build/html" or (ROOT / path).exists(), path

# SPDX-License-Identifier: Apache-2.0
"""The tutorial provider: what the tutorial builds, whole and sound, and there only for whoever names it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plainbox.providers import Catalogue
from plainbox.providers.lint import lint
from plainbox.runner import Selection, SessionRun
from plainbox.session import SessionStorageRepository
from plainbox.units import JobDefinition, SetupJobDefinition
from plainbox.units.job import PLUGINS

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "providers" / "tutorial"
sys.path.insert(0, str(ROOT / "tests" / "docs"))

from docs_pages import PageFile, read_page  # noqa: E402 - the folder of the tests of the documentation


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue.load([TUTORIAL], installed=False)


def test_the_page_builds_the_provider() -> None:
    """Every file that the tutorial has its reader write is in the provider, word for word, and no file is missing."""
    page = read_page(ROOT / "docs" / "tutorial" / "first-provider.md")
    written = {step.path.removeprefix("folders/"): step.text for step in page.steps if isinstance(step, PageFile)}
    del written["folders.provider"], written["units/typo.yaml"]
    there = {
        str(path.relative_to(TUTORIAL)): path.read_text()
        for folder in ("units", "bin", "python")
        for path in (TUTORIAL / folder).iterdir()
    }
    assert written == there


def test_it_is_clean(catalogue: Catalogue) -> None:
    """Lint finds nothing in it, not even advice."""
    assert [str(issue) for issue in lint(catalogue.named, catalogue).issues] == []


def test_each_kind_of_job(catalogue: Catalogue) -> None:
    """It has a job of each plugin, but for the deprecated one, and a setup job."""
    plugins = {job.plugin for job in catalogue.of_kind(JobDefinition).values() if job.provider in catalogue.named}
    assert plugins == set(PLUGINS) - {"user-verify"}
    assert catalogue.of_kind(SetupJobDefinition)


def test_it_is_not_there_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being named it adds nothing; its name is enough, unless something here has it."""
    monkeypatch.chdir(tmp_path)
    assert "org.plainbox.tutorial:tutorial" not in [
        provider.name for provider in Catalogue.load(installed=False).providers
    ]
    [named] = Catalogue.load([Path("tutorial")], installed=False).named
    assert named.name == "org.plainbox.tutorial:tutorial"


def test_what_needs_nobody(catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The automated plan comes to what the tutorial says, on any machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    selection = Selection(plan_id="org.plainbox.tutorial::automated")
    with SessionRun.start(catalogue, selection, repository=SessionStorageRepository(tmp_path / "sessions")) as run:
        assert run.go_on()
        outcomes = {
            job.id.partition("::")[2]: run.state.job_state_map[job.id].result.outcome
            for job in run.jobs
            if job.provider in catalogue.named
        }
    assert outcomes == {
        **dict.fromkeys(
            ("scratch", "folder", "home", "list-tmp", "list-usr", "write", "note", "space", "entries"), "pass"
        ),
        "archive": "skipped-resource",
        "stick": "skipped-manifest",
        "explain": "not-supported",
    }

# SPDX-License-Identifier: Apache-2.0
"""What the tests of the runner share: a home of their own, and providers from text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plainbox.providers import Catalogue
from plainbox.providers.definition import from_file
from plainbox.providers.provider import Provider
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("PLAINBOX_SESSION_REPO", raising=False)


@pytest.fixture
def catalogue(tmp_path: Path) -> Callable[..., Catalogue]:
    """Return a function that makes a catalogue of one provider from the text of its units."""

    def make(units: str, name: str = "demo", version: str = "1.0", **files: str) -> Catalogue:
        directory = tmp_path / f"provider-{name}"
        (directory / "units").mkdir(parents=True, exist_ok=True)
        definition = directory / f"{name}.provider"
        definition.write_text(
            f"[PlainBox Provider]\nname = org.example:{name}\nversion = {version}\nrelocatable = True\n"
        )
        (directory / "units" / "units.pxu").write_text(units)
        for relative, text in files.items():
            path = directory / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        return Catalogue([Provider(from_file(definition))])

    return make


class Runs:
    """Starts and reopens runs of one repository, and closes them all."""

    def __init__(self, base: Path) -> None:
        self.repository = SessionStorageRepository(base)
        self.made: list[SessionRun] = []

    def start(self, catalogue: Catalogue, *patterns: str, plan: str | None = None, **options: object) -> SessionRun:
        full = f"org.example::{plan}" if plan is not None else None
        selection = Selection(plan_id=full, patterns=patterns, **options)
        self.made.append(SessionRun.start(catalogue, selection, repository=self.repository))
        return self.made[-1]

    def reopen(self, catalogue: Catalogue, run: SessionRun, **options: bool) -> SessionRun:
        """Give up a run the way a tester does that is killed, and open its session again."""
        self.abandon(run)
        self.made.append(SessionRun.reopen(catalogue, SessionStorage(run.manager.storage.location), **options))
        return self.made[-1]

    def abandon(self, run: SessionRun) -> None:
        """Let go of the storage without writing anything, as the end of the process does."""
        storage = run.manager.storage
        if storage._writer is not None:
            storage._writer.abandon()
            storage._writer = None
        storage._lock.release()
        storage._closed = "abandoned"

    def close(self) -> None:
        for run in self.made:
            run.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path / "sessions")
    yield made
    made.close()


def outcomes(run: SessionRun) -> dict[str, str | None]:
    """The outcome of each job of a run, by its partial id."""
    return {job.id.partition("::")[2]: run.state.job_state_map[job.id].result.outcome for job in run.jobs}


@pytest.fixture(name="outcomes")
def _outcomes() -> Callable[[SessionRun], dict[str, str | None]]:
    return outcomes

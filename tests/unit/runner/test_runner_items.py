# SPDX-License-Identifier: Apache-2.0
"""What jobs tell of themselves, in the sessions that keep it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.session.verification import verify
from plainbox.tasks import JobItem, Measurement, Subtest
from plainbox.testing.files import FaultyFiles

UNITS = """
id: tells
flags: simple
command:
 echo '{"t": "subtest", "name": "left", "outcome": "pass"}' >> "$PLAINBOX_RESULT"
 echo '{"t": "measurement", "name": "volume", "value": 12, "unit": "dB", "lower": 10}' >> "$PLAINBOX_RESULT"
 echo content > kept.txt
 echo '{"t": "attachment", "path": "kept.txt"}' >> "$PLAINBOX_RESULT"

id: function
plugin: function
function: checks:check
args: [1, "1"]

id: silent
flags: simple
command: true
"""
MODULE = (
    "from plainbox.tasks.reporting import measure\ndef check(a, b):\n    print(type(a).__name__, type(b).__name__)\n"
)


@pytest.fixture
def found(catalogue: Callable[..., Catalogue]) -> Catalogue:
    return catalogue(UNITS, **{"python/checks.py": MODULE})


def _run(found: Catalogue, base: Path, *patterns: str) -> tuple[SessionRun, list[JobItem]]:
    heard: list[JobItem] = []
    run = SessionRun.start(found, Selection(patterns=patterns), repository=SessionStorageRepository(base))
    run.runner.on_job_item.connect(lambda job, item: heard.append(item))
    with run:
        assert run.go_on()
    return run, heard


def test_results_keep_it(found: Catalogue, tmp_path: Path) -> None:
    """A result has what its job told, watchers have heard it, and it is there when the session is read again."""
    run, heard = _run(found, tmp_path / "sessions", "tells", "silent")
    assert [type(item) for item in heard[:2]] == [Subtest, Measurement]
    storage = SessionStorage(run.manager.storage.location)
    results = {key: value[1] for key, value in storage.load_tree().results.items()}
    told = results["org.example::tells"]
    assert told["subtests"] == [{"name": "left", "outcome": "pass"}]
    assert told["measurements"] == [{"name": "volume", "value": 12, "unit": "dB", "lower": 10, "verdict": "pass"}]
    [attachment] = told["attachments"]
    content = Path(storage.location, attachment["path"]).read_bytes()
    assert content == b"content\n"
    assert attachment["sha256"] == hashlib.sha256(content).hexdigest()
    assert attachment["size"] == len(content)
    assert not {"subtests", "measurements", "attachments"} & results["org.example::silent"].keys()
    assert verify(storage, deep=True).is_sound


def test_a_function_job(found: Catalogue, tmp_path: Path) -> None:
    """A function of the provider is called in a session, with values of their types."""
    run, _ = _run(found, tmp_path / "sessions", "function")
    result = run.state.job_state_map["org.example::function"].result
    assert (result.outcome, result.comments) == ("pass", None)
    assert result.io_log_as_flat_text == "int str\n"


def test_files_are_durable_before_the_result(found: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attached file, its name and those of its directories are synced before the result that refers to it."""
    files = FaultyFiles()
    monkeypatch.setattr(SessionStorage, "files", property(lambda self: files))
    save = SessionStorage.save_checkpoint

    def saved(storage: SessionStorage, data: bytes) -> None:
        files.steps.append(("save", "tells" if b"kept.txt" in data else ""))
        save(storage, data)

    monkeypatch.setattr(SessionStorage, "save_checkpoint", saved)
    run, _ = _run(found, tmp_path / "sessions", "tells")
    synced = files.names("fdatasync", "fsync", "save")
    begin = synced.index(("fdatasync", "kept.txt"))
    names = [what for _, what in synced[begin:]]
    session = f"{Path(run.manager.storage.location).name}/"
    assert names[2:4] == ["attachments/", session]
    assert names[1].startswith("org.example__tells-")
    assert names.index("tells") > 3


@pytest.mark.parametrize("damage", ["gone", "shorter", "other", "link"])
def test_a_damaged_attachment_is_found(found: Catalogue, tmp_path: Path, damage: str) -> None:
    """Verification tells of an attachment that is not what was recorded."""
    run, _ = _run(found, tmp_path / "sessions", "tells")
    [path] = Path(run.manager.storage.location, "attachments").rglob("kept.txt")
    path.unlink()
    if damage == "shorter":
        path.write_bytes(b"c")
    elif damage == "other":
        path.write_bytes(b"CONTENT\n")
    elif damage == "link":
        path.symlink_to("/etc/passwd")
    storage = SessionStorage(run.manager.storage.location)
    [finding] = verify(storage, deep=True).findings
    kind = {"gone": "missing", "link": "invalid"}.get(damage, "differs")
    assert (finding.kind, finding.jobs) == (f"attachment-{kind}", ("org.example::tells",))

# SPDX-License-Identifier: Apache-2.0
"""Sessions of every format that there ever was are read, and those of others are refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from invariants import check_state, one_look
from samples import main
from scale import Tally
from steps_tester import UNITS
from store_rig import ck

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session import SessionManager
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "sessions"
READABLE = sorted(path.name.removesuffix(".expected.json") for path in SAMPLES.glob("*.expected.json"))
REFUSED = {
    "needs-feature-1": (IncompatibleSessionError, "needs compressed by plainbox 9.9"),
    "version-2": (IncompatibleSessionError, "written as plainbox.session/2 by plainbox 9.9"),
    "other-product": (CorruptedSessionError, "'otherbox.session/1' is not the schema of a session"),
    "checkbox": (CorruptedSessionError, "is not a Plainbox session"),
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The samples, where they may be written to."""
    return Path(shutil.copytree(SAMPLES, tmp_path / "sessions"))


def stored(base: Path, name: str) -> SessionStorage:
    return SessionStorage(base / f"{name}.session", durable=False)


def expected(name: str) -> dict[str, object]:
    value: dict[str, object] = json.loads((SAMPLES / f"{name}.expected.json").read_text(encoding="ascii"))
    return value


def test_every_sample_is_looked_at() -> None:
    """Each directory is either read or refused here."""
    assert {path.name.removesuffix(".session") for path in SAMPLES.glob("*.session")} == {*READABLE, *REFUSED}
    assert len(READABLE) == 4


@pytest.mark.parametrize("name", READABLE)
def test_a_sample_says_what_it_always_said(copied: Path, name: str) -> None:
    """The whole state, its logs and its state in memory included; and it can be gone on with."""
    tally = Tally()
    with one_look():
        storage = stored(copied, name)
        found = storage.load_checkpoint()
        assert json.loads(found) == expected(name)
        check_state(storage.location, found, tally, name)
        manager = SessionManager.load_session(list(UNITS), stored(copied, name))
        assert manager.state is not None
        results = manager.state.job_state_map["org.example::first"].result_history
        assert [result.outcome for result in results] == [results[0].outcome, "pass"]
        storage.save_checkpoint(ck(meta={"title": "went on"}))
        storage.close()
        again = json.loads(stored(copied, name).load_checkpoint())
    assert not tally.violations
    assert again.pop("meta")["title"] == "went on"
    assert again == {key: value for key, value in expected(name).items() if key != "meta"}


def test_what_a_later_version_has_added_survives_a_compaction(copied: Path) -> None:
    """Optional features, keys of the head and keys of a checkpoint that nobody here knows."""
    storage = stored(copied, "later-features-1")
    before = json.loads(storage.load_checkpoint())
    storage.compact()
    storage.close()
    head = stored(copied, "later-features-1").records()[0]
    assert (head["opt"], head["palette"]) == (["colours"], {"of": "a later version"})
    assert json.loads(stored(copied, "later-features-1").load_checkpoint()) == before
    assert before["colours"]["last"] > 0


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_words(copied: Path, name: str) -> None:
    """Loading and saving say why, and change nothing."""
    error, message = REFUSED[name]
    files = {path: path.read_bytes() for path in (copied / f"{name}.session").rglob("*") if path.is_file()}
    for action in (SessionStorage.load_checkpoint, lambda storage: storage.save_checkpoint(ck(meta={"title": "x"}))):
        with pytest.raises(error, match=message):
            action(stored(copied, name))
    lock = copied / f"{name}.session" / "lock"
    assert {path: path.read_bytes() for path in files if path != lock} == {
        path: data for path, data in files.items() if path != lock
    }
    assert not list((copied / f"{name}.session").glob("*.tmp"))


def test_all_samples_are_listed(copied: Path) -> None:
    """A session that cannot be read is listed like the others."""
    listed = {storage.id for storage in SessionStorageRepository(copied)}
    assert listed == {*READABLE, *REFUSED}


def test_samples_can_be_made_again(tmp_path: Path) -> None:
    """The program that made them works, for the next format."""
    main(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        path.name for path in SAMPLES.iterdir() if path.name != "README.md"
    }

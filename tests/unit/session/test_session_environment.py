# SPDX-License-Identifier: Apache-2.0
"""Where a session was opened: what is noted, what differs, and when that is an obstacle."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from plainbox.errors import IncompatibleSessionError
from plainbox.providers import Catalogue
from plainbox.session import SessionManager, SessionState, SessionStorage, SessionStorageRepository
from plainbox.session.environment import EnvironmentSnapshot, stored_snapshots

SNAPSHOT = EnvironmentSnapshot(
    boot_id="b",
    machine_id="m",
    kernel="6.1",
    architecture="x86_64",
    python="3.11.2",
    plainbox="1.0",
    locale="C.UTF-8",
    time_zone="CET/CEST",
    providers={"one": "1.0", "two": "2.0"},
)


def test_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot is of here and now: taken twice it is the same, and it survives being stored."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    taken = EnvironmentSnapshot.taken(Catalogue([]))
    assert taken == EnvironmentSnapshot.taken(Catalogue([]))
    assert taken.locale == "de_DE.UTF-8"
    assert all((taken.boot_id, taken.kernel, taken.architecture, taken.python, taken.plainbox, taken.time_zone))
    assert EnvironmentSnapshot.of_stored(json.loads(json.dumps(taken.as_dict()))) == taken


def test_machine_id_stays_here() -> None:
    """What identifies the machine to everybody is not stored, only a digest of it."""
    path = Path("/etc/machine-id")
    number = path.read_text().strip() if path.exists() else ""
    taken = EnvironmentSnapshot.taken(Catalogue([]))
    assert taken.machine_id is None or len(taken.machine_id) == 16
    assert not number or number not in json.dumps(taken.as_dict())


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, {}),
        ({"kernel": "6.2", "locale": "C"}, {"kernel": ("6.1", "6.2"), "locale": ("C.UTF-8", "C")}),
        ({"providers": {"one": "1.1", "two": "2.0"}}, {"providers.one": ("1.0", "1.1")}),
        ({"providers": {"two": "2.0", "new": "3"}}, {"providers.new": (None, "3"), "providers.one": ("1.0", None)}),
        # What only one of the two knows says nothing.
        ({"machine_id": None, "providers": None}, {}),
    ],
)
def test_differences(changes: dict, differences: dict) -> None:
    """What is another one is named by its key, each provider on its own."""
    assert SNAPSHOT.diff(attrs.evolve(SNAPSHOT, **changes)) == differences


@pytest.mark.parametrize("stored", [None, [], "x", {"kernel": 5, "providers": ["a"]}, {"providers": {"a": 1}}])
def test_nonsense(stored: object) -> None:
    """Whatever stands in a journal in place of a snapshot is not known, and no error."""
    assert EnvironmentSnapshot.of_stored(stored) == EnvironmentSnapshot()


def stored_session(base: Path) -> SessionStorage:
    manager = SessionManager.create_with_state(SessionState([]), SessionStorageRepository(base))
    manager.storage.environment = SNAPSHOT.as_dict()
    manager.checkpoint()
    manager.close()
    [storage] = SessionStorageRepository(base)
    return storage


@pytest.mark.parametrize("key", ["machine_id", "kernel", "architecture", "python", "plainbox", "locale", "time_zone"])
def test_strict(tmp_path: Path, key: str) -> None:
    """A strict resume names what differs and touches nothing; any other goes on, and the journal has both snapshots."""
    storage = stored_session(tmp_path)
    other = attrs.evolve(SNAPSHOT, **{key: "other"})
    storage.environment = other.as_dict()
    with pytest.raises(IncompatibleSessionError, match=f"{key}: .* -> other"):
        SessionManager.load_session([], storage, flags=["strict-environment"])
    with SessionManager.load_session([], storage) as manager:
        assert manager.state is not None
        manager.state.metadata.title = "gone on"
        manager.checkpoint()
    assert stored_snapshots(storage.records()) == [SNAPSHOT, other]


def test_opening_without_snapshot(tmp_path: Path) -> None:
    """An opening that tells no environment, such as a compaction, hides none of those before it."""
    storage = stored_session(tmp_path)
    storage.compact()
    storage.close()
    storage = SessionStorage(storage.location)
    assert stored_snapshots(storage.records()) == [SNAPSHOT]
    storage.environment = attrs.evolve(SNAPSHOT, kernel="other").as_dict()
    with pytest.raises(IncompatibleSessionError, match="kernel"):
        SessionManager.load_session([], storage, flags=["strict-environment"])


def test_strict_without_a_difference(tmp_path: Path) -> None:
    """A strict resume goes on where the session was opened last, also in another boot of the machine."""
    storage = stored_session(tmp_path)
    for boot in ("b", "other"):
        storage.environment = attrs.evolve(SNAPSHOT, boot_id=boot).as_dict()
        SessionManager.load_session([], storage, flags=iter(["strict-environment"])).close()
        storage = SessionStorage(storage.location)

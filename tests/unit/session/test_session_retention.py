# SPDX-License-Identifier: Apache-2.0
"""What is kept and what goes: the decision, and its carrying out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from store_rig import ck, full, journal_of

from plainbox.config import Settings
from plainbox.session.facts import SessionFacts, SessionStanding, facts_of
from plainbox.session.lock import LockOwner
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.retention import Removal, Retention, carry_out, decide, remove_session, tidy
from plainbox.session.storage import SessionStorage

NOW = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def repository(tmp_path: Path) -> SessionStorageRepository:
    return SessionStorageRepository(tmp_path / "sessions")


def known(name: str, age_days: float | None, state: str = "complete", *, used: bool = False) -> SessionFacts:
    created = None if age_days is None else NOW - age_days * DAY
    owner = LockOwner(pid=1) if used else None
    return SessionFacts(SessionStorage(f"/nowhere/{name}.session"), SessionStanding(state), created, owner=owner)


def gone(sessions: list[SessionFacts], rule: Retention, now: float = NOW) -> set[str]:
    return {verdict.facts.id for verdict in decide(sessions, rule, now) if verdict.remove}


def stored(repository: SessionStorageRepository, *flags: str) -> SessionStorage:
    storage = SessionStorage.create(repository.location)
    storage.save_checkpoint(full(meta={"title": "t", "flags": list(flags)}))
    storage.save_checkpoint(ck(res=[["a", 1, {"outcome": "pass"}], ["b", 1, {"outcome": "fail"}]]))
    storage.unlock()
    return storage


def damage(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class TestDeciding:
    def test_without_a_rule(self) -> None:
        """Nothing goes by itself, however old."""
        assert gone([known("a", 9999)], Retention()) == set()
        assert not Retention.of(Settings()).removes

    def test_number(self) -> None:
        """The newest stay, whatever the order in which they are given."""
        sessions = [known("b", 2), known("d", 4), known("a", 1), known("c", 3)]
        assert gone(sessions, Retention(keep=2)) == {"c", "d"}
        assert gone(sessions, Retention(keep=0)) == {"a", "b", "c", "d"}

    def test_days(self) -> None:
        """The younger ones stay."""
        assert gone([known("a", 29.9), known("b", 30.1)], Retention(keep_days=30)) == {"b"}

    def test_both_rules(self) -> None:
        """A session goes only when neither rule keeps it."""
        sessions = [known("a", 1), known("b", 40), known("c", 50)]
        assert gone(sessions, Retention(keep=2, keep_days=30)) == {"c"}
        assert gone(sessions, Retention(keep=1, keep_days=45)) == {"c"}

    @pytest.mark.parametrize("state", ["incomplete", "stuck", "empty", "unreadable", "running"])
    def test_states_that_stay(self, state: str) -> None:
        """What is not complete stays with a reason, and takes no place of a complete one."""
        sessions = [known("a", 1, state, used=state == "running"), known("b", 2), known("c", 3)]
        first = decide(sessions, Retention(keep=1), NOW)[0]
        assert (first.facts.id, first.remove) == ("a", False)
        assert first.reason
        assert gone(sessions, Retention(keep=1)) == {"c"}

    def test_on_request(self) -> None:
        """Incomplete and unreadable ones go by the same rules when that is asked for; one in use never does."""
        sessions = [known(state, 50, state) for state in ("incomplete", "stuck", "empty", "unreadable")]
        sessions.append(known("used", 50, "incomplete", used=True))
        rule = Retention(keep_days=30, include_incomplete=True)
        assert gone(sessions, rule) == {"incomplete", "stuck", "empty"}
        assert gone(sessions, Retention(keep_days=30, include_unreadable=True)) == {"unreadable"}

    def test_clock_that_jumped(self) -> None:
        """Sessions of a wrong clock stay and take no place: from the future, from 1970, of no known time."""
        odd = [known("future", -3000), known("early", NOW / DAY - 1), known("unknown", None)]
        sessions = [*odd, known("a", 1), known("b", 2)]
        assert gone(sessions, Retention(keep=1, keep_days=0.5)) == {"b"}
        assert gone(sessions, Retention(keep=2)) == set()

    def test_clock_that_was_never_set(self) -> None:
        """Where all times are of 1970 they are as good as any."""
        sessions = [known("a", NOW / DAY - 2), known("b", NOW / DAY - 1)]
        assert gone(sessions, Retention(keep=1), now=5 * DAY) == {"b"}


class TestFacts:
    @pytest.mark.parametrize(
        ("flags", "state"),
        [
            ([], "complete"),
            (["incomplete"], "incomplete"),
            (["setting_up"], "incomplete"),
            (["incomplete", "stuck"], "stuck"),
        ],
    )
    def test_states(self, repository: SessionStorageRepository, flags: list[str], state: str) -> None:
        """The flags say what a session is good for."""
        facts = facts_of(stored(repository, *flags))
        assert (facts.state, facts.title, facts.outcomes) == (state, "t", {"pass": 1, "fail": 1})
        assert facts.disk_bytes >= (facts.journal_bytes or 0) > 0

    def test_summary(self, repository: SessionStorageRepository) -> None:
        """Of a session that was closed in order its last record tells, when all records before it are good."""
        storage = stored(repository)
        again = SessionStorage(storage.location)
        again.save_checkpoint(ck(res=[["c", 1, {"outcome": "pass"}]]))
        assert facts_of(storage).state == "running"
        again.close({"title": "told", "flags": [], "outcomes": {"pass": 2, "fail": 1}})
        told = facts_of(storage)
        assert (told.state, told.title, told.outcomes) == ("complete", "told", {"pass": 2, "fail": 1})
        damage(journal_of(storage))
        assert facts_of(storage).state == "unreadable"

    @pytest.mark.parametrize("change", ["hint", "end", "summary", "later"])
    def test_summary_that_proves_nothing(self, repository: SessionStorageRepository, change: str) -> None:
        """The whole journal is read when the hint is gone, the last record is not the one that it names, or is none."""
        storage = stored(repository)
        again = SessionStorage(storage.location)
        again.save_checkpoint(ck(res=[["c", 1, {"outcome": "pass"}]]))
        again.close({"title": "told", "flags": [], "outcomes": 5 if change == "summary" else {"pass": 77}})
        if change == "hint":
            Path(storage.location, "head.json").unlink()
        elif change == "end":
            with open(journal_of(storage), "ab") as file:
                file.write(b"PBJ1")
        elif change == "later":
            later = SessionStorage(storage.location)
            later.save_checkpoint(ck(meta={"title": "later"}))
            later.unlock()
        assert facts_of(storage).outcomes == {"pass": 2, "fail": 1}


class TestCarryingOut:
    def test_removal(self, repository: SessionStorageRepository) -> None:
        """The space that came free is told."""
        storage = stored(repository)
        size = facts_of(storage).disk_bytes
        assert remove_session(SessionStorage(storage.location)) == Removal(storage.id, freed_bytes=size)
        assert os.listdir(repository.location) == []

    @pytest.mark.parametrize("lock", ["link", "directory", "nothing"])
    def test_damaged_session(self, repository: SessionStorageRepository, lock: str) -> None:
        """What is in a session does not keep it from being removed, not even what is in the place of its lock."""
        storage = stored(repository)
        journal_of(storage).write_bytes(b"\0" * 100)
        place = Path(storage.location, "lock")
        place.unlink()
        {"link": lambda: place.symlink_to("/etc/passwd"), "directory": place.mkdir, "nothing": lambda: None}[lock]()
        tree = Path(storage.location, "session-share", "kept")
        tree.mkdir(parents=True)
        (tree / "file").touch()
        tree.chmod(0o500)
        assert remove_session(SessionStorage(storage.location)).refused is None
        assert os.listdir(repository.location) == []

    def test_session_in_use(self, repository: SessionStorageRepository) -> None:
        """A session that is used since the decision stays."""
        storage, other = stored(repository), stored(repository)
        verdicts = decide(map(facts_of, repository), Retention(keep=0), time.time() + 1)
        storage.lock()
        removals = {removal.id: removal.refused for removal in carry_out(verdicts)}
        assert removals[other.id] is None
        assert "running" in str(removals[storage.id])
        assert os.path.isdir(storage.location)
        storage.unlock()

    def test_session_that_was_damaged_since(self, repository: SessionStorageRepository) -> None:
        """Everything is read anew before a session goes: what cannot be read any more stays."""
        storage = stored(repository)
        verdicts = decide(map(facts_of, repository), Retention(keep=0), time.time() + 1)
        journal_of(storage).write_bytes(b"x")
        [removal] = carry_out(verdicts)
        assert "unreadable" in str(removal.refused)
        assert os.path.isdir(storage.location)


class TestTidying:
    def test_settings(self, repository: SessionStorageRepository) -> None:
        """When settings say so the oldest go; without them nothing is even looked at."""
        old, new = stored(repository), stored(repository)
        assert tidy(repository, Settings()) == []
        assert [removal.id for removal in tidy(repository, Settings(keep=1))] == [old.id]
        assert [storage.id for storage in repository] == [new.id]

    def test_trouble(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Trouble is told and costs nobody an exit code."""
        (tmp_path / "file").touch()
        assert tidy(SessionStorageRepository(tmp_path / "file"), Settings(keep=1)) == []
        assert "not removed" in caplog.text

# SPDX-License-Identifier: Apache-2.0
"""Keeping, carrying and clearing away stored sessions, as somebody has it who does that from a shell."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_support import SLOW_PLAN, interrupted, read_only, start_slow

from plainbox.session.storage import SessionStorage


@pytest.fixture
def directory(provider) -> Path:
    return provider(SLOW_PLAN)


def complete(plainbox, directory: Path, title: str = "Complete") -> str:
    plainbox.run("run", "-q", "--no-input", "--provider", directory, "--title", title, "ok")
    return str(plainbox.json("session", "list")["sessions"][0]["id"])


@pytest.fixture
def running(plainbox, directory: Path, tmp_path: Path) -> Iterator[str]:
    """The id of a session that runs in another process."""
    process = start_slow(plainbox, directory, tmp_path / "begun-running")
    try:
        yield str(plainbox.json("session", "list", "--state", "running")["sessions"][0]["id"])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def foreign_things(sessions: Path) -> None:
    """Put into the repository what others may leave there."""
    sessions.mkdir(parents=True, exist_ok=True)
    (sessions / "notes.txt").write_text("mine")
    (sessions / "file.session").write_text("no directory")
    (sessions / "link.session").symlink_to("/etc")
    (sessions / "dead.session").symlink_to("/no/where")
    (sessions / "checkbox.session").mkdir()
    (sessions / "checkbox.session" / "session").write_bytes(b"\x1f\x8b")
    (sessions / "later.session").mkdir()
    (sessions / "later.session" / "journal-000001.pbj").write_bytes(b"PBJ2 0 of another version\n")
    (sessions / "pipe.session").mkdir()
    os.mkfifo(sessions / "pipe.session" / "journal-000001.pbj")


def states(plainbox) -> dict[str, str]:
    return {item["id"]: item["state"] for item in plainbox.json("session", "list")["sessions"]}


def on_a_terminal(plainbox, answer: str, *words: str) -> tuple[int, str]:
    """Run a command on a terminal, type an answer, and return the exit code and what was shown."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve("/proc/self/exe", plainbox.command(*words), plainbox.environment)
    os.write(terminal, answer.encode() + b"\n")
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def test_list(plainbox, directory: Path, tmp_path: Path) -> None:
    """Whatever lies in the repository, each session is a row with its state, its age and its size, or says why not."""
    first = complete(plainbox, directory, "First one")
    second = interrupted(plainbox, directory, tmp_path)
    foreign_things(plainbox.sessions)
    expected = {first: "complete", second: "incomplete"}
    assert states(plainbox) == {**expected, "checkbox": "unreadable", "later": "unreadable", "pipe": "unreadable"}
    lines = plainbox.run("session", "list").stdout.splitlines()
    assert lines[0].startswith(f"{second}  incomplete  1 pass")
    assert lines[1].startswith(f"{first}  complete")
    assert lines[1].endswith("First one")
    assert "KiB" in lines[1]
    reasons = {item["id"]: item["reason"] for item in plainbox.json("session", "list")["sessions"]}
    assert "another program" in reasons["checkbox"]
    assert all(reasons[name] for name in ("later", "pipe"))
    [newest] = plainbox.json("session", "list", "-n", "1")["sessions"]
    assert newest["id"] == second
    [only] = plainbox.run("session", "list", "--state", "complete", "-n", "5").stdout.splitlines()
    assert only.startswith(first)
    assert plainbox.run("session", "list", "--state", "stuck").stdout == ""
    plainbox.run("session", "list", "-n", "0", code=2)


def test_remove_without_a_terminal(plainbox, directory: Path, tmp_path: Path) -> None:
    """Nothing is asked: a complete session goes by its full id, everything else needs --yes."""
    first, second = complete(plainbox, directory), complete(plainbox, directory)
    third = interrupted(plainbox, directory, tmp_path)
    for words in ([third], [first[:-2]], ["pbox-*"], ["--all-complete"], [first, third], []):
        plainbox.run("session", "remove", *words, code=2)
    plainbox.run("session", "remove", "--yes", first, "no-such-session", code=2)
    assert len(states(plainbox)) == 3
    done = plainbox.run("session", "remove", first)
    assert done.stdout.startswith(f"removed {first}  ")
    assert "iB" in done.stdout
    done = plainbox.run("session", "remove", "--yes", "--all-complete", third)
    assert {line.split()[1] for line in done.stdout.splitlines()} == {second, third}
    assert "2 sessions removed" in done.stderr
    assert states(plainbox) == {}
    assert os.listdir(plainbox.sessions) == []


def test_remove_what_cannot_be_read(plainbox, directory: Path) -> None:
    """What is in a session does not matter; what is no session is never touched."""
    kept = complete(plainbox, directory)
    foreign_things(plainbox.sessions)
    plainbox.run("session", "remove", "--yes", "checkbox", "later", plainbox.sessions / "pipe.session")
    assert states(plainbox) == {kept: "complete"}
    for word in ("link", "file", "notes", "../sessions"):
        plainbox.run("session", "remove", "--yes", word, code=2)
    left = {"notes.txt", "file.session", "link.session", "dead.session", f"{kept}.session"}
    assert set(os.listdir(plainbox.sessions)) == left


def test_remove_one_that_runs(plainbox, directory: Path, running: str) -> None:
    """A session in use stays, its owner is named, and the others go."""
    other = complete(plainbox, directory)
    done = plainbox.run("session", "remove", "--yes", running, other, code=3)
    assert "in use by process" in done.stderr
    assert done.stdout.split()[1] == other
    assert states(plainbox) == {running: "running"}
    for words in (["archive", running, "--remove"], ["compact", running]):
        assert "in use by process" in plainbox.run("session", *words, code=3).stderr
    done = plainbox.run("session", "gc", "--keep", "0", "--include-incomplete", "--json")
    assert "in use" in done.stdout
    assert states(plainbox) == {running: "running"}


def test_remove_on_a_terminal(plainbox, directory: Path, tmp_path: Path) -> None:
    """A person sees what is to go, above all what is not complete, and is asked."""
    first = complete(plainbox, directory)
    second = interrupted(plainbox, directory, tmp_path)
    for answer in ("n", ""):
        code, shown = on_a_terminal(plainbox, answer, "session", "remove", first, second)
        assert (code, "Nothing was removed" in shown) == (0, True)
        assert f"{second}  incomplete: Plan, 1 pass" in shown
        assert "1 of them is not complete" in shown
    assert len(states(plainbox)) == 2
    code, shown = on_a_terminal(plainbox, "y", "session", "remove", "pbox-*")
    assert (code, states(plainbox)) == (0, {})


def test_gc(plainbox, directory: Path, tmp_path: Path) -> None:
    """Old complete sessions go, by the settings or the options; the others stay and say why."""
    old, middle, new = (complete(plainbox, directory) for _ in range(3))
    stays = interrupted(plainbox, directory, tmp_path)
    foreign_things(plainbox.sessions)
    leftover = plainbox.sessions / ".removed-x"
    leftover.mkdir()
    os.utime(leftover, (1, 1))
    before = states(plainbox)
    assert "No rule" in plainbox.run("session", "gc", "--dry-run").stderr
    done = plainbox.run("session", "gc", "--keep", "1", "--dry-run")
    assert "2 sessions would go" in done.stderr
    assert states(plainbox) == before
    assert leftover.exists()
    configuration = plainbox.home / ".config"
    configuration.mkdir()
    (configuration / "plainbox.conf").write_text("[sessions]\nkeep = 2\n")
    done = plainbox.json("session", "gc")
    assert [item["id"] for item in done["removed"]] == [old]
    assert done["leftovers"] == 1
    assert {"checkbox", "later", "pipe", stays, middle, new} == {item["id"] for item in done["kept"]}
    assert not leftover.exists()
    assert plainbox.run("session", "gc", "--keep-days", "1").stdout.count("stays") == 4
    plainbox.run("session", "gc", "--keep", "0", "--include-incomplete")
    assert states(plainbox) == dict.fromkeys(("checkbox", "later", "pipe"), "unreadable")
    (configuration / "plainbox.conf").write_text("[sessions]\nkeep = some\n")
    assert "plainbox.conf:2" in plainbox.run("session", "gc", code=2).stderr


def test_archive_and_restore(plainbox, directory: Path, tmp_path: Path) -> None:
    """An interrupted session can be carried away and back, and goes on where it was."""
    session = interrupted(plainbox, directory, tmp_path)
    target = tmp_path / "kept.tar.gz"
    done = plainbox.run("session", "archive", "-o", target, "--remove")
    assert done.stdout == f"{target}\n"
    assert states(plainbox) == {}
    assert plainbox.run("session", "restore", target).stdout == f"{session}\n"
    plainbox.run("session", "restore", target, code=2)
    plainbox.run("session", "restore", target, "--as", "copy")
    assert states(plainbox) == {session: "incomplete", "copy": "incomplete"}
    plainbox.run("export", "copy", "-f", "json", "-o", tmp_path / "report.json")
    plainbox.run("resume", "--no-input", "copy", code=1)
    assert states(plainbox) == {session: "incomplete", "copy": "complete"}
    assert plainbox.jobs("copy")["org.example::ok"]["outcome"] == "pass"
    plainbox.run("session", "archive", "copy", "-o", target, code=2)
    plainbox.run("session", "archive", "copy", "-o", target, "--force")
    plainbox.run("session", "archive", "copy", "-o", tmp_path)
    assert (tmp_path / "copy.tar.gz").exists()
    (tmp_path / "cut.tar.gz").write_bytes(target.read_bytes()[:-50])
    assert "cut.tar.gz" in plainbox.run("session", "restore", tmp_path / "cut.tar.gz", "--as", "x", code=3).stderr
    assert len(os.listdir(plainbox.sessions)) == 2


def test_compact(plainbox, directory: Path, tmp_path: Path) -> None:
    """The journal becomes shorter, one generation is left, and the session says what it said."""
    session = interrupted(plainbox, directory, tmp_path)
    plainbox.run("resume", "--no-input", code=1)
    before = plainbox.jobs(session)
    done = plainbox.run("session", "compact", session)
    assert done.stdout.startswith(f"{session}  ")
    assert [path.name for path in (plainbox.sessions / f"{session}.session").glob("*.pbj")] == ["journal-000002.pbj"]
    assert plainbox.jobs(session) == before
    assert "as short as it can be" in plainbox.run("session", "compact", session).stdout
    shown = plainbox.json("session", "show", session)
    assert (shown["generation"], [opening["why"] for opening in shown["openings"]]) == (
        2,
        ["create", "resume", "compact"],
    )
    foreign_things(plainbox.sessions)
    done = plainbox.run("session", "compact", "*", code=3)
    assert session in done.stdout
    assert "checkbox" in done.stderr


def test_compact_keeps_what_was_known(plainbox, directory: Path) -> None:
    """A listing is as quick as before, and an environment that changes later is still told."""
    session = complete(plainbox, directory)
    storage = SessionStorage(plainbox.sessions / f"{session}.session")
    summary = storage.closing_summary()
    assert summary is not None
    plainbox.run("session", "compact", session)
    assert storage.closing_summary() == summary
    plainbox.run("session", "compact", session)
    assert storage.closing_summary() == summary
    with SessionStorage(storage.location) as later:
        later.environment = {"kernel": "another"}
        later.note("opened", {}, now=True)
    openings = plainbox.json("session", "show", session)["openings"]
    assert [opening["why"] for opening in openings] == ["create", "compact", "resume"]
    assert list(openings[2]["changed"]) == ["kernel"]


def test_archive_in_its_session(plainbox, directory: Path) -> None:
    """The directory of the session is no place for its archive, also when one is in it."""
    session = complete(plainbox, directory)
    place = plainbox.sessions / f"{session}.session"
    before = sorted(place.rglob("*"))
    for words in ([], ["-o", place / "io-logs"]):
        done = subprocess.run(
            plainbox.command("session", "archive", "--remove", *words),
            env=plainbox.environment,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "in the session itself" in done.stderr) == (2, True), done
    assert sorted(place.rglob("*")) == before


def test_ids_that_are_named_with_their_suffix(plainbox, directory: Path, tmp_path: Path) -> None:
    """A new id may be given as the name of the directory."""
    session = complete(plainbox, directory)
    plainbox.run("session", "archive", session, "-o", tmp_path / "a.tar.gz")
    assert plainbox.run("session", "restore", tmp_path / "a.tar.gz", "--as", "x.session").stdout == "x\n"
    [journal] = (plainbox.sessions / f"{session}.session").glob("*.pbj")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:-2], b"garbage\n", lines[-1]]))
    plainbox.run("session", "salvage", session, "--into", "y.session", code=1)
    assert {"x", "y"} < set(states(plainbox))


#: Command -> what it ends with where the repository may be read and not written.
READ_ONLY = {
    ("session", "list"): 0,
    ("session", "show"): 0,
    ("export", "-f", "json", "-o", "-"): 0,
    ("session", "archive"): 0,
    ("session", "archive", "--remove", "--force"): 3,
    ("session", "remove", "--yes", "*"): 3,
    ("session", "gc", "--keep", "0"): 3,
    ("session", "compact"): 3,
    ("run", "--no-input", "ok"): 3,
}


def test_read_only_repository(plainbox, directory: Path) -> None:
    """What only looks works on a medium that cannot be written, the rest says so in our words."""
    complete(plainbox, directory)
    prefix = read_only(plainbox)
    for words, code in READ_ONLY.items():
        more = ["--provider", str(directory)] if words[0] == "run" else []
        done = subprocess.run(
            [*prefix, *plainbox.command(*words, *more)],
            env=plainbox.environment,
            cwd=plainbox.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (words, done)
        assert "Traceback" not in done.stderr
        if code:
            assert "Read-only" in done.stderr or "Permission" in done.stderr, (words, done)
    assert list(states(plainbox).values()) == ["complete"]


@pytest.mark.parametrize("kind", ["file", "below a file"])
def test_repository_that_is_none(plainbox, directory: Path, tmp_path: Path, kind: str) -> None:
    """Every command ends with 3, says what is wrong with the repository and what to do."""
    (tmp_path / "file").touch()
    place = str(tmp_path / "file") if kind == "file" else str(tmp_path / "file" / "sessions")
    archive = tmp_path / "a.tar.gz"
    complete(plainbox, directory)
    plainbox.run("session", "archive", "-o", archive)
    for words in (
        ["session", "list"],
        ["session", "show"],
        ["session", "remove", "x"],
        ["session", "gc"],
        ["session", "compact"],
        ["session", "archive"],
        ["session", "restore", archive],
        ["export"],
        ["resume"],
        ["run", "--no-input", "--provider", directory, "ok"],
    ):
        done = plainbox.run(*words, code=3, PLAINBOX_SESSION_REPO=place)
        assert f"the session repository {place} cannot be used" in done.stderr, words
        assert "PLAINBOX_SESSION_REPO" in done.stderr

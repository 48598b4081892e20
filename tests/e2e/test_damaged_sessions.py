# SPDX-License-Identifier: Apache-2.0
"""A session is damaged on its disk; the command tells, repairs, and goes on with it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

UNITS = (
    "".join(f"id: job-{number}\nplugin: shell\ncommand: echo output {number}\n\n" for number in range(4))
    + "id: names\nplugin: resource\ncommand: printf 'name: x\\n\\nname: y\\n'\n\n"
    + "unit: template\ntemplate-resource: names\nid: made-{name}\nplugin: shell\ncommand: echo {name}\n\n"
    + "id: last\nplugin: shell\n"
    + 'command: test -e "$MARK" || { touch "$MARK"; kill -KILL $PPID; sleep 20; }\n\n'
    + "unit: test plan\nid: all\n_name: All\nbootstrap_include: names\ninclude:\n job-.*\n made-.*\n last\n"
)


@pytest.fixture
def killed(plainbox, provider, tmp_path: Path) -> Path:
    """The directory of a session that was killed in its last job."""
    directory = provider(UNITS)
    plainbox.run("run", "--no-input", "--provider", directory, "all", code=-9, MARK=str(tmp_path / "mark"))
    [session] = plainbox.sessions.glob("*.session")
    return session


def result_line(session: Path, job: str) -> int:
    lines = (session / "journal-000001.pbj").read_bytes().splitlines()
    return next(number for number, line in enumerate(lines) if b'"res":[["org.example::%b"' % job.encode() in line)


def damage(session: Path, line: int) -> None:
    path = session / "journal-000001.pbj"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"t":"ck"', b'"t":"cK"')
    path.write_bytes(b"".join(lines))


def test_damaged_session_is_repaired_and_finished(plainbox, killed: Path, tmp_path: Path) -> None:
    """Verify names the job, salvage keeps the rest, resume runs what is left and nothing twice."""
    damage(killed, result_line(killed, "job-2"))
    refused = plainbox.run("resume", "--no-input", killed, code=3)
    assert "session verify" in refused.stderr
    assert "session salvage" in refused.stderr

    shown = plainbox.run("session", "verify", code=3)
    assert "org.example::job-2" in shown.stdout
    assert "byte" in shown.stdout
    document = json.loads(plainbox.run("session", "verify", "--json", code=3).stdout)
    assert document["schema"] == "plainbox.session-verification/1"
    assert document["sessions"][0]["state"] == "damaged"

    partial = plainbox.run("session", "show", "--partial")
    assert "damaged" in partial.stderr
    assert "org.example::job-3" in partial.stdout

    planned = json.loads(plainbox.run("session", "salvage", "--dry-run", "--json", code=1).stdout)
    done = json.loads(plainbox.run("session", "salvage", "--json", code=1).stdout)
    assert planned["losses"] == done["losses"]
    assert [loss["job"] for loss in done["losses"] if loss["kind"] == "result"] == ["org.example::job-2"]
    assert "nothing to do" in plainbox.run("session", "salvage").stdout
    assert "good" in plainbox.run("session", "verify", "--deep", "--all").stdout

    plainbox.run("resume", "--no-input", code=1, MARK=str(tmp_path / "mark"))
    jobs = plainbox.jobs()
    assert {job_id.removeprefix("org.example::"): job["outcome"] for job_id, job in jobs.items()} == {
        "names": "pass",
        **{f"job-{number}": "undecided" if number == 2 else "pass" for number in range(4)},
        "made-x": "pass",
        "made-y": "pass",
        "last": "crash",
    }
    assert [len(job["attempts"]) for job in jobs.values()] == [1] * len(jobs)
    assert "good" in plainbox.run("session", "verify", "--deep").stdout


@pytest.mark.parametrize("job", ["names", "made-x"])
def test_every_lost_result_leaves_a_session_to_go_on_with(plainbox, killed: Path, tmp_path: Path, job: str) -> None:
    """Also that of the resource job from which others were made."""
    damage(killed, result_line(killed, job))
    plainbox.run("session", "salvage", code=1)
    plainbox.run("resume", "--no-input", code=1, MARK=str(tmp_path / "mark"))
    outcomes = {job_id.removeprefix("org.example::"): item["outcome"] for job_id, item in plainbox.jobs().items()}
    assert outcomes.pop(job) == "undecided"
    assert outcomes.pop("last") == "crash"
    assert set(outcomes.values()) == {"pass"}
    assert len(outcomes) == 6


CUT_UNITS = (
    "id: found\nplugin: resource\ncommand: printf 'n: 1\\n\\n'; echo looking >&2; sleep 0.3; printf 'n: 3\\n'\n\n"
    'id: killer\nplugin: shell\ncommand: test -e "$MARK" || { touch "$MARK"; kill -KILL $PPID; sleep 20; }\n\n'
    "id: needs\nplugin: shell\nrequires: found.n == '3'\ncommand: true\n\n"
    "unit: template\ntemplate-resource: found\nid: made-{n}\nplugin: shell\ncommand: echo {n}\n\n"
    "unit: test plan\nid: plain\n_name: Plain\ninclude:\n found\n killer\n needs\n\n"
    "unit: test plan\nid: made\n_name: Made\nbootstrap_include: found\ninclude:\n killer\n needs\n made-.*\n"
)


@pytest.mark.parametrize("salvaged", [False, True], ids=["resumed", "salvaged"])
@pytest.mark.parametrize("plan", ["plain", "made"])
@pytest.mark.parametrize("lines", [0, 4], ids=["empty", "first record"])
def test_cut_log_of_a_resource_job(plainbox, provider, tmp_path: Path, plan: str, lines: int, salvaged: bool) -> None:
    """Nothing is decided by what is left of it: the job runs again, and what needs it runs then."""
    mark = str(tmp_path / "mark")
    plainbox.run("run", "--no-input", "--provider", provider(CUT_UNITS), plan, code=-9, MARK=mark)
    [log] = plainbox.sessions.glob("*.session/io-logs/*found*.iolog")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:lines]))
    assert "found" in plainbox.run("session", "verify", code=3).stdout
    if salvaged:
        assert "Go on with" in plainbox.run("session", "salvage", code=1).stderr
        assert "good" in plainbox.run("session", "verify").stdout
    resumed = plainbox.run("resume", "--no-input", code=1, MARK=mark)
    assert "cannot be read" in resumed.stderr
    jobs = {job_id.removeprefix("org.example::"): job for job_id, job in plainbox.jobs().items()}
    assert {name: job["outcome"] for name, job in jobs.items()} == {
        "found": "pass",
        "killer": "crash",
        "needs": "pass",
        **({"made-1": "pass", "made-3": "pass"} if plan == "made" else {}),
    }
    assert len(jobs["found"]["attempts"]) == 3


def test_session_without_its_beginning_can_be_looked_at(plainbox, killed: Path) -> None:
    """With the first dump what was selected is lost; that is said, and the results are there."""
    path = killed / "journal-000001.pbj"
    path.write_bytes(path.read_bytes().replace(b'"t":"full"', b'"t":"fulL"'))
    done = plainbox.run("session", "salvage", code=1)
    assert "not known any more what was to be run" in done.stdout
    assert "session show" in done.stderr
    assert len([job for job in plainbox.jobs().values() if job["outcome"] == "pass"]) == 7


def test_lost_journal_is_said_to_be_lost(plainbox, killed: Path) -> None:
    """Exit 3, in words, and nothing is changed."""
    (killed / "journal-000001.pbj").unlink()
    before = sorted(killed.rglob("*"))
    assert "unreadable" in plainbox.run("session", "verify", killed, code=3).stdout
    assert "nothing can be used" in plainbox.run("session", "salvage", killed, code=3).stdout
    assert sorted(killed.rglob("*")) == before


def test_wrong_words(plainbox, killed: Path) -> None:
    """An id that cannot be one, and --all with a session, are usage errors."""
    damage(killed, result_line(killed, "job-1"))
    assert "cannot be the id" in plainbox.run("session", "salvage", "--into", "../x", code=2).stderr
    plainbox.run("session", "verify", "--all", killed.name, code=2)
    plainbox.run("session", "salvage", "--into", "rescued", code=1)
    assert "good" in plainbox.run("session", "verify", "rescued").stdout
    assert "damaged" in plainbox.run("session", "verify", killed.name, code=3).stdout


def test_session_elsewhere_is_named_by_its_path(plainbox, killed: Path, tmp_path: Path) -> None:
    """What is proposed for one that is not in the repository works, and a copy of what is good goes to the repository."""
    damage(killed, result_line(killed, "job-1"))
    away = tmp_path / "a disk" / killed.name
    away.parent.mkdir()
    killed.rename(away)
    shown = plainbox.run("session", "verify", away, code=3)
    [proposal] = [line for line in shown.stderr.splitlines() if line.startswith("plainbox session salvage --dry-run")]
    words = shlex.split(proposal.partition(" tells ")[0])
    plainbox.run(*words[1:], code=1)
    plainbox.run("session", "salvage", "--into", "rescued.session", away, code=1)
    assert [path.name for path in plainbox.sessions.glob("*.session")] == ["rescued.session"]
    assert "good" in plainbox.run("session", "verify", "rescued", "--deep").stdout
    assert f"'{away}'" in plainbox.run("session", "salvage", away, code=1).stderr


def test_link_to_logs_is_told_with_its_remedy(plainbox, killed: Path, tmp_path: Path) -> None:
    """Neither verify nor salvage sends anybody to the other in vain; with the remedy done the session is good."""
    logs, away = killed / "io-logs", tmp_path / "logs"
    logs.rename(away)
    logs.symlink_to(away)
    shown = plainbox.run("session", "verify", code=3)
    assert "put the directory that it leads to in its place" in shown.stderr
    assert "session salvage" not in shown.stderr
    assert "put the directory that it leads to in its place" in plainbox.run("session", "salvage", code=3).stderr
    logs.unlink()
    away.rename(logs)
    plainbox.run("session", "verify")
    assert "nothing to do" in plainbox.run("session", "salvage").stdout

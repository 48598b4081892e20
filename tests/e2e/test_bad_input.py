# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with what Plainbox is given: one clear message with the place, and everything else still runs."""

from __future__ import annotations

import os
from pathlib import Path

GOOD = "\nid: good\nplugin: shell\ncommand: true\n"
PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"


def outcomes(plainbox) -> dict[str, str]:
    return {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}


def test_missing_provider_directory(plainbox, tmp_path: Path) -> None:
    """A provider directory that is not there ends the command before anything runs."""
    done = plainbox.run("run", "--no-input", "--provider", tmp_path / "nowhere", "plan", code=2)
    assert "no such provider directory" in done.stderr
    assert str(tmp_path / "nowhere") in done.stderr
    assert plainbox.json("session", "list")["sessions"] == []


def test_directory_without_a_provider(plainbox, tmp_path: Path) -> None:
    """A directory that holds no provider is told from one that is not there."""
    done = plainbox.run("list", "jobs", "--provider", tmp_path, code=2)
    assert "no provider in it" in done.stderr


def test_binary_file(plainbox, provider) -> None:
    """A binary file among the units is reported with its name; the other files count."""
    directory = provider(GOOD + PLAN)
    (directory / "units" / "binary.pxu").write_bytes(b"\x7fELF\x02\x01\x00\xff\xfe" * 50)
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/binary.pxu" in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}


def test_unreadable_file(plainbox, provider) -> None:
    """A file that cannot be opened is reported with its name and the reason."""
    directory = provider(GOOD + PLAN)
    (directory / "units" / "gone.pxu").symlink_to(directory / "nothing")
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/gone.pxu: cannot be read: " in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}


def test_syntax_error(plainbox, provider) -> None:
    """A bad line is reported with file and line and takes only its own record with it."""
    directory = provider("id: broken\nplugin: shell\nthis is no field\n" + GOOD + PLAN)
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/units.pxu:3: " in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}


def test_unknown_unit_type(plainbox, provider) -> None:
    """A unit of an unknown kind is reported with file and line and what may have been meant."""
    directory = provider("unit: tst plan\nid: other\n" + GOOD + PLAN)
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/units.pxu:1: unknown unit type 'tst plan'" in done.stderr
    assert "did you mean 'test plan'?" in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}


def test_duplicate_id(plainbox, provider) -> None:
    """Of two jobs with one id the first counts; both places are named."""
    directory = provider(GOOD + "\nid: good\nplugin: shell\ncommand: false\n" + PLAN)
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "duplicate id: job 'org.example::good'" in done.stderr
    assert "units/units.pxu:6-8" in done.stderr
    assert "units/units.pxu:2-4" in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}


def test_dependency_cycle(plainbox, provider) -> None:
    """Jobs in a cycle, and those that need them, are skipped with the reason; the others run."""
    directory = provider(
        "".join(
            f"\nid: {name}\nplugin: shell\ncommand: true\ndepends: {needs}\n"
            for name, needs in (("a", "b"), ("b", "c"), ("c", "a"), ("needs-a", "a"))
        )
        + GOOD
        + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    jobs = plainbox.jobs()
    assert outcomes(plainbox) == {
        "good": "pass",
        **dict.fromkeys(("a", "b", "c", "needs-a"), "skipped-dependency"),
    }
    assert "cycle" in jobs["org.example::a"]["comments"]
    assert "org.example::a" in jobs["org.example::needs-a"]["comments"]


def test_missing_dependency(plainbox, provider) -> None:
    """A job that needs one that is not there is skipped and says which."""
    directory = provider("id: orphan\nplugin: shell\ncommand: true\ndepends: nobody\n" + GOOD + PLAN)
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {"good": "pass", "orphan": "skipped-dependency"}
    assert "org.example::nobody" in plainbox.jobs()["org.example::orphan"]["comments"]


def test_unmet_resource(plainbox, provider) -> None:
    """A job whose requirement is not met is skipped and says which."""
    directory = provider(
        "id: res\nplugin: resource\ncommand: echo 'name: x'\n\nid: wants\nplugin: shell\ncommand: true\n"
        "requires: res.name == 'y'\n\nid: strict\nplugin: shell\ncommand: true\nflags: fail-on-resource\n"
        "requires: res.name == 'y'\n" + GOOD + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=1)
    assert outcomes(plainbox) == {"res": "pass", "wants": "skipped-resource", "strict": "fail", "good": "pass"}
    assert "res.name == 'y'" in plainbox.jobs()["org.example::wants"]["comments"]


def test_salvage_job(plainbox, provider) -> None:
    """A job that salvages runs only when its target failed, and never ends the session."""
    directory = provider(
        "".join(
            f"\nid: {name}\nplugin: shell\ncommand: {command}\n{extra}"
            for name, command, extra in (
                ("saves-bad", "true", "salvages: bad\n"),
                ("saves-good", "true", "salvages: good\n"),
                ("saves-nobody", "true", "salvages: nobody\n"),
                ("bad", "false", ""),
            )
        )
        + GOOD
        + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=1)
    assert outcomes(plainbox) == {
        "saves-bad": "pass",
        "saves-good": "not-supported",
        "saves-nobody": "not-supported",
        "bad": "fail",
        "good": "pass",
    }


def test_unknown_plan(plainbox, provider) -> None:
    """A plan that is not there ends the command with a near name."""
    done = plainbox.run("run", "--no-input", "--provider", provider(GOOD + PLAN), "plam", code=2)
    assert "'plam'" in done.stderr
    assert "did you mean 'plan'?" in done.stderr


def test_nothing_selected(plainbox, provider) -> None:
    """A selection without jobs has an exit code of its own."""
    done = plainbox.run("run", "--no-input", "--provider", provider(GOOD + PLAN), "plan", "--exclude", ".*", code=5)
    assert "nothing is selected" in done.stderr


def test_no_terminal(plainbox) -> None:
    """Without a terminal and without a plan nothing is asked."""
    done = plainbox.run("run", code=2)
    assert "no test plan and no job is named" in done.stderr


def test_resource_that_prints_garbage(plainbox, provider) -> None:
    """Records before a bad line count, binary output counts as none; both are no end of the session."""
    directory = provider(
        "id: half\nplugin: resource\ncommand:\n printf 'name: first\\n\\nno field here\\nname: late\\n'\n\n"
        "id: binary\nplugin: resource\ncommand: head -c 3000 /dev/urandom\n\n"
        "id: wants-first\nplugin: shell\ncommand: true\nrequires: half.name == 'first'\n\n"
        "id: wants-late\nplugin: shell\ncommand: true\nrequires: half.name == 'late'\n\n"
        "id: wants-binary\nplugin: shell\ncommand: true\nrequires: binary.name == 'x'\n" + GOOD + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {
        "half": "pass",
        "binary": "pass",
        "wants-first": "pass",
        "wants-late": "skipped-resource",
        "wants-binary": "skipped-resource",
        "good": "pass",
    }


def test_strange_output_and_death(plainbox, provider, tmp_path: Path) -> None:
    """Invalid UTF-8 and NUL are kept, a death by a signal is a crash that names the signal; reports are made."""
    directory = provider(
        "id: bytes\nplugin: shell\ncommand: printf '\\377\\376\\000 \\033[31mred'\n\n"
        "id: killed\nplugin: shell\ncommand: kill -SEGV $$\n" + GOOD + PLAN
    )
    report = tmp_path / "report.json"
    plainbox.run("run", "--no-input", "--provider", directory, "plan", "-o", f"json:{report}", code=1)
    assert outcomes(plainbox) == {"bytes": "pass", "killed": "crash", "good": "pass"}
    assert "SIGSEGV" in plainbox.jobs()["org.example::killed"]["comments"]
    assert report.exists()


def test_background_child_that_holds_the_output(plainbox, provider) -> None:
    """A job ends with its command, whatever a child in the background keeps open."""
    directory = provider("id: leaves\nplugin: shell\ncommand: sleep 300 & echo done\n" + GOOD + PLAN)
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox)["leaves"] == "pass"
    assert "1 process" in plainbox.jobs()["org.example::leaves"]["comments"]


def test_timeout(plainbox, provider) -> None:
    """A job that runs longer than its limit is ended and is a crash that says so."""
    directory = provider("id: slow\nplugin: shell\ntimeout: 0.3\ncommand: sleep 300\n" + GOOD + PLAN)
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=1)
    assert outcomes(plainbox) == {"slow": "crash", "good": "pass"}
    assert "limit" in plainbox.jobs()["org.example::slow"]["comments"]


def test_invalid_units(plainbox, provider) -> None:
    """A job that is no good unit, and an instance without a value for its parameter, fail and say why and where."""
    directory = provider(
        "id: res\nplugin: resource\ncommand: echo 'name: x'\n\n"
        "id: wrong\nplugin: frob\ncommand: true\n\n"
        "unit: template\ntemplate-resource: res\nid: made-{name}\nplugin: shell\ncommand: echo {other}\n\n"
        "unit: test plan\nid: plan\nname: Plan\nbootstrap_include: res\ninclude:\n wrong\n made-.*\n good\n" + GOOD
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=1)
    jobs = plainbox.jobs()
    assert outcomes(plainbox) == {"res": "pass", "wrong": "fail", "made-x": "fail", "good": "pass"}
    assert "units/units.pxu:6" in jobs["org.example::wrong"]["comments"]
    assert "'other'" in jobs["org.example::made-x"]["comments"]


def test_manual_jobs_are_skipped(plainbox, provider) -> None:
    """A job that needs a person is skipped with the reason when nobody is asked."""
    directory = provider("id: look\nplugin: manual\ndescription: Look at it\n" + GOOD + PLAN)
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {"look": "skip", "good": "pass"}


def test_corrupt_old_sessions(plainbox, provider) -> None:
    """Sessions that cannot be read are rows that say why; they keep nothing else from working."""
    directory = provider(GOOD + PLAN)
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    [first] = plainbox.json("session", "list")["sessions"]
    journal = next(Path(first["directory"]).glob("journal-*.pbj"))
    content = bytearray(journal.read_bytes())
    content[len(content) // 3] ^= 0x20
    journal.write_bytes(content)
    empty = Path(first["directory"]).with_name("pbox-2020-01-01T00.00.00.000000.session")
    empty.mkdir()
    (empty / "session").write_bytes(os.urandom(100))

    plainbox.run("run", "--no-input", "--provider", directory, "plan")

    sessions = {session["id"]: session for session in plainbox.json("session", "list")["sessions"]}
    assert len(sessions) == 3
    assert sessions[first["id"]]["state"] == "unreadable"
    assert sessions[first["id"]]["reason"]
    assert plainbox.run("session", "show", first["id"], code=3).stderr.startswith("plainbox: ")
    assert outcomes(plainbox) == {"good": "pass"}


def test_report_format_that_is_not_known(plainbox, provider) -> None:
    """A report that cannot be made is refused before any job runs."""
    done = plainbox.run("run", "--no-input", "--provider", provider(GOOD + PLAN), "plan", "-o", "pdf:x.pdf", code=2)
    assert "no report format 'pdf'" in done.stderr
    assert plainbox.json("session", "list")["sessions"] == []


def test_provider_that_has_changed(plainbox, provider) -> None:
    """A session whose jobs have changed is not gone on with; every changed job is named, and it can still be shown."""
    directory = provider(
        "id: one\nplugin: shell\ncommand: kill -9 $PPID; sleep 60\n\nid: two\nplugin: shell\ncommand: true\n" + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=None)
    [session] = plainbox.json("session", "list")["sessions"]
    assert session["state"] == "incomplete"
    provider("id: one\nplugin: shell\ncommand: false\n\nid: two\nplugin: shell\ncommand: false\n" + PLAN)
    done = plainbox.run("resume", "--no-input", code=3)
    assert "org.example::one" in done.stderr
    assert "org.example::two" in done.stderr
    assert set(plainbox.jobs()) == {"org.example::one", "org.example::two"}

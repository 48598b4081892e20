# SPDX-License-Identifier: Apache-2.0
"""Programs of other users: what they get, what becomes of it, and what nobody gets to see."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from sudo_rig import ASKING, PASSWORD, SILENT, ordinary_user
from sudo_rig import missing as no_ordinary_user

from plainbox.errors import JobStartError
from plainbox.tasks import Deadline, MemorySink, Surroundings
from plainbox.tasks.place import HERE, Program
from plainbox.tasks.users import TRIES, Sudo, account_of, way_to

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root alone can do")
with_sudo = pytest.mark.skipif(no_ordinary_user() is not None, reason=str(no_ordinary_user()))

#: Runs programs as another user and tells what came of it.
SCRIPT = """
import json, os, sys
from plainbox.tasks import Deadline, MemorySink, Surroundings
from plainbox.tasks.place import HERE, Program
from plainbox.tasks.users import SUDO

given = json.load(sys.stdin)
asked = []
def ask(user, refusal):
    asked.append([user, refusal])
    return given["password"]
if given["password"] is not None:
    SUDO.ask = ask
lines, told = [], []
for user, command in given["programs"]:
    sink = MemorySink()
    environment = {"PATH": os.environ["PATH"], **given["variables"]}
    surroundings = Surroundings(environment, sink, lambda process: None, on_line=lines.append)
    try:
        ending = HERE.run(
            Program(("bash", "-c", command), user=user), surroundings, Deadline.after(given["limit_s"], 0.5)
        )
    except Exception as error:
        told.append({"error": str(error), "hint": error.hint})
    else:
        told.append({
            "code": ending.return_code, "ended_by": ending.ended_by, "left": [each.name for each in ending.left],
            "survivors": [each.name for each in ending.survivors], "leftovers": ending.leftovers,
            "out": sink.stdout.decode(), "err": sink.stderr.decode(), "notes": sink.notes,
        })
print(json.dumps({"programs": told, "asked": asked, "lines": [line.decode() for line in lines],
    "files": [name for name in os.listdir(os.environ["TMPDIR"])]}))
"""


def run_as_ordinary_user(
    rules: str,
    *programs: tuple[str, str],
    password: str | None = None,
    variables: dict[str, str] | None = None,
    limit_s: float = 60.0,
) -> dict:
    with ordinary_user(rules) as user:
        given = {"programs": programs, "password": password, "variables": variables or {}, "limit_s": limit_s}
        done = subprocess.run(
            user.words(sys.executable, "-c", SCRIPT),
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            cwd=user.directory,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(user.directory)},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class TestFromRoot:
    @as_root
    def test_what_the_program_gets(self) -> None:
        """A program that root runs for somebody else has that account, its home, and a directory and file of its own."""
        sink, lines = MemorySink(), []
        command = (
            'id -un; id -gn; echo "$HOME $USER $LOGNAME $KEPT"; readlink /proc/self/fd/0; touch mine; '
            'echo told >> "$PLAINBOX_RESULT"'
        )
        surroundings = Surroundings(
            {"PATH": os.environ["PATH"], "HOME": "/root", "KEPT": "it's\nkept"},
            sink,
            lambda process: None,
            on_line=lines.append,
        )
        ending = HERE.run(Program(("bash", "-c", command), user="nobody"), surroundings, None)
        account = account_of("nobody")
        assert sink.stdout.decode() == (f"nobody\nnogroup\n{account.home} nobody nobody it's\nkept\n/dev/null\n"), (
            sink.stderr
        )
        assert (ending.return_code, ending.leftovers, lines) == (0, ("mine",), [b"told"])

    @as_root
    def test_the_tree_is_ended(self) -> None:
        """What it started ends with it, stubborn and in a session of its own or not."""
        sink = MemorySink()
        command = 'trap "" TERM; setsid bash -c \'trap "" TERM; sleep 60; :\' & sleep 60; :'
        surroundings = Surroundings(dict(os.environ), sink, lambda process: None)
        ending = HERE.run(Program(("bash", "-c", command), user="nobody"), surroundings, Deadline.after(0.5, 0.2))
        assert ending.ended_by == "deadline"
        assert ending.survivors == ()

    @as_root
    @with_sudo
    def test_real_sudo_from_root(self) -> None:
        """The words for sudo are those that the real one understands."""
        sudo = Sudo()
        assert sudo.trouble("nobody") is None
        shown = subprocess.run([*sudo.words("nobody"), "id", "-un"], capture_output=True, text=True, check=True)
        assert shown.stdout == "nobody\n"

    @as_root
    @pytest.mark.parametrize("pty", [False, True])
    def test_output_can_be_opened_anew(self, pty: bool) -> None:
        """A program of another user can write to /dev/stdout and /dev/stderr by their names."""
        sink = MemorySink()
        program = Program(("bash", "-c", "echo one > /dev/stdout; echo two > /dev/stderr"), user="nobody", pty=pty)
        ending = HERE.run(program, Surroundings(dict(os.environ), sink, lambda process: None), None)
        assert ending.return_code == 0, sink
        assert sorted((sink.stdout + sink.stderr).split()) == [b"one", b"two"]

    @as_root
    def test_files_out_of_reach(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the other user cannot reach its files the program does not run, and nothing of it stays."""
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        monkeypatch.setattr(tempfile, "tempdir", str(private))
        with pytest.raises(JobStartError, match="'nobody', who cannot reach /"):
            HERE.run(Program(("true",), user="nobody"), Surroundings({}, MemorySink(), lambda process: None), None)
        assert os.listdir(private) == []

    def test_own_account(self) -> None:
        """A program of the user that runs this one takes no way at all."""
        import pwd

        assert way_to(pwd.getpwuid(os.geteuid()).pw_name) is None

    def test_unknown_user(self) -> None:
        """A user that there is not is named."""
        with pytest.raises(JobStartError, match="'no-such-user', who is not known here"):
            way_to("no-such-user")


@with_sudo
class TestBySudo:
    def test_what_the_program_gets(self) -> None:
        """It is the other account, with the variables that were given, whatever is in them, and with null as its input."""
        variables = {"ODD": 'it\'s $HOME `x` \n "y"', "LONG": "x" * 100_000}
        command = 'id -un; echo "$HOME"; printf "%s|%s" "$ODD" "${#LONG}"; readlink /proc/self/fd/0 >&2'
        done = run_as_ordinary_user(SILENT, ("root", command), ("nobody", "id -un"), variables=variables)
        first, second = done["programs"]
        assert first["out"] == f"root\n/root\n{variables['ODD']}|100000"
        assert (first["err"], second["out"]) == ("/dev/null\n", "nobody\n")

    def test_files(self) -> None:
        """Its directory and its result file can be used, and whatever it leaves in them goes."""
        command = 'mkdir -p a/b; touch a/b/c; echo "$(id -un)" >> "$PLAINBOX_RESULT"; cd /; exit 3'
        done = run_as_ordinary_user(SILENT, ("root", command), ("nobody", command))
        assert [each["code"] for each in done["programs"]] == [3, 3]
        assert done["lines"] == ["root", "nobody"]
        assert done["programs"][0]["leftovers"] == ["a/b/c"]
        assert done["files"] == []

    def test_leaked_processes(self) -> None:
        """What it leaves running is counted and ended, although it belongs to somebody else."""
        done = run_as_ordinary_user(SILENT, ("root", "sleep 60 & setsid sleep 61 & sleep 0.1"))["programs"][0]
        assert sorted(done["left"]) == ["sleep", "sleep"]
        assert done["survivors"] == []

    @pytest.mark.parametrize("user", ["root", "nobody"])
    def test_limit(self, user: str) -> None:
        """A tree of another user that ignores SIGTERM is gone after its limit."""
        command = 'trap "" TERM; (setsid sleep 62) & sleep 60; sleep 60'
        done = run_as_ordinary_user(SILENT, (user, command), limit_s=0.7)["programs"][0]
        assert (done["ended_by"], done["survivors"]) == ("deadline", [])

    def test_password(self) -> None:
        """A password is asked for once, for all users, and is nowhere to be seen by the program."""
        look = (
            "id -un; for place in /proc/[0-9]*; do tr '\\0' '\\n' < $place/cmdline; tr '\\0' '\\n' < $place/environ; "
            f"done 2>/dev/null | grep -c '{PASSWORD[:5]}[e],'; env; cat"
        )
        done = run_as_ordinary_user(ASKING, ("root", look), ("nobody", "id -un"), ("root", "id -u"), password=PASSWORD)
        assert [each["out"].splitlines()[0] for each in done["programs"]] == ["root", "nobody", "0"]
        assert done["programs"][0]["out"].splitlines()[1] == "0"
        assert done["asked"] == [["root", None]]
        assert PASSWORD not in json.dumps(done)

    def test_variables_are_no_arguments(self) -> None:
        """What is in a variable can be read by nobody who looks at the arguments of processes."""
        command = "for place in /proc/[0-9]*; do tr '\\0' '\\n' < $place/cmdline; done 2>/dev/null | grep -c 's3cre[t]'"
        done = run_as_ordinary_user(SILENT, ("root", command), variables={"TOKEN": "s3cret"})
        assert done["programs"][0]["out"] == "0\n"

    def test_nobody_is_asked(self) -> None:
        """Without anybody to ask the program does not run, and what can be done is said."""
        done = run_as_ordinary_user(ASKING, ("root", "touch ran"))["programs"][0]
        assert done["error"].startswith("the job runs as 'root', and sudo does not do that without a password")
        assert done["hint"] == "run plainbox as root, or let sudo work without a password"


SHIM = """\
#!/bin/sh
echo "$*" >> "$SHIM_LOG"
case "$*" in
*--non-interactive*) echo "sudo: a password is required" >&2; exit 1;;
esac
IFS= read -r given
[ "$given" = right ] || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; }
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@attrs.define
class Answers:
    """A person who types one answer after the other."""

    left: list[str | None]
    refusals: list[str | None] = attrs.field(factory=list)

    def __call__(self, user: str, refusal: str | None) -> str | None:
        self.refusals.append(refusal)
        return self.left.pop(0)


class TestAsking:
    @pytest.fixture
    def sudo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sudo:
        program = tmp_path / "bin" / "sudo"
        program.parent.mkdir()
        program.write_text(SHIM)
        program.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("SHIM_LOG", str(tmp_path / "log"))
        self.log = tmp_path / "log"
        return Sudo()

    def test_second_answer(self, sudo: Sudo) -> None:
        """A wrong password is told of, and the next one counts; then nobody is asked any more."""
        answers = sudo.ask = Answers(["wrong", "right"])
        assert sudo.trouble("root") is None
        assert sudo.trouble("daemon") is None
        assert answers.refusals == [None, "sudo: 1 incorrect password attempt"]
        assert "right" not in self.log.read_text()

    @pytest.mark.parametrize("given", [["wrong"] * TRIES, [None]])
    def test_no_right_answer(self, sudo: Sudo, given: Sequence[str | None]) -> None:
        """Whoever has given no right password is not asked again, for no user."""
        answers = sudo.ask = Answers(list(given))
        assert sudo.trouble("root").startswith("sudo was given no password that it takes")
        assert sudo.trouble("daemon") is not None
        assert len(answers.refusals) == len(given)

    def test_answer_is_remembered(self, sudo: Sudo) -> None:
        """What sudo has answered once is not asked again: a session has many jobs."""
        sudo.trouble("root")
        asked = self.log.read_text()
        sudo.trouble("root")
        assert self.log.read_text() == asked

    def test_without_sudo(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A machine without sudo is told apart."""
        monkeypatch.setenv("PATH", str(tmp_path))
        assert Sudo().trouble("root") == "sudo is not installed"

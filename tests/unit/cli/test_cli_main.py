# SPDX-License-Identifier: Apache-2.0
"""The command itself: finding the sub-command, and one message and an exit code for whatever goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from plainbox import __version__, errors
from plainbox.cli import main as cli
from plainbox.errors import PlainboxError
from plainbox.units import Origin


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes ``plainbox list`` raise."""

    def make(error: BaseException) -> None:
        def fail(arguments: object) -> int:
            raise error

        module = SimpleNamespace(configure=lambda parser: None, run=fail, __doc__="Broken.")
        monkeypatch.setattr(cli, "_module", lambda name: module)

    return make


# -- which command


def test_no_command(run) -> None:
    """Without a command the overview is shown, and nothing is data."""
    done = run()
    assert (done.code, done.out) == (2, "")
    assert all(name in done.err for name in cli.COMMANDS)


@pytest.mark.parametrize(("word", "hint"), [("lst", "did you mean 'list'?"), ("resum", "did you mean 'resume'?")])
def test_near_command(run, word: str, hint: str) -> None:
    """A mistyped command is answered with the near one."""
    done = run(word, "--option")
    assert done.code == 2
    assert f"no command '{word}'" in done.err
    assert hint in done.err


def test_unknown_command(run) -> None:
    """A command that is near to none is answered with those there are."""
    done = run("xyzzy")
    assert done.code == 2
    assert "known are run, resume, list" in done.err


@pytest.mark.parametrize("words", [("--help",), ("-h",)])
def test_help(run, words: tuple[str, ...]) -> None:
    """The overview names all commands and the exit codes."""
    done = run(*words)
    assert done.code == 0
    assert all(name in done.out for name in cli.COMMANDS)
    assert "70 internal error" in " ".join(done.out.split())


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_help_of_a_command(run, name: str) -> None:
    """Every command explains itself."""
    done = run(name, "--help")
    assert done.code == 0
    assert f"usage: plainbox {name}" in done.out


def test_version(run) -> None:
    """The version is data."""
    assert run("--version").out == f"plainbox {__version__}\n"


@pytest.mark.parametrize("words", [("list",), ("list", "jobs", "--nonsense"), ("--nonsense",), ("session",)])
def test_wrong_arguments(run, words: tuple[str, ...]) -> None:
    """Arguments that mean nothing are a mistake in usage."""
    done = run(*words)
    assert done.code == 2
    assert "usage: plainbox" in done.err


def test_only_what_is_needed_is_imported() -> None:
    """Help comes without importing what runs jobs or makes reports."""
    code = (
        "import sys; from plainbox.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('yaml', 'jinja2', 'lxml', 'rich', 'attrs')),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


# -- errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("m"), 2),
        (errors.NothingSelectedError("m"), 5),
        (errors.UnitError("m"), 2),
        (errors.ProviderError("m"), 2),
        (errors.DependencyUnknownError("m"), 2),
        (errors.SessionError("m"), 3),
        (errors.StorageFullError("m", errno=28), 3),
        (errors.StorageGoneError("m"), 3),
        (errors.LockedStorageError("m"), 3),
        (errors.CorruptedSessionError("m"), 3),
        (errors.IncompatibleJobError("m"), 3),
        (errors.TaskError("m"), 4),
        (errors.ExporterError("m"), 4),
    ],
)
def test_exit_codes(run, broken, error: PlainboxError, code: int) -> None:
    """Every error of ours ends the command with one message and its exit code, and leaves no file."""
    broken(error)
    done = run("list")
    assert done.code == code
    assert done.err.startswith(f"plainbox: {error}\n")
    assert "Traceback" not in done.err


def test_place_and_hint(run, broken) -> None:
    """A message begins with the place of what is wrong and ends with what to do about it."""
    broken(errors.UnitError("no such field", origin=Origin("/x/units.pxu", 7), hint="write it otherwise"))
    assert run("list").err == "plainbox: /x/units.pxu:7: no such field\n  write it otherwise\n"


def test_interrupt(run, broken) -> None:
    """An interrupt outside of a run just ends the command."""
    broken(KeyboardInterrupt())
    done = run("list")
    assert (done.code, done.err) == (130, "")


def test_internal_error(run, broken, home: Path) -> None:
    """A fault of ours is one line for people; the traceback is in a file that only they can read."""
    broken(ZeroDivisionError("deliberately\nbroken"))
    done = run("list")
    assert done.code == 70
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "internal error: ZeroDivisionError: deliberately" in done.err
    match = re.search(r"the details are in (\S+)", done.err)
    assert match is not None
    path = Path(match[1])
    assert path.parent == home / "state" / "plainbox" / "crashes"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: deliberately" in text
    assert __version__ in text


def test_internal_error_with_strange_text(run, broken) -> None:
    """Text that cannot be encoded keeps no fault from being told."""
    broken(ValueError("\udcff\x00"))
    assert run("list").code == 70


def test_internal_error_without_a_place_for_it(run, broken, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the state directory cannot be used the file is in the temporary one."""
    (home / "state").write_text("in the way")
    monkeypatch.setattr("tempfile.tempdir", str(home))
    broken(ZeroDivisionError("x"))
    done = run("list")
    assert done.code == 70
    [path] = home.glob("plainbox-crash-*.txt")
    assert str(path) in done.err


# -- real streams


def test_reader_that_goes_away(provider) -> None:
    """A reader that has seen enough ends the command without a word, whenever it goes."""
    directory = provider("".join(f"\nid: job-{number:05}\nplugin: shell\ncommand: true\n" for number in range(3000)))
    for count in (1, 100):
        process = subprocess.Popen(
            [sys.executable, "-m", "plainbox.cli.main", "list", "jobs", "--provider", str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(count):
            process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 0
        assert err == ""


def test_terminal_that_cannot_show_a_character(provider) -> None:
    """A character that the output cannot have is shown as its code."""
    directory = provider("id: a\nplugin: shell\n_summary: \N{SNOWMAN}\ncommand: true\n")
    done = subprocess.run(
        [sys.executable, "-m", "plainbox.cli.main", "list", "jobs", "--provider", str(directory)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "\\u2603" in done.stdout

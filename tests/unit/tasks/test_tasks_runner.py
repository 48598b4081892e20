# SPDX-License-Identifier: Apache-2.0
"""An archive as a program: takes an invocation on from file to file, with a code for every way that this can end."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys

import pytest

from plainbox.tasks import Execution
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.invocation import Invocation
from plainbox.tasks.tasks import Task

MODULE = """
import os
from plainbox.tasks import Advice, Configuration

class Filed(Advice):
    moved = None
    def before(self, invocation):
        self.moved(invocation)
        invocation.proceed()
    def after(self, invocation):
        invocation.suspend()

configuration = Configuration().add_advice_chain(Filed(), Advice())

def who(value):
    return [os.getpid(), value]

def fail():
    raise ValueError("no")
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return what runs the archive of the sample with the given options."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "far_runner.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "src")
    importlib.invalidate_caches()
    importlib.import_module("far_runner")

    def run(*options, modules=("far_runner",)):
        archive = DistributionArchive(tmp_path / "archives", *modules)
        return subprocess.run(
            [sys.executable, "-I", archive.path, *map(str, options)], capture_output=True, text=True, check=False
        )

    yield run
    del sys.modules["far_runner"]


@pytest.fixture
def moved(tmp_path, program):
    """Move a function by files and return its result."""

    def move(name, *args):
        module = sys.modules["far_runner"]

        def by_files(self, invocation):
            with open(tmp_path / "in", "wb") as file:
                invocation.save(file)
            done = program("--input", tmp_path / "in", "--output", tmp_path / "out", "--run-id", invocation.run_id)
            assert done.returncode == 0, done.stderr
            with open(tmp_path / "out", "rb") as file:
                invocation.restore(file)

        module.Filed.moved = by_files
        task = Task.create_task(getattr(module, name))
        return Invocation(task, Execution("id", args), module.configuration).initiate()

    return move


def test_from_file_to_file(moved, tmp_path):
    """A function is taken on by another process, and what it came to is in the output, for the user alone."""
    pid, value = moved("who", "x").get()
    assert (pid != os.getpid(), value) == (True, "x")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archives", "in", "out", "src"]


def test_failed_task_is_delivered(moved):
    """A task that fails is a result like any other."""
    with pytest.raises(ValueError, match="no"):
        moved("fail").get()


@pytest.mark.parametrize("options", [(), ("--input", "x"), ("--frob",), ("--input", "a", "--output", "b", "c")])
def test_usage(program, options):
    """Wrong options are code 64."""
    done = program(*options)
    assert done.returncode == 64
    assert done.stderr.startswith("usage:")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\5\6" + bytes(18)])
def test_bad_bundle(program, tmp_path, content):
    """A file that is no bundle is code 65, without a traceback, and nothing is written."""
    (tmp_path / "in").write_bytes(content)
    done = program("--input", tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 65
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_missing_input(program, tmp_path):
    """A file that is not there is code 75."""
    done = program("--input", tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 75
    assert "No such file" in done.stderr


def test_missing_configuration(program, tmp_path):
    """A configuration that was not sent along is code 78."""
    module = sys.modules["far_runner"]
    saved = io.BytesIO()

    class Stop(Exception):
        pass

    def save(self, invocation):
        invocation.save(saved)
        raise Stop

    module.Filed.moved = save
    with pytest.raises(Stop):
        Invocation(Task.create_task(module.who), Execution("id", ("x",)), module.configuration).initiate()
    (tmp_path / "in").write_bytes(saved.getvalue())
    done = program("--input", tmp_path / "in", "--output", tmp_path / "out", modules=())
    assert done.returncode == 78
    assert "far_runner" in done.stderr
    assert "Traceback" not in done.stderr

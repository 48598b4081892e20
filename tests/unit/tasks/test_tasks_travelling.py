# SPDX-License-Identifier: Apache-2.0
"""What travels to another machine runs there: with the standard library alone, on any Python from 3.8 on."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plainbox

ROOT = Path(plainbox.__file__).parent

#: Runs one program with the modules that travel, and nothing that is installed beside Python.
SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import plainbox.tasks.invocation
from plainbox.tasks import MemorySink, Surroundings
from plainbox.tasks.place import HERE, Program

sink = MemorySink()
program = Program(argv=("/bin/sh", "-c", "echo out; echo err >&2; sleep 60 & exit 3"))
ending = HERE.run(program, Surroundings(dict(os.environ), sink, lambda process: None), None)
assert ending.return_code == 3 and len(ending.left) == 1, ending
assert sorted(sink.chunks) == [("stderr", b"err\\n"), ("stdout", b"out\\n")], sink.chunks
foreign = {name.partition(".")[0] for name in sys.modules} & {"attr", "attrs", "morris", "psutil", "yaml", "rich"}
assert not foreign, foreign
"""


def _loaded_modules() -> list[Path]:
    """Return the files of ours that running a program needs."""
    code = SCRIPT + "\nfor m in sorted(sys.modules):\n    if m.startswith('plainbox'): print(sys.modules[m].__file__)\n"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT.parent)], check=True, capture_output=True, text=True
    ).stdout
    return [Path(line) for line in shown.split()]


def _interpreters() -> list[str]:
    found = [sys.executable]
    for minor in (8, 9, 10, 12, 13):
        path = shutil.which(f"python3.{minor}") or ""
        places = [path, *map(str, sorted((Path.home() / ".pyenv/versions").glob(f"3.{minor}.*/bin/python3")))]
        found += [place for place in places if place and _works(place)][:1]
    return found


def _works(path: str) -> bool:
    return subprocess.run([path, "-I", "-c", "import zlib"], capture_output=True, check=False).returncode == 0


def test_another_python() -> None:
    """Every Python that is found here runs a program with them, isolated from what is installed."""
    for interpreter in _interpreters():
        done = subprocess.run(
            [interpreter, "-I", "-S", "-c", SCRIPT, str(ROOT.parent)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{interpreter}: {done.stderr}"


def test_syntax() -> None:
    """They are written in the language of Python 3.8."""
    files = _loaded_modules()
    assert ROOT / "tasks" / "process.py" in files
    for path in files:
        ast.parse(path.read_text("utf-8"), filename=str(path), feature_version=(3, 8))


@pytest.mark.parametrize("name", ["Advice", "Invocation", "Surroundings"])
def test_lazy_names(name: str) -> None:
    """A name of the package is loaded when it is asked for, and only then."""
    code = (
        f"import sys, plainbox.tasks as t; assert 'plainbox.tasks.process' not in sys.modules; print(t.{name}.__name__)"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == name

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


#: What both sides of a move have: a configuration, and the advice that moves to the interpreter in the environment.
CONFIGURATION = """
import os, subprocess
from plainbox.tasks import Advice, Configuration
from plainbox.tasks.advices.log import LoggingAdvice

class Moving(Advice):
    def before(self, invocation):
        import io
        sent = io.BytesIO()
        invocation.save(sent)
        done = subprocess.run(
            [os.environ["FAR_PYTHON"], "-S", "-B", "-c", os.environ["FAR_CODE"]],
            input=sent.getvalue(), stdout=subprocess.PIPE, check=True,
        )
        invocation.restore(io.BytesIO(done.stdout))
        invocation.proceed()

    def after(self, invocation):
        invocation.suspend()

configuration = Configuration().add_advice_chain(LoggingAdvice(), Moving(), LoggingAdvice("error", attach=True))
"""
FUNCTIONS = """
import sys
from plainbox.tasks import current_invocation, task

class OwnError(Exception):
    def __init__(self, code, *, detail):
        Exception.__init__(self, "code %s: %s" % (code, detail))

@task(config="plainbox_tasks_config", version=1)
def work(numbers, scale=1.5):
    if not numbers:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise OwnError(5, detail="disk") from error
    current_invocation().attachments["seen"] = repr(numbers).encode()
    return sys.version_info[:2], {number: (number * scale,) for number in numbers}
"""
FAR_CODE = """
import sys
import plainbox.tasks.config, plainbox.tasks.io, plainbox.tasks.session, plainbox.tasks.tasks, plainbox.tasks.user
from plainbox.tasks import Interpreter, Invocation, PickleSerializer, get_run_id
invocation = Invocation().restore(sys.stdin.buffer)
invocation.proceed()
invocation.save(sys.stdout.buffer)
invocation.close()
foreign = {name.partition(".")[0] for name in sys.modules} & {"attr", "attrs", "morris", "psutil", "yaml", "rich"}
assert not foreign, foreign
"""
NEAR_CODE = """
import sys
from plainbox.errors import RemoteError
from plainbox.tasks.serialization.records import record_of
from plainbox.tasks import Extension
import plainbox_tasks_config
files = {}
class Reading(Extension):
    def on_invocation_finished(self, invocation):
        files.update((name, file.open().read()) for name, file in invocation.attachments.items())
plainbox_tasks_config.configuration.add_extension(Reading())
import far_functions
version, value = far_functions.work({1, 2})
assert value == {1: (1.5,), 2: (3.0,)}, value
assert files["seen"] == b"{1, 2}" and b"started" in files["invocation.log"], files
try:
    far_functions.work([])
except RemoteError as error:
    assert str(error) == "far_functions.OwnError: code 5: disk", error
    for piece in ("KeyError: 'first'", "in work", "OwnError: code 5: disk"):
        assert piece in record_of(error).text, record_of(error).text
else:
    raise AssertionError("no error")
print(*version, sep=".")
"""


def test_moving_between_pythons(tmp_path: Path) -> None:
    """A function moves from any Python that is found to another one and back, with its files and with its errors."""
    (tmp_path / "plainbox_tasks_config.py").write_text(CONFIGURATION)
    (tmp_path / "far_functions.py").write_text(FUNCTIONS)
    (tmp_path / "temporary").mkdir()
    found = _interpreters()
    for near, far in [*zip(found, [*found[1:], found[0]], strict=True), (found[-1], found[min(1, len(found) - 1)])]:
        done = subprocess.run(
            [near, "-S", "-B", "-c", NEAR_CODE],
            env={
                "PYTHONPATH": f"{tmp_path}:{ROOT.parent}",
                "TMPDIR": str(tmp_path / "temporary"),
                "FAR_PYTHON": far,
                "FAR_CODE": FAR_CODE,
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{near} to {far}: {done.stderr}"
        assert done.stdout.strip() in far or far == sys.executable
    assert list((tmp_path / "temporary").iterdir()) == []


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

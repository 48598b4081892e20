# SPDX-License-Identifier: Apache-2.0
"""Cached functions: the advice in a chain of one's own, and what makes two calls the same."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.tasks import Configuration, Invocation
from plainbox.tasks.advices.cache import CachingAdvice
from plainbox.tasks.cache import CacheStore, key_of
from plainbox.tasks.function import FunctionTask

calls: list[object] = []


def give(value: object) -> object:
    calls.append(value)
    return value


def fail(value: object) -> object:
    calls.append(value)
    raise ValueError(value)


def wait_for(path: str, marks: str) -> str:
    """Leave a mark, and come to an end when the file is there."""
    with open(marks, "a", encoding="utf-8") as file:
        file.write("x")
    while not os.path.exists(path):
        time.sleep(0.005)
    return "done"


@pytest.fixture(autouse=True)
def forget() -> None:
    calls.clear()


class Cached:
    """Calls functions with the advice around them, each call with an advice of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context: dict[str, object] = {}

    def __call__(self, function: Callable[..., object], *args: object, **options: object) -> object:
        parameters = options.pop("parameters", {})
        configuration = Configuration().add_advice_chain(CachingAdvice(self.directory, **options))  # type: ignore[arg-type]
        task = FunctionTask(function, parameters)  # type: ignore[arg-type]
        invocation = Invocation(task, task.execution(args, {}), configuration)
        try:
            return invocation.initiate().get()
        finally:
            self.context = dict(invocation.context)


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    return Cached(tmp_path / "cache")


def key(function: Callable[..., object], *args: object) -> str:
    task = FunctionTask(function)
    return key_of(Invocation(task, task.execution(args, {}))).digest


def test_hit(cached: Cached, caplog: pytest.LogCaptureFixture) -> None:
    """The second call does not call the function, and the log and the context say so."""
    assert cached(give, "x") == "x"
    assert cached.context["cache"] == "miss"
    with caplog.at_level(logging.INFO):
        assert cached(give, "x") == "x"
    assert calls == ["x"]
    assert cached.context["cache"] == "hit"
    assert "from the cache" in caplog.text
    assert os.path.exists(str(cached.context["cache-item-path"]))
    assert not [name for name in cached.context if name.startswith("_")]


@pytest.mark.parametrize("value", [None, 0, "", [], False, (1, (2,)), {"$type": 1}, b"\0", float("inf"), {1: {2}}])
def test_any_value(cached: Cached, value: object) -> None:
    """Every value that can be written is kept, those that mean nothing included, and comes back with its type."""
    first = cached(give, value)
    second = cached(give, value)
    assert len(calls) == 1
    assert second == first
    assert type(second) is type(first)


def test_error(cached: Cached) -> None:
    """An exception is computed anew, unless failures are wanted too."""
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            cached(fail, "x")
    assert len(calls) == 2
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            cached(fail, "x", on_error=True)
    assert len(calls) == 3
    with pytest.raises(ValueError, match="x"):
        cached(fail, "x")
    assert len(calls) == 4


def test_value_that_cannot_be_kept(cached: Cached) -> None:
    """What has no form is returned all the same, and the context says why it is not kept."""

    def make(number: int) -> object:
        calls.append(number)
        return object()

    cached(make, 1)
    cached(make, 1)
    assert len(calls) == 2
    assert "cannot be kept" in str(cached.context["cache"])


def test_argument_without_form(cached: Cached) -> None:
    """An argument that cannot be told from others keeps the call out of the cache."""
    thing = object()
    assert cached(give, thing) is thing
    assert cached(give, thing) is thing
    assert len(calls) == 2
    assert "canonical form" in str(cached.context["cache"])


def test_switched_off_for_one_function(cached: Cached) -> None:
    """The parameter ``cache=False`` of the decorator keeps a function out."""
    for _ in range(2):
        cached(give, 1, parameters={"cache": False})
    assert len(calls) == 2
    assert not cached.directory.exists()


def test_modes(cached: Cached) -> None:
    """Each mode reads and writes what its name says."""
    cached(give, 1, mode="off")
    cached(give, 1, mode="read")
    assert not cached.directory.exists()
    cached(give, 1, mode="write")
    assert len(calls) == 3
    first = CacheStore(cached.directory).entries()[0].about()
    cached(give, 1, mode="write")
    assert CacheStore(cached.directory).entries()[0].about() == first
    cached(give, 1, mode="read")
    cached(give, 1)
    assert len(calls) == 4
    cached(give, 1, mode="refresh")
    assert len(calls) == 5
    assert CacheStore(cached.directory).entries()[0].about() != first
    with pytest.raises(ValueError, match="one of off, read"):
        CachingAdvice(mode="sometimes")


def test_reading_leaves_no_trace(cached: Cached) -> None:
    """Mode read does not even note that something was used."""
    cached(give, 1)
    path = CacheStore(cached.directory).entries()[0].path
    os.utime(path, (1, 1))
    cached(give, 1, mode="read")
    assert os.stat(path).st_mtime == 1
    cached(give, 1)
    assert os.stat(path).st_mtime > 1


def test_ttl(cached: Cached) -> None:
    """What is too old is computed anew and kept anew."""
    cached(give, 1)
    cached(give, 1, ttl=100)
    assert len(calls) == 1
    cached(give, 1, ttl=1e-9)
    assert len(calls) == 2


def test_directory_of_others(cached: Cached, caplog: pytest.LogCaptureFixture) -> None:
    """A directory that others can write to is not used: the function is called, with a warning."""
    cached.directory.mkdir()
    cached.directory.chmod(0o777)
    assert cached(give, 1) == 1
    assert "written by others" in caplog.text
    assert not list(cached.directory.iterdir())


def test_damaged(cached: Cached, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged item is computed anew, with one warning, and the new one is good."""
    cached(give, 1)
    path = Path(CacheStore(cached.directory).entries()[0].path)
    path.write_bytes(path.read_bytes()[:-1])
    assert cached(give, 1) == 1
    assert len(caplog.records) == 1
    assert cached(give, 1) == 1
    assert len(calls) == 2


@pytest.mark.parametrize(
    "value",
    [b'{"$type":"os.system","value":"touch executed"}', b"cos\nsystem\n", b"{}", b'{"$type":"plainbox.result"}'],
)
def test_crafted_value(cached: Cached, caplog: pytest.LogCaptureFixture, value: bytes) -> None:
    """An item that names a foreign type, or is no result, executes nothing and counts as none."""
    cached(give, 1)
    store = CacheStore(cached.directory)
    name = store.entries()[0].key
    good = store.look_up(name)
    assert good is not None
    store.publish(type(good)(name, value, created=good.created))
    assert cached(give, 1) == 1
    assert len(calls) == 2
    assert len(caplog.records) == 1


def test_one_computes(cached: Cached, tmp_path: Path, wait_until: Callable[[Callable[[], bool], str], None]) -> None:
    """Of eight processes that need the same at once one computes it, and all have it."""
    go, marks = tmp_path / "go", tmp_path / "marks"
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if cached(wait_for, str(go), str(marks)) == "done" else 1)
            except BaseException:
                os._exit(99)
        children.append(pid)
    wait_until(marks.exists, "nobody has begun")
    go.touch()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert marks.read_text() == "x"


def test_waiting_is_bounded(cached: Cached) -> None:
    """Who has waited long enough computes it, and leaves the keeping to the one who has the lock."""
    cached(give, 1, mode="refresh")
    entry = CacheStore(cached.directory).entries()[0]
    os.unlink(entry.path)
    lock = CacheStore(cached.directory).lock(entry.key)
    assert lock is not None
    assert cached(give, 1, wait=0.01) == 1
    assert len(calls) == 2
    assert not os.path.exists(entry.path)
    lock.release()


def test_lock_is_given_back(cached: Cached) -> None:
    """After a hit, a miss, a failure and an uncacheable value nobody has a lock."""
    for function, value in ((give, 1), (give, 1), (fail, 1), (give, object())):
        with contextlib.suppress(ValueError):
            cached(function, value)
        assert not list((cached.directory / "v1" / "locks").iterdir())


# -- what makes two calls the same


def adder(number: int) -> Callable[[int], int]:
    def add(other: int) -> int:
        return number + other

    return add


def test_closures() -> None:
    """Functions over different values are different, over equal ones the same."""
    assert key(adder(1), 5) != key(adder(2), 5)
    assert key(adder(1), 5) == key(adder(1), 5)
    assert key(adder(1), 5) != key(adder(1), 6)


def test_closure_over_functions() -> None:
    """What a function has closed over counts all the way down, and one that calls itself comes to an end."""

    def twice(function: Callable[[int], int]) -> Callable[[int], int]:
        def call(number: int) -> int:
            return call(function(number)) if number else 0

        return call

    assert key(twice(adder(1)), 1) != key(twice(adder(2)), 1)
    assert key(twice(adder(1)), 1) == key(twice(adder(1)), 1)


def test_constants() -> None:
    """Two functions of one name on one line that differ in a constant are different."""
    one, two = (lambda: 1), (lambda: 2)
    sets = (lambda x: x in {"a", "b"}), (lambda x: x in {"a", "c"})
    nested = (lambda: lambda: 1), (lambda: lambda: 2)
    for first, second in ((one, two), sets, nested):
        assert key(first, *[1] * first.__code__.co_argcount) != key(second, *[1] * second.__code__.co_argcount)


def test_defaults() -> None:
    """A default counts also where an argument takes its place."""
    functions = []
    for value in (1, 2):

        def function(number: int = value) -> int:
            return number

        functions.append(function)
    assert key(functions[0], 5) != key(functions[1], 5)


PACKAGE = {
    "thing/__init__.py": "",
    "thing/work.py": "from thing.deep.helper import help\ndef work(x, y=1):\n    return help(x) + y\n",
    "thing/deep/__init__.py": "",
    "thing/deep/helper.py": "def help(x):\n    return x * 2\n",
    "other.py": "VALUE = 1\n",
}
KEY_OF_WORK = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, sys.argv[1])
    from plainbox.tasks import Invocation
    from plainbox.tasks.cache import key_of
    from plainbox.tasks.function import FunctionTask
    from thing.work import work
    task = FunctionTask(work)
    print(task.task_id, key_of(Invocation(task, task.execution((1, ), {}))).digest)
    """
)


def key_of_work(directory: Path, python: str = sys.executable, **variables: str) -> list[str]:
    root = str(Path(importlib.import_module("plainbox").__file__ or "").parents[1])
    done = subprocess.run(
        [python, "-B", "-c", KEY_OF_WORK, str(directory)],
        env={**os.environ, "PYTHONPATH": root, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_same_everywhere(package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The key is the same in every process and in a copy elsewhere, whatever the times of the files."""
    copy = tmp_path_factory.mktemp("copy") / "copy"
    subprocess.run(["cp", "-r", package, copy], check=True)
    first = key_of_work(package, PYTHONHASHSEED="1")
    assert key_of_work(package, PYTHONHASHSEED="2") == first
    assert key_of_work(copy) == first


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("thing/work.py", "+ y", "- y"),
        ("thing/work.py", "y=1", "y=2"),
        ("thing/deep/helper.py", "* 2", "* 3"),
    ],
)
def test_edited(package: Path, name: str, before: str, after: str) -> None:
    """An edit of the body, of a default or of a helper in the package changes the key and not the id of the task."""
    task_id, first = key_of_work(package)
    (package / name).write_text(PACKAGE[name].replace(before, after))
    assert key_of_work(package) != [task_id, first]
    assert key_of_work(package)[0] == task_id


def test_edited_elsewhere(package: Path) -> None:
    """What is outside of the package does not count."""
    first = key_of_work(package)
    (package / "other.py").write_text("VALUE = 2\n")
    assert key_of_work(package) == first


def test_other_python(package: Path) -> None:
    """Another Python has another key for the same task: the key is made of its name, too."""
    task = FunctionTask(give)
    parts = key_of(Invocation(task, task.execution((1,), {}))).parts
    assert parts["python"] == f"{sys.implementation.name}-3.{sys.version_info[1]}"
    task_id, first = key_of_work(package)
    for other in sorted((Path.home() / ".pyenv/versions").glob("3.8.*/bin/python3")):
        assert key_of_work(package, str(other))[0] == task_id
        assert key_of_work(package, str(other))[1] != first

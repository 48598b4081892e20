# SPDX-License-Identifier: Apache-2.0
"""An invocation that goes on somewhere else: what is saved, what is restored, and what is not believed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import plainbox
from plainbox.errors import AdviceProtocolError, ChainError, SerializationError, TransportLost
from plainbox.tasks import (
    Advice,
    Configuration,
    Extension,
    Invocation,
    InvocationState,
    JsonSerializer,
    PickleSerializer,
    Result,
    Task,
)
from plainbox.units import JobDefinition

ROOT = Path(plainbox.__file__).parents[1]


def join(one, two=("b",)):
    return (one, *two)


class Noting(Advice):
    """Notes its hooks, adds to the context and attaches a file."""

    def __init__(self, name, log) -> None:
        self.name = name
        self.log = log

    def before(self, invocation) -> None:
        self.log.append(f"b{self.name}")
        invocation.context[self.name] = (1, self.name)
        invocation.context[f"_{self.name}"] = object()
        invocation.attachments[f"{self.name}.txt"] = self.name.encode()
        invocation.proceed()

    def after(self, invocation) -> None:
        self.log.append(f"a{self.name}")
        invocation.proceed()

    def finally_(self, invocation) -> None:
        self.log.append(f"f{self.name}")


class Moving(Advice):
    """Has the inner part done by another invocation, which it makes from the bundle; ``change`` does harm to it."""

    def __init__(self, configuration, log) -> None:
        self.configuration = configuration
        self.log = log
        self.change = lambda data: data
        self.after_hook = Invocation.suspend
        self.here = self.there = None

    def before(self, invocation) -> None:
        sent = saved(invocation)
        assert invocation.state is InvocationState.MOVED
        self.here = invocation
        self.there = restored(sent, self.configuration)
        assert self.there.state is InvocationState.RESTORED
        self.there.proceed()
        back = saved(self.there)
        self.there.close()
        invocation.restore(io.BytesIO(self.change(back)))
        invocation.proceed()

    def after(self, invocation) -> None:
        self.log.append(f"aM {'there' if invocation is not self.here else 'here'}")
        self.after_hook(invocation)

    def finally_(self, invocation) -> None:
        self.log.append("fM")


def saved(invocation) -> bytes:
    stream = io.BytesIO()
    invocation.save(stream)
    return stream.getvalue()


def restored(data, configuration=None) -> Invocation:
    return Invocation(configuration=configuration).restore(io.BytesIO(data))


class Rig:
    """A configuration with the chain 1, moving, 3."""

    def __init__(self) -> None:
        self.log = []
        self.configuration = Configuration()
        self.moving = Moving(self.configuration, self.log)
        self.configuration.add_advice_chain(Noting("1", self.log), self.moving, Noting("3", self.log))

    def invocation(self, *args, function=join) -> Invocation:
        made = Task.create_task(function, {"retries": 1})
        return Invocation(made, made.execution(args, {}), self.configuration)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_move(rig):
    """The inner part runs there, the outer one here; each finally_ runs where its before was entered."""
    invocation = rig.invocation("a")
    assert invocation.initiate() == Result(("a", "b"))
    assert rig.log == ["b1", "b3", "a3", "f3", "aM there", "fM", "a1", "f1"]
    assert (invocation.state, rig.moving.there.state) == (InvocationState.FINISHED, InvocationState.SUSPENDED)
    assert rig.moving.there.ids == invocation.ids
    assert rig.moving.there.task.kwargs == {"retries": 1}


def test_what_comes_along(rig):
    """The context and the attachments of both sides are together in the end; private keys have stayed at home."""
    seen = []

    class Looking(Extension):
        def on_invocation_finished(self, invocation) -> None:
            seen.append({name: attachment.open().read() for name, attachment in invocation.attachments.items()})

    rig.configuration.add_extension(Looking())
    invocation = rig.invocation("a")
    invocation.initiate()
    assert sorted(invocation.context) == ["1", "3", "_1"]
    assert invocation.context["3"] == (1, "3")
    assert seen == [{"1.txt": b"1", "3.txt": b"3"}]
    assert sorted(rig.moving.there.context) == ["1", "3", "_3"]


def test_exception_of_the_far_side(rig):
    """What the function raises there is raised here."""

    invocation = rig.invocation(1, 2)  # 2 cannot be unpacked
    with pytest.raises(TypeError):
        invocation.initiate().get()
    assert "a1" in rig.log


def test_serializers(rig):
    """A configuration moves its invocations in the form that it has chosen."""
    rig.configuration.set_serializer(JsonSerializer())
    assert rig.invocation((1, {2: (3,)})).initiate().get() == ((1, {2: (3,)}), "b")
    rig.configuration.set_serializer(PickleSerializer())
    rig.log.clear()
    assert rig.invocation(range(3)).initiate().get() == (range(3), "b")


def test_pickle_is_not_taken_for_json(rig):
    """Who reads JSON refuses a bundle that holds pickles."""
    rig.configuration.set_serializer(PickleSerializer())
    rig.moving.change = lambda data: rig.configuration.set_serializer(JsonSerializer()) and data
    with pytest.raises(SerializationError, match="no JSON"):
        rig.invocation("a").initiate()


@pytest.mark.parametrize("hook", [Invocation.proceed, lambda invocation: None])
def test_after_that_does_not_suspend(rig, hook):
    """An after that does nothing is an error of that advice; one that proceeds goes on outward there."""
    rig.moving.after_hook = hook
    with pytest.raises((AdviceProtocolError, SerializationError), match=r"Moving\.after\(\)|not the one that was sent"):
        rig.invocation("a").initiate()
    assert rig.log[-2:] == ["fM", "f1"]


def test_suspend_elsewhere(rig):
    """suspend() is for the advice that has moved the invocation, where it has moved it to."""
    invocation = rig.invocation("a")
    with pytest.raises(AdviceProtocolError, match=r"suspend\(\): that is for"):
        invocation.suspend()

    class Suspending(Advice):
        def after(self, invocation) -> None:
            invocation.suspend()

    configuration = Configuration().add_advice_chain(Suspending())
    with pytest.raises(AdviceProtocolError, match=r"Suspending\.after\(\)"):
        Invocation(invocation.task, invocation.execution, configuration).initiate()


def change_document(**changes):
    """Return what puts other values into the document of a bundle."""

    def change(data: bytes) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
            for info in old.infolist():
                content = old.read(info)
                if info.filename == "invocation.json":
                    content = json.dumps({**json.loads(content), **changes}).encode()
                new.writestr(info, content)
        return target.getvalue()

    return change


def counters(before, after, called=True, finished=False) -> dict:
    return {"before_called": before, "after_called": after, "task_called": called, "is_finished": finished}


@pytest.mark.parametrize(
    "changes",
    [
        {"counters": counters(3, 3)},
        {"counters": counters(3, 1)},
        {"counters": counters(3, 3, finished=True)},
        {"counters": counters(2, 0, called=False)},
        {"counters": counters(99, -1)},
        {"counters": {**counters(3, 2), "more": 1}},
        {"counters": counters(True, 2)},
        {"counters": None},
        {"ids": {}},
        {"ids": {"run_id": "x", "task_id": "x", "execution_id": "x", "invocation_id": "x", "session_id": None}},
        {"ids": {"run_id": 1, "task_id": "x", "execution_id": "x", "invocation_id": "x", "session_id": None}},
        {"advices": ["os.system"]},
        {"attempt": 2},
        {"attempt": 0},
        {"attempt": "1"},
        {"configuration": "os"},
        {"configuration": 5},
        {"attachments": []},
        {"attachments": [["../x", None], ["y", None]]},
        {"attachments": [["1.txt", 5], ["y", None]]},
        {"attachments": ["x", "y"]},
    ],
)
def test_something_else_comes_back(rig, changes):
    """Of what comes back every number and name must be the expected one; nothing of another bundle is taken."""
    rig.moving.change = change_document(**changes)
    invocation = rig.invocation("a")
    with pytest.raises(SerializationError):
        invocation.initiate()
    assert invocation.result is None
    assert "3" not in invocation.context
    assert invocation.state is InvocationState.FAILED
    assert rig.log[-2:] == ["fM", "f1"]


def test_unknown_chain_comes_back(rig):
    """A chain that does not exist here is named."""
    rig.moving.change = change_document(advice_chain="other")
    with pytest.raises(ChainError, match="other"):
        rig.invocation("a").initiate()


def test_what_was_sent_comes_back(rig):
    """The bundle that was sent is not taken for what was made of it."""
    kept = []
    rig.moving.before = lambda invocation: (kept.append(saved(invocation)), invocation.restore(io.BytesIO(kept[0])))
    with pytest.raises(SerializationError, match="not the one that was sent"):
        rig.invocation("a").initiate()


def test_connection_that_is_lost(rig):
    """When nobody knows what became of it, the invocation says so."""

    def lose(data):
        raise TransportLost("gone")

    rig.moving.change = lose
    invocation = rig.invocation("a")
    with pytest.raises(TransportLost):
        invocation.initiate()
    assert invocation.state is InvocationState.LOST


def test_bundle_that_is_written_and_not_used(rig):
    """An advice that has saved a bundle can still go on here."""
    rig.moving.before = lambda invocation: (saved(invocation), invocation.proceed())
    rig.moving.after = Invocation.proceed
    assert rig.invocation("a").initiate() == Result(("a", "b"))


def test_what_cannot_travel(rig):
    """Local functions, values of unknown classes and jobs stay; the error says which."""
    for invocation, why in (
        (rig.invocation("a", function=lambda one: one), "cannot be imported by another process"),
        (rig.invocation(object()), "type builtins.object cannot be written"),
    ):
        with pytest.raises(SerializationError, match=why):
            invocation.initiate()
    job = JobDefinition({"id": "job", "plugin": "shell", "command": "true"})
    invocation = rig.invocation("a")
    with pytest.raises(SerializationError, match="a job does not travel"):
        saved(Invocation(invocation.task, invocation.execution, rig.configuration, job=job))


def test_saved_before_it_began(rig):
    """An invocation that is new can be saved whole and carried out elsewhere, once."""
    rig.moving.before = rig.moving.after = Invocation.proceed
    invocation = rig.invocation("a")
    other = restored(saved(invocation), rig.configuration)
    assert other.ids == invocation.ids
    other.proceed()
    assert (other.result, other.state) == (Result(("a", "b")), InvocationState.FINISHED)
    assert rig.log == ["b1", "b3", "a3", "f3", "fM", "a1", "f1"]
    with pytest.raises(AdviceProtocolError):
        other.proceed()
    with pytest.raises(AdviceProtocolError, match="finished already"):
        restored(saved(other), rig.configuration).proceed()
    with pytest.raises(AdviceProtocolError, match="initiated once"):
        restored(saved(invocation), rig.configuration).initiate()
    other.close()


def test_saved_on_the_way_out(rig):
    """Saved in an after, it goes on with the next outer one."""
    kept = []
    rig.moving.before = Invocation.proceed
    rig.moving.after = lambda invocation: (kept.append(saved(invocation)), invocation.proceed())
    rig.invocation("a").initiate()
    rig.log.clear()
    other = restored(kept[0], rig.configuration)
    assert other.result == Result(("a", "b"))
    other.proceed()
    assert rig.log == ["a1"]
    other.close()


def test_save_and_restore_at_the_wrong_time(rig):
    """Nothing is saved while the task runs or in finally_, and nothing is restored into an invocation that has a task."""

    class Asking(Task):
        task_id = "asking"

        def execute(self, invocation) -> Result:
            saved(invocation)
            return Result()

    class Late(Advice):
        def finally_(self, invocation) -> None:
            saved(invocation)

    invocation = rig.invocation("a")
    late = Invocation(Asking(), invocation.execution, Configuration().add_advice_chain(Late()))
    found = late.initiate().exception
    assert isinstance(found, AdviceProtocolError)
    assert [type(error) for error in late.finally_errors] == [AdviceProtocolError]
    with pytest.raises(AdviceProtocolError, match=r"called restore\(\)"):
        invocation.restore(io.BytesIO(saved(invocation)))
    with pytest.raises(AdviceProtocolError, match=r"called save\(\)"):
        saved(Invocation())


def test_conclude_there(rig):
    """An inner advice that concludes early does so there, and the outer ones go on here."""
    rig.configuration.get_advice_chain()[2].before = lambda invocation: invocation.conclude(Result("early"))
    assert rig.invocation("a").initiate() == Result("early")
    assert rig.log == ["b1", "f3", "aM there", "fM", "a1", "f1"]


def test_moves_nest():
    """What was moved can be moved on, and comes home by the same way."""
    rig = Rig()
    inner = Moving(rig.configuration, rig.log)
    rig.configuration.add_advice_chain(rig.moving, inner, Noting("3", rig.log))
    assert rig.invocation("a").initiate() == Result(("a", "b"))
    assert rig.log == ["b3", "a3", "f3", "aM there", "fM", "aM there", "fM"]


def test_each_attempt_moves(rig):
    """Repeated by an outer advice, each attempt is moved anew and knows its number."""
    attempts = []

    class Twice(Advice):
        def before(self, invocation) -> None:
            results = [invocation.run_inner(), invocation.run_inner()]
            attempts.append(invocation.attempt)
            invocation.conclude(results[1])

    class Counting(Advice):
        def before(self, invocation) -> None:
            attempts.append(invocation.attempt)
            invocation.proceed()

    rig.configuration.add_advice_chain(Twice(), rig.moving, Counting())
    assert rig.invocation("a").initiate() == Result(("a", "b"))
    assert attempts == [1, 2, 1]


CONFIGURATION = """
from plainbox.tasks import Advice, Configuration, task
class Moving(Advice):
    def after(self, invocation):
        invocation.context["seen"] = (invocation.result.value, invocation.context["sent"])
        invocation.suspend()
configuration = Configuration().add_advice_chain(Moving())
"""
FUNCTIONS = """
import os
from plainbox.tasks import current_invocation, task
@task(config="fresh_config")
def work(number):
    current_invocation().attachments["there"] = b"made there"
    return number * 2, os.getpid()
"""
CHILD = """
import sys
from plainbox.tasks import Invocation
invocation = Invocation().restore(sys.stdin.buffer)
invocation.proceed()
invocation.save(sys.stdout.buffer)
invocation.close()
"""


def test_fresh_process(tmp_path, monkeypatch):
    """Another process that has the same modules goes on with the same ids, context and attachments, and no temporary
    directory is left."""
    (tmp_path / "fresh_config.py").write_text(CONFIGURATION)
    (tmp_path / "fresh_functions.py").write_text(FUNCTIONS)
    (tmp_path / "temporary").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    import fresh_functions

    def before(invocation) -> None:
        invocation.context["sent"] = {1: (2,)}
        invocation.attachments["here"] = b"made here"
        done = subprocess.run([sys.executable, "-c", CHILD], input=saved(invocation), capture_output=True, check=True)
        invocation.restore(io.BytesIO(done.stdout))
        seen.update(invocation.context, **{name: file.open().read() for name, file in invocation.attachments.items()})
        invocation.proceed()

    seen: dict = {}
    monkeypatch.setattr(sys.modules["fresh_config"].Moving, "before", lambda self, invocation: before(invocation))
    value, pid = fresh_functions.work(4)
    assert value == 8
    assert pid != os.getpid()
    assert seen == {
        "sent": {1: (2,)}, "seen": ((8, pid), {1: (2,)}), "here": b"made here", "there": b"made there",
    }  # fmt: skip
    assert list((tmp_path / "temporary").iterdir()) == []

# SPDX-License-Identifier: Apache-2.0
"""The small names that programs use which come from another library: configurations, extensions, streams, modules."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import plainbox
from plainbox.errors import AdviceProtocolError, SerializationError
from plainbox.tasks import (
    Advice,
    Configuration,
    Context,
    Execution,
    Extension,
    Interpreter,
    Invocation,
    InvocationIds,
    InvocationState,
    JsonSerializer,
    PickleSerializer,
    Result,
    SerializableValue,
    Task,
    advise_task_with_chain,
    get_configuration,
    task,
)
from plainbox.tasks.config import get_configuration as from_older_module
from plainbox.tasks.io import BytearrayGeneratorToStream, read_stream_to_generator
from plainbox.tasks.modules import get_loaded_module_name_by_path, import_object, object_as_import
from plainbox.tasks.run import get_run_id
from plainbox.tasks.user import get_current_username

ROOT = Path(plainbox.__file__).parents[1]


def answer():
    return 42


def invocation(configuration=None, function=answer) -> Invocation:
    made = Task.create_task(function)
    return Invocation(made, made.execution((), {}), configuration)


@pytest.fixture
def module(monkeypatch):
    """Return what makes a module that is imported already."""

    def make(name: str, **members) -> None:
        made = ModuleType(name)
        vars(made).update(members)
        monkeypatch.setitem(sys.modules, name, made)

    return make


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("PLAINBOX_TASKS_CONFIG_MODULE", raising=False)


def test_new_configuration():
    """A configuration begins with an empty default chain, no extension, JSON and no modules; methods can be chained."""
    configuration = Configuration()
    assert configuration.get_advice_chain("default") == ()
    assert (configuration.extensions, configuration.modules_for_distribution) == ((), ())
    assert isinstance(configuration.serializer, JsonSerializer)
    advice, extension, serializer = Advice(), Extension(), PickleSerializer()
    same = configuration.add_advice_chain(advice, name="x").add_extension(extension).set_serializer(serializer)
    assert same.add_modules_for_distribution("a", "b").add_modules_for_distribution("c") is configuration
    assert configuration.get_advice_chain("x") == (advice,)
    assert configuration.extensions == (extension,)
    assert configuration.modules_for_distribution == ("a", "b", "c")
    assert configuration.serializer is serializer


def test_configuration_of_a_module(module, monkeypatch):
    """The configuration is that of the module named, else of the variable's, else of the default module."""
    configurations = [Configuration() for _ in range(3)]
    for name, configuration in zip(("one", "two", "plainbox_tasks_config"), configurations, strict=True):
        module(name, configuration=configuration)
    assert get_configuration("one") is configurations[0]
    assert get_configuration() is configurations[2]
    monkeypatch.setenv("PLAINBOX_TASKS_CONFIG_MODULE", "two")
    assert get_configuration() is from_older_module() is configurations[1]
    assert [configuration.module_name for configuration in configurations] == ["one", "two", "plainbox_tasks_config"]


def test_module_of_a_configuration(tmp_path, monkeypatch):
    """It is the module that has made it, whoever has imported it before and whoever is the program."""
    (tmp_path / "the_config.py").write_text(
        "import the_importer\nfrom plainbox.tasks import Configuration\nconfiguration = Configuration()\n"
        "the_importer.configuration = configuration\n"
    )
    (tmp_path / "the_importer.py").write_text("")
    (tmp_path / "the_factory.py").write_text(
        "from plainbox.tasks import Configuration\ndef make(): return Configuration()\n"
    )
    (tmp_path / "the_made.py").write_text("import the_factory\nconfiguration = the_factory.make()\n")
    (tmp_path / "the_program.py").write_text(
        "from the_config import configuration\nprint(configuration.module_name)\n"
        "from the_made import configuration\nprint(configuration.module_name)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "the_program.py")], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "the_config\nthe_made\n"


def test_configuration_that_was_asked_for(module):
    """One that was made elsewhere is known by the module by which it was asked for."""
    configuration = Configuration()
    module("an_importer", configuration=configuration)
    module("asked_for", configuration=configuration)
    assert get_configuration("asked_for").module_name == "asked_for"


def test_no_configuration():
    """Without any module there is one configuration with an empty chain, and it has no name."""
    assert get_configuration() is get_configuration()
    assert get_configuration().get_advice_chain() == ()
    assert get_configuration().module_name is None


def test_bad_configurations(module, monkeypatch, tmp_path):
    """A module that is not there, has no configuration or something else in its place is told by name."""
    module("empty_config")
    module("other_config", configuration=5)
    (tmp_path / "needy_config.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LookupError, match="'empty_config' has no member 'configuration'"):
        get_configuration("empty_config")
    with pytest.raises(TypeError, match="'configuration' of 'other_config' must be a Configuration, not 5"):
        get_configuration("other_config")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        get_configuration("needy_config")
    monkeypatch.setenv("PLAINBOX_TASKS_CONFIG_MODULE", "no_such_config")
    with pytest.raises(ModuleNotFoundError, match="'no_such_config', which PLAINBOX_TASKS_CONFIG_MODULE names"):
        get_configuration()


def test_configurations_share_nothing(module):
    """Two configurations in one process have chains, extensions, serializers and runs of their own."""
    one, other = Configuration(), Configuration()
    one.add_advice_chain(Advice(), name="x").add_extension(Extension())
    one.serializer.register_value_type("recorder", Recorder)
    one.run_id, one.session_id = "run of one", "session of one"
    assert other.extensions == ()
    assert one.serializer is not other.serializer
    assert one != other
    assert (invocation(one).run_id, invocation(one).ids.session_id) == ("run of one", "session of one")
    assert (invocation(other).run_id, invocation(other).ids.session_id) == (get_run_id(), None)


class Recorder(Extension, SerializableValue):
    """Notes which callbacks are called, with what they are given."""

    def __init__(self, log) -> None:
        self.log = log

    def serialized(self):
        return []

    @classmethod
    def deserialize(cls, values):
        return cls(values)

    def on_init(self, configuration) -> None:
        self.log.append("init")

    def on_invocation_created(self, invocation) -> None:
        self.log.append("created")
        super().on_invocation_created(invocation)

    def on_session_created(self, session) -> None:
        self.log.append("created by the older name")

    def on_before_advice(self, task, execution, context) -> None:
        context["from extension"] = execution.execution_id
        self.log.append("before advice")

    def on_before_task_executed(self, invocation) -> None:
        self.log.append("before task")

    def on_after_task_executed(self, invocation) -> None:
        self.log.append(f"after task: {invocation.result.value}")

    def on_after_advice(self, task, execution, context, result) -> None:
        self.log.append(f"after advice: {result.value}")

    def on_session_finished(self, session) -> None:
        self.log.append(f"finished: {session.state.value}")


class Outside(Advice):
    """Tells when its hooks run."""

    def __init__(self, log) -> None:
        self.log = log

    def before(self, session) -> None:
        self.log.append(f"before of an advice sees {sorted(session.context)}")
        session.proceed()

    def after(self, session) -> None:
        self.log.append("after of an advice")
        session.conclude(Result("better"))


def test_extension(module):
    """An extension hears of the configuration once, and of each call in a fixed order, under new and old names."""
    log = []
    module("extended", configuration=Configuration().add_extension(Recorder(log)).add_advice_chain(Outside(log)))
    decorated = task(config="extended")(answer)
    get_configuration("extended")
    assert log == ["init"]
    for _ in range(2):
        log.clear()
        assert decorated() == "better"
        assert log == [
            "created",
            "created by the older name",
            "before advice",
            "before of an advice sees ['from extension']",
            "before task",
            "after task: 42",
            "after of an advice",
            "after advice: better",
            "finished: finished",
        ]


def test_extension_and_errors():
    """After the error of an advice an extension hears of the end, and of no result; its own errors come through."""
    log = []

    class Failing(Advice):
        def before(self, invocation) -> None:
            raise KeyError

    failing = invocation(Configuration().add_extension(Recorder(log)).add_advice_chain(Failing()))
    with pytest.raises(KeyError):
        failing.initiate()
    assert log[-2:] == ["before advice", "finished: failed"]

    class Broken(Extension):
        def on_session_finished(self, session) -> None:
            raise ValueError

    broken = invocation(Configuration().add_extension(Broken()))
    with pytest.raises(ValueError):
        broken.initiate()
    assert broken.state is InvocationState.FAILED


@pytest.mark.parametrize("callback", ["on_invocation_created", "on_before_task_executed", "on_invocation_finished"])
def test_extensions_do_not_steer(callback):
    """An extension that concludes gets an error, and the advices around it clean up."""
    log = []

    class Cleaning(Advice):
        def finally_(self, invocation) -> None:
            log.append("cleaned")

    meddling = Extension()
    setattr(meddling, callback, lambda invocation: invocation.conclude(Result("mine")))
    configuration = Configuration().add_extension(meddling).add_advice_chain(Cleaning())
    with pytest.raises(AdviceProtocolError, match="outside of the hooks"):
        invocation(configuration).initiate()
    assert log == ([] if callback == "on_invocation_created" else ["cleaned"])


def test_ids():
    """An invocation has structured ids; as a path they are hexadecimal digits only, whatever they were."""
    configuration = Configuration()
    configuration.run_id = "a_run/../with_anything"
    ids = invocation(configuration).ids
    assert InvocationIds.deserialize(ids.serialized()) == ids
    other = InvocationIds("r", "../x", "e_e", "i")
    for path in (ids.as_path(), other.as_path()):
        assert [set(part) - set("0123456789abcdef") for part in path.parts] == [set()] * 3
    assert ids.as_path().parts[:2] == (ids.task_id, ids.execution_id)
    for bad in (None, {}, {**ids.serialized(), "run_id": None}, {**ids.serialized(), "more": ""}):
        with pytest.raises(SerializationError):
            InvocationIds.deserialize(bad)


def test_calls_have_ids_of_their_own():
    """Two calls with equal arguments are two invocations of one execution."""
    one, other = invocation().ids, invocation().ids
    assert one.invocation_id != other.invocation_id
    assert (one.task_id, one.execution_id, one.run_id) == (other.task_id, other.execution_id, other.run_id)


def test_temporary_directory(tmp_path, monkeypatch):
    """The temporary directory is private, exists only when it was asked for, and goes with the invocation, also when an
    advice fails."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    paths = []

    class Asking(Advice):
        def before(self, invocation) -> None:
            paths.append(invocation.temp_dir)
            assert invocation.temp_dir == paths[-1]
            assert paths[-1].stat().st_mode & 0o777 == 0o700
            (invocation.temp_dir / "file").write_text("x")
            raise KeyError

    invocation().initiate()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError):
        invocation(Configuration().add_advice_chain(Asking())).initiate()
    assert paths
    assert list(tmp_path.iterdir()) == []
    forgotten = invocation()
    assert forgotten.temp_dir.exists()
    del forgotten
    assert list(tmp_path.iterdir()) == []


def test_attachments(tmp_path):
    """Files and bytes can be attached, under good names, once; nothing is replaced or removed."""
    file = tmp_path / "file.log"
    file.write_bytes(b"from a file")
    mine = invocation()
    mine.attachments.add("log", file, media_type="text/plain")
    mine.attachments["data.bin"] = b"\0\1"
    assert {name: (found.open().read(), found.size) for name, found in mine.attachments.items()} == {
        "log": (b"from a file", 11),
        "data.bin": (b"\0\1", 2),
    }
    assert (mine.attachments["log"].media_type, len(mine.attachments)) == ("text/plain", 2)
    for name in ("", ".hidden", "a/b", "..", "a\\b", "a\nb", "x" * 129):
        with pytest.raises(ValueError, match="cannot have the name"):
            mine.attachments[name] = b""
    with pytest.raises(ValueError, match="already"):
        mine.attachments["log"] = b""
    with pytest.raises(AttributeError):
        del mine.attachments["log"]
    (tmp_path / "link").symlink_to(file)
    for path in (tmp_path / "link", tmp_path, "/dev/null"):
        with pytest.raises(ValueError, match="no regular file"):
            mine.attachments["other"] = path
    mine.close()
    assert file.exists()


def test_progress(caplog):
    """Listeners hear of progress and of other events while the task runs; one that fails stops nothing."""
    heard = []

    class Working(Task):
        task_id = "working"

        def execute(self, invocation) -> Result:
            invocation.progress(1, 2, "half", group=("a", "b"))
            invocation.emit({"t": "own"})
            return Result()

    def fail(event):
        raise ValueError

    working = Invocation(Working(), Execution("e"))
    working.subscribe(fail)
    working.subscribe(heard.append)
    working.initiate()
    assert heard == [
        {"t": "progress", "group": ["a", "b"], "current": 1, "total": 2, "text": "half"},
        {"t": "own"},
    ]
    assert caplog.text.count("A listener of an invocation failed") == 2


RUN_IDS = """
import sys
sys.path.insert(0, sys.argv[1])
from plainbox.tasks import get_run_id, set_run_id
if sys.argv[2]:
    set_run_id(sys.argv[2])
print(get_run_id())
assert get_run_id() == get_run_id()
try:
    set_run_id("other")
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("given", ["", "mine"])
def test_run_id(given):
    """The id of the run is set before its first use, or made then; afterwards it stays."""
    lines = subprocess.run(
        [sys.executable, "-c", RUN_IDS, str(ROOT), given], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines[0] == given or (not given and len(lines[0]) == 32)
    assert "already" in lines[1]


def test_advise():
    """A task can be advised without a decorator."""
    made = Task.create_task(answer)
    assert advise_task_with_chain(made, Execution("e"), Configuration()) == Result(42)


def test_interpreter():
    """An interpreter is that of this process by default; its environment is a copy, and is replaced as a whole."""
    interpreter = Interpreter()
    assert (interpreter.path, interpreter.executable) == (tuple(sys.path), sys.executable)
    assert interpreter.set_environment(A="1").set_environment(B="2") is interpreter
    interpreter.environment["C"] = "3"
    assert interpreter.environment == {"B": "2"}
    assert Interpreter.deserialize(interpreter.serialized()) == interpreter != Interpreter(executable="x")
    assert interpreter.serialized().keys() == {"path", "executable", "environment"}
    for bad in (
        None,
        {},
        {**interpreter.serialized(), "path": [1]},
        {**interpreter.serialized(), "environment": {"a": 1}},
    ):
        with pytest.raises(SerializationError):
            Interpreter.deserialize(bad)


def test_context_that_comes_back():
    """Private keys neither leave nor come in; of the others, what comes back counts."""
    context = Context({"_mine": 1, "old": 2, "gone": 3})
    assert context.shared() == Context({"old": 2, "gone": 3})
    context.take(Context({"_mine": 5, "_theirs": 6, "old": 7}))
    assert context == Context({"_mine": 1, "old": 7})


def test_context_with_other_keys():
    """A key that is no text cannot leave, and the error names it."""
    with pytest.raises(SerializationError, match="the context has the key 5"):
        Context({5: 1}).shared()


def test_serialized_forms():
    """The values that travel say themselves what they consist of."""
    assert Context({"a": 1}).serialized() == {"attributes": {"a": 1}}
    assert Execution("e", (1,), {"a": 2}).serialized() == {"execution_id": "e", "args": (1,), "kwargs": {"a": 2}}
    assert Result(1).serialized() == {"value": 1, "exception": None}
    for cls in (Context, Execution, Result):
        for bad in (None, {}, [], {"attributes": {1: 2}}, {"value": 1, "exception": "x"}):
            with pytest.raises((SerializationError, ValueError)):
                cls.deserialize(bad)


def test_stream_of_pieces():
    """A stream of pieces fills each buffer as far as there is something, however the pieces are cut."""
    pieces = [b"abc", b"", bytearray(b"defgh"), b"i"]
    stream = BytearrayGeneratorToStream(iter(pieces))
    buffer = bytearray(4)
    read = []
    while count := stream.readinto(buffer):
        read.append(bytes(buffer[:count]))
    assert read == [b"abcd", b"efgh", b"i"]
    assert io.BufferedReader(BytearrayGeneratorToStream(pieces)).read() == b"abcdefghi"


def test_pieces_of_a_stream():
    """A stream in pieces: none is longer than the buffer, and each may be kept."""
    assert list(read_stream_to_generator(io.BytesIO(b"abcdefg"), buffer_size=3)) == [b"abc", b"def", b"g"]
    assert list(read_stream_to_generator(io.BytesIO())) == []


def test_names_to_import():
    """What a module defines can be imported by name, a method through its class; what a function has made cannot."""
    assert object_as_import(answer) == ("answer", __name__)
    assert import_object(*object_as_import(Recorder.on_init)) is Recorder.on_init
    for local in (lambda: None, 5):
        with pytest.raises(ValueError, match="import"):
            object_as_import(local)
    with pytest.raises(ModuleNotFoundError):
        import_object("x", "no_such_module")
    with pytest.raises(AttributeError):
        import_object("x", "os")


def test_names_of_programs(tmp_path):
    """The functions of a program have the name under which another process can import them."""
    (tmp_path / "package").mkdir()
    text = (
        "from plainbox.tasks import task\n@task\ndef work(): pass\n"
        "print(work.plainbox_task, work.plainbox_task.can_move)"
    )
    for name in ("package/__init__.py", "package/part.py", "program.py", "not-a-name.py"):
        (tmp_path / name).write_text("" if name.endswith("__init__.py") else text)

    def shown(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert shown("program.py") == "program.work True"
    assert shown("-m", "package.part") == "package.part.work True"
    assert shown("not-a-name.py") == "__main__.work False"
    assert shown("-c", text) == "__main__.work False"


def test_module_of_a_file():
    """The name of a loaded module is found by its file, modules without one notwithstanding."""
    assert get_loaded_module_name_by_path(io.__file__) == "io"
    assert get_loaded_module_name_by_path("/nowhere") is None


def test_user():
    """The user has a name, or at least a number."""
    assert get_current_username()
    code = (
        "import os, pwd, sys; sys.path.insert(0, sys.argv[1]); from plainbox.tasks.user import get_current_username;"
        "os.setuid(54321); print(get_current_username())"
    )
    if os.getuid() == 0:
        shown = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == "54321"

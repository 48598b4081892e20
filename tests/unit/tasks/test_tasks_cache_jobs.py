# SPDX-License-Identifier: Apache-2.0
"""Cached jobs: only where the unit says so, told as what they are, and kept when nobody can lose the outcome."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plainbox.providers.definition import from_file
from plainbox.providers.provider import Provider
from plainbox.tasks import (
    Advice,
    CancelToken,
    Configuration,
    ExecutionEngine,
    Invocation,
    JobReport,
    MemorySink,
    Result,
    Surroundings,
)
from plainbox.tasks.advices.cache import CachingAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice
from plainbox.tasks.cache import CacheStore
from plainbox.tasks.cache.output import MAX_LOG_BYTES
from plainbox.tasks.cache.tree import Trees
from plainbox.tasks.chains import Chains
from plainbox.tasks.equipment import Equipment, ProviderFiles
from plainbox.tasks.jobresult import AttachedFile, JobItem, Measurement, Progress, Subtest
from plainbox.units import JobDefinition


class World:
    """Executes jobs with the cache around them; each time the advice is another one, as in another session."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = CacheStore(directory / "cache")
        self.sink = MemorySink()
        self.items: list[JobItem] = []
        self.waiting: list[Callable[[bool], None]] = []
        self.environment = dict(os.environ)
        self.inner: list[Advice] = []

    def __call__(
        self,
        command: str = "true",
        *,
        given: dict[str, object] | None = None,
        on_error: bool = False,
        chain: str | None = None,
        **fields: object,
    ) -> JobReport:
        self.sink, self.items = MemorySink(), []
        provider = fields.pop("provider", None)
        data = {"id": "job", "plugin": "shell", "cache": "yes", "command": command, **fields}
        job = JobDefinition(
            {name: value for name, value in data.items() if value is not None},
            provider=provider,  # type: ignore[arg-type]
        )
        configuration = Configuration()
        if chain is None:
            configuration.add_advice_chain(CachingAdvice(self.store.directory, on_error=on_error), *self.inner)
        else:
            specs = ", ".join(filter(None, (f"cache(directory={self.store.directory})", chain)))
            configuration.use_job_chains(Chains(commands=[f"default={specs}"]))
        engine = ExecutionEngine(configuration)
        surroundings: dict[str, object] = {
            "environment": self.environment,
            "output": self.sink,
            "started": lambda process: None,
            "on_item": self.items.append,
        }
        report = engine.execute(job, Surroundings(**{**surroundings, **(given or {})})).get()  # type: ignore[arg-type]
        assert isinstance(report, JobReport)
        return report

    def ran(self, *args: object, **fields: object) -> bool:
        return self(*args, **fields).cached_from is None  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    directory = tmp_path / "provider"
    for name, text in {"bin/tool": "echo 1", "data/file": "x", "units/jobs.pxu": ""}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    definition = directory / "demo.provider"
    definition.write_text("[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\nrelocatable = True\n")
    return Provider(from_file(definition))


def test_hit(world: World) -> None:
    """The second time nothing runs, and the report says from which execution it is."""
    command = "echo out; echo err >&2; echo more; echo no-note >&2"
    first = world(command)
    printed = world.sink.chunks, world.sink.stdout, world.sink.stderr
    second = world(command, given={"started": lambda process: pytest.fail("something has started")})
    assert (world.sink.stdout, world.sink.stderr) == printed[1:]
    assert first.cached_from is None
    assert (second.outcome, second.return_code, second.process, second.duration) == ("pass", 0, None, 0.0)
    assert second.cached_from is not None
    assert second.cached_from.duration == first.duration
    assert second.cached_from.key == world.store.entries()[0].key
    assert "from the cache" in world.sink.notes[-1]


def test_opt_in(world: World) -> None:
    """A job that does not say ``cache: yes`` runs every time, also with the advice in the chain."""
    for _ in range(2):
        assert world.ran(cache=None)
        assert world.ran(cache="no")
        assert world.ran(plugin="shell", flags="cachable", cache=None)
    assert not world.store.directory.exists()


def test_cachable_resource(world: World) -> None:
    """A resource job with the flag needs no more."""
    assert world.ran("echo name: a", plugin="resource", flags="cachable", cache=None)
    assert not world.ran("echo name: a", plugin="resource", flags="cachable", cache=None)
    assert world.sink.stdout == b"name: a\n"


@pytest.mark.parametrize("command", ["exit 1", "kill -9 $$"])
def test_failures(world: World, command: str) -> None:
    """Only a pass is kept, unless failures are wanted too."""
    assert world.ran(command)
    assert not world.sink.notes
    assert world.ran(command)
    assert world.ran(command, on_error=True)
    assert world.ran(command)
    report = world(command, on_error=True)
    assert report.cached_from is not None
    assert report.outcome == ("fail" if command == "exit 1" else "crash")
    assert report.comments == (None if command == "exit 1" else "killed by SIGKILL (9)")


def test_ended_from_outside(world: World) -> None:
    """What ran too long or was cancelled is not kept, whatever is wanted."""
    cancel = CancelToken()
    cancel.cancel("enough")
    for _ in range(2):
        assert world.ran("true", on_error=True, given={"cancel": cancel})
    assert not world.store.entries()


@pytest.mark.parametrize(
    "fields",
    [
        {"plugin": "user-interact-verify"},
        {"flags": "noreturn"},
        {"flags": "preserve-cwd"},
        {"command": "echo x > $PLAINBOX_SESSION_SHARE/x"},
    ],
)
def test_never(world: World, fields: dict[str, object]) -> None:
    """What needs a person, its session or the end of its session is done each time."""
    for _ in range(2):
        assert world.ran(**fields)
        assert "not kept for later" in world.sink.notes[0]
    assert not world.store.entries()


def test_items(world: World) -> None:
    """What a job has told beside its output is told again; with a file among it the job runs each time."""

    class Telling(Advice):
        items: tuple[JobItem, ...] = (
            Measurement("offset", 0.3, "V", 0, 1, "pass"),
            Measurement("not taken", None),
            Subtest("a", "skip", "no \u2028 b"),
        )

        def after(self, invocation: Invocation) -> None:
            assert invocation.result is not None
            report = invocation.result.get()
            assert isinstance(report, JobReport)
            invocation.conclude(Result(replace(report, items=self.items)))

    world.inner = [Telling()]
    assert world().items == Telling.items
    report = world()
    assert report.cached_from is not None
    assert report.items == tuple(world.items) == Telling.items
    Telling.items += (AttachedFile("a", "a", 1),)
    for _ in range(2):
        assert world.ran("echo attached")


def test_attached_files(world: World) -> None:
    """A job that has attached files is not kept."""
    files = world.directory / "attachments"
    files.mkdir()
    for _ in range(2):
        assert world.ran(f"echo x > {files}/x", given={"attachments_dir": files})


def test_long_output(world: World) -> None:
    """A job that prints more than is worth it runs each time, and is not disturbed."""
    command = f"head -c {MAX_LOG_BYTES + 1} /dev/zero"
    for _ in range(2):
        assert world.ran(command)
        assert len(world.sink.stdout) == MAX_LOG_BYTES + 1


def test_kept_when_durable(world: World) -> None:
    """Nothing is kept before the outcome is durable; until then nobody else computes the same."""
    waiting: list[Callable[[bool], None]] = []
    assert world.ran(given={"once_durable": waiting.append})
    assert not world.store.entries()
    assert [path.name for path in (world.store.directory / "v1" / "locks").iterdir()]
    other: list[bool] = []
    thread = threading.Thread(target=lambda: other.append(world.ran()))
    thread.start()
    waiting[0](True)
    thread.join()
    assert other == [False]


def test_outcome_that_is_lost(world: World) -> None:
    """When the outcome is lost, so is what was to be kept."""
    waiting: list[Callable[[bool], None]] = []
    assert world.ran(given={"once_durable": waiting.append})
    waiting[0](False)
    assert not world.store.entries()
    assert not list((world.store.directory / "v1" / "locks").iterdir())


def test_unused_place(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A job passes as it would without a cache when there is no place for one."""
    world.store.directory.parent.mkdir(exist_ok=True)
    world.store.directory.touch()
    assert world().outcome == "pass"
    assert "no directory" in caplog.text


# -- what makes two executions the same


def test_unit_counts(world: World) -> None:
    """Any change of the unit is another job."""
    assert world.ran()
    for fields in ({"command": "true "}, {"id": "other"}, {"_summary": "x"}, {"shell": "/bin/sh"}):
        assert world.ran(**fields)
    assert not world.ran()


def test_environment_counts(world: World) -> None:
    """The variables that the unit declares or its command names count, and no others."""
    command = 'echo "$NAMED ${BRACED:-} $PATH"'
    assert world.ran(command, environ="DECLARED")
    for name in ("NAMED", "BRACED", "DECLARED"):
        world.environment[name] = "secret-value"
        assert world.ran(command, environ="DECLARED")
    world.environment.update(OTHER="x", PATH=f"/nowhere:{os.environ['PATH']}")
    assert not world.ran(command, environ="DECLARED")
    assert b"secret-value" not in b"".join(
        Path(entry.path).read_bytes().split(b"\n")[1] for entry in world.store.entries()
    )


def test_instance_of_a_template_counts(world: World) -> None:
    """Two instances of one template are two jobs, also with the same id."""
    keys = set()
    for value in ("a", "b"):
        job = JobDefinition(
            {"id": "job", "plugin": "shell", "cache": "yes", "command": "echo {x}"}, parameters={"x": value}
        )
        engine = ExecutionEngine(Configuration().add_advice_chain(CachingAdvice(world.store.directory)))
        engine.execute(job, Surroundings(world.environment, world.sink, lambda process: None))
        keys |= {entry.key for entry in world.store.entries()}
    assert len(keys) == 2


def test_files_of_the_provider_count(world: World, provider: Provider) -> None:
    """An edit of a program or of data, and another version, are another job; other times are not."""
    assert world.ran(provider=provider)
    os.utime(provider.base_dir / "bin" / "tool", (1, 1))
    assert not world.ran(provider=provider)
    (provider.base_dir / "data" / "file").write_text("y")
    assert world.ran(provider=provider)
    (provider.base_dir / "bin" / "tool").chmod(0o755)
    assert world.ran(provider=provider)
    (provider.base_dir / "data" / "new").touch()
    assert world.ran(provider=provider)
    (provider.base_dir / "data" / "__pycache__").mkdir()
    assert not world.ran(provider=provider)


def test_files_of_the_namespace_count(world: World, provider: Provider, tmp_path: Path) -> None:
    """A job can call the programs of all providers of its namespace, so they count like those of its own."""
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    tool = other / "bin" / "other-tool"
    tool.write_text("echo 1")
    files = ProviderFiles(str(other), {"bin": str(other / "bin"), "units": str(other / "units")}, (str(tool),))
    own = ProviderFiles(str(provider.base_dir), {"bin": str(provider.bin_dir)})
    given = {"equipment": Equipment(providers=(own, files))}
    assert world.ran(provider=provider, given=given)
    assert not world.ran(provider=provider, given=given)
    tool.write_text("echo 2")
    assert world.ran(provider=provider, given=given)
    (other / "build" / "bin").mkdir(parents=True)
    (other / "build" / "bin" / "compiled").touch()
    assert world.ran(provider=provider, given=given)


def test_linked_directories_count(world: World, provider: Provider, tmp_path: Path) -> None:
    """What is behind a link to a directory counts, and links that lead in a circle end nowhere."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "file").write_text("1")
    (provider.base_dir / "data" / "linked").symlink_to(outside)
    (outside / "deep" / "up").symlink_to(provider.base_dir)
    assert world.ran(provider=provider)
    assert not world.ran(provider=provider)
    (outside / "deep" / "file").write_text("2")
    assert world.ran(provider=provider)


def test_too_many_files(world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more files than anybody wants to look at, nothing is kept."""
    monkeypatch.setattr("plainbox.tasks.cache.tree.MOST_FILES", 10)
    for number in range(11):
        (provider.base_dir / "data" / str(number)).touch()
    for _ in range(2):
        assert world.ran(provider=provider)
        assert "more than 10 files" in world.sink.notes[0]


def test_one_walk_for_a_run(provider: Provider) -> None:
    """In one run a directory is walked again only when a name in it or below it has changed."""
    trees, data = Trees(), provider.data_dir
    assert data is not None
    (data / "deep").mkdir()
    digests = [trees.digest(data)]
    (data / "file").write_text("another")
    assert trees.digest(data) == digests[0]
    assert Trees().digest(data) != digests[0]
    for change in (data.joinpath("deep", "new").touch, data.joinpath("deep", "new").unlink, data.joinpath("n").mkdir):
        change()
        digests.append(trees.digest(data))
        assert digests[-1] == Trees().digest(data)
    assert len(set(digests)) == 3
    assert trees.digest(data / "nothing") is None


# -- what stands inside of the cache


@pytest.mark.parametrize(
    ("inner", "counts"),
    [
        ("subprocess(limits='nofile=64')", True),
        ("subprocess(env=clean)", True),
        ("subprocess(nice=5)", True),
        ("attach('*.txt')", True),
        ("timeout(limit=1h)", True),
        ("log", False),
        ("trace", False),
        ("metrics", False),
        ("skip-if(\"a.b == 'c'\")", False),
    ],
)
def test_advice_inside_counts(world: World, inner: str, counts: bool) -> None:
    """What an advice makes of an execution is not taken for what it is without it, unless that is the same."""
    assert world.ran(chain="")
    assert world.ran(chain=inner) is counts
    assert not world.ran(chain=inner)
    assert not world.ran(chain="")


def test_advice_of_a_program_counts(world: World) -> None:
    """Without a written chain the place that an advice moves to says what is other there."""
    assert world.ran("ulimit -n")
    world.inner = [SubprocessAdvice(limits=("nofile=64",))]
    assert world.ran("ulimit -n")
    assert world.sink.stdout == b"64\n"


def test_attach_outside_counts(world: World) -> None:
    """Files are attached also when the result without them was kept, on whatever side of the cache that is said."""
    files = world.directory / "attachments"
    assert world.ran("echo x > a.txt", given={"attachments_dir": files})
    assert world.ran("echo x > a.txt", given={"attachments_dir": files, "attach": ("*.txt",), "attach_bytes": 99})
    assert (files / "a.txt").read_text() == "x\n"


def test_skip_comes_first(world: World) -> None:
    """A job that is left out now is left out, though a result of it is kept."""
    chain = "skip-if(\"gpu.driver == 'nv'\")"
    assert world.ran(chain=chain)
    report = world(chain=chain, given={"resources": {"gpu": [{"driver": "nv"}]}})
    assert (report.outcome, report.cached_from) == ("skip", None)
    assert not world.ran(chain=chain, given={"resources": {"gpu": [{"driver": "other"}]}})


# -- waiting for others


def test_wait_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for another run says so, once, in the log and to who watches."""
    monkeypatch.setattr("plainbox.tasks.advices.cache._TOLD_AFTER_S", 0.01)
    waiting: list[Callable[[bool], None]] = []
    assert world.ran(given={"once_durable": waiting.append})
    told: list[JobItem] = []

    def item(item: JobItem) -> None:
        told.append(item)
        waiting[0](True)

    assert not world.ran(given={"on_item": item})
    assert [type(item) for item in told] == [Progress]
    assert "waiting for another run" in world.sink.notes[0]


def test_stop_ends_the_wait(world: World) -> None:
    """Who has asked for an end after this job does not wait for another run: the job is run, and not kept."""
    waiting: list[Callable[[bool], None]] = []
    assert world.ran(given={"once_durable": waiting.append})
    asked = iter([False, False, True])
    assert world.ran(given={"stopping": lambda: next(asked)})
    assert "another process computes the same" in world.sink.notes[0]


def test_target_counts(world: World) -> None:
    """What one machine has come to is not taken for what another one would come to."""

    class Moving(Advice):
        def __init__(self, name: str) -> None:
            self.name = name

        def target(self, invocation: object) -> str:
            return self.name

    for name in ("first", "second"):
        world.inner = [Moving(name)]
        assert world.ran()
        assert not world.ran()
    world.inner = []
    assert world.ran()

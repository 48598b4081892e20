# SPDX-License-Identifier: Apache-2.0
"""Which job starts next: after what it needs, in the order of the run list, with its locks, alone when it must."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable

import pytest

from plainbox.runner.scheduler import Scheduler, must_run_alone
from plainbox.session.state import SessionState
from plainbox.testing import catalogue_of
from plainbox.units import JobDefinition


def jobs_of(*jobs: str) -> list[JobDefinition]:
    """Return the run list of shell jobs, each written as ``id; field: value; field: value``."""
    units = []
    for job in jobs:
        name, *fields = (part.strip() for part in job.split(";"))
        lines = fields if any(field.startswith("plugin") for field in fields) else ["plugin: shell", *fields]
        units.append("\n".join([f"id: {name}", *lines, "command: true", "description: d"]))
    state = SessionState(list(catalogue_of("\n\n".join(units) + "\n").units))
    problems = state.update_desired_job_list(job for job in state.job_list if job.id.startswith("org.example::"))
    assert not problems
    return list(state.run_list)


def short(job: JobDefinition | str | None) -> str | None:
    job_id = job.id if isinstance(job, JobDefinition) else job
    return None if job_id is None else job_id.partition("::")[2]


class Run:
    """Starts what a scheduler gives, and ends it by name."""

    def __init__(self, *jobs: str, done: Iterable[str] = (), running: Iterable[str] = ()) -> None:
        self.list = jobs_of(*jobs)
        over = {f"org.example::{name}" for name in done}
        busy = {f"org.example::{name}" for name in running}
        self.scheduler = Scheduler(
            self.list, is_done=lambda job: job.id in over, running=[job for job in self.list if job.id in busy]
        )

    def start(self) -> list[str | None]:
        """Start all that can, and return it in order."""
        started = []
        while (job := self.scheduler.next()) is not None:
            started.append(short(job))
        return started

    def end(self, name: str) -> list[str | None]:
        """End a job; return what starts for that."""
        self.scheduler.ended(f"org.example::{name}")
        return self.start()


def test_order_of_the_run_list() -> None:
    """Jobs that need nothing start in the order of the run list."""
    run = Run("c", "a", "b")
    assert run.start() == ["c", "a", "b"]


@pytest.mark.parametrize(
    "field",
    ["depends: first", "after: first", "salvages: first", "requires: first.x == 'y'"],
    ids=lambda text: text[:8],
)
def test_a_job_waits_for_what_comes_before(field: str) -> None:
    """A job starts when what it depends on, follows, salvages or requires has its result, and others do not wait."""
    first = "first; plugin: resource" if "requires" in field else "first"
    run = Run(first, f"second; {field}", "third")
    assert run.start() == ["first", "third"]
    assert run.end("third") == []
    assert run.end("first") == ["second"]


def test_before() -> None:
    """A job waits for those that are to run before it."""
    run = Run("late", "early; before: late")
    assert run.start() == ["early"]
    assert run.end("early") == ["late"]


def test_all_of_several_needs() -> None:
    """Of several jobs that must come before, the last to end counts; a need that is done counts no more."""
    run = Run("a", "b", "c", "d; depends: a b; after: c", done=["b"])
    assert run.start() == ["a", "c"]
    assert run.end("c") == []
    assert run.end("a") == ["d"]


def test_groups_go_in_one_piece() -> None:
    """The jobs of a group run one after the other, before others that are ready, and beside others that run."""
    run = Run("x", "g1; group: g", "g2; group: g", "y; after: x", "z; depends: g1")
    assert [short(run.scheduler.next()) for _ in range(2)] == ["x", "g1"]
    run.scheduler.ended("org.example::g1")
    assert short(run.scheduler.next()) == "g2"
    assert run.end("x") == ["y"]
    assert run.end("y") == []
    # A need of one job of a group is a need of all of it.
    assert run.end("g2") == ["z"]


def test_one_lock() -> None:
    """Jobs that name the same lock run one after the other, in the order of the run list."""
    run = Run("a; uses: camera", "b; uses: camera", "c", "d; uses: camera")
    assert run.start() == ["a", "c"]
    assert run.end("a") == ["b"]
    assert run.end("b") == ["d"]


def test_several_locks() -> None:
    """A job with several locks has all of them or waits; one that was there first is not passed over for ever."""
    run = Run("a; uses: one", "b; uses: two one", "c; uses: two", "d; uses: one")
    assert run.start() == ["a", "c"]
    assert run.end("a") == []
    assert run.end("c") == ["b"]
    assert run.end("b") == ["d"]


def test_the_locks_of_a_group_are_held_to_its_end() -> None:
    """A lock that any job of a group names is held from the first to the last of them."""
    run = Run("g1; group: g", "g2; group: g; uses: lock", "other; uses: lock")
    assert run.start() == ["g1"]
    assert run.end("g1") == ["g2"]
    assert run.end("g2") == ["other"]


def test_the_working_directory_is_a_lock() -> None:
    """Jobs that run in the directory of Plainbox do not run at the same time."""
    run = Run("a; flags: preserve-cwd", "b; flags: preserve-cwd", "c")
    assert run.start() == ["a", "c"]
    assert run.end("a") == ["b"]


@pytest.mark.parametrize(
    "job", ["plugin: manual", "flags: noreturn", "flags: autorestart", "flags: noreturn expect-reboot"]
)
def test_alone(job: str) -> None:
    """A job that asks a person or takes the machine down waits for all that run, and all others wait for it."""
    run = Run("a", f"lone; {job}", "b")
    assert must_run_alone(run.list[1])
    assert run.start() == ["a"]
    assert run.end("a") == ["lone"]
    assert run.end("lone") == ["b"]


def test_no_lock_keeps_a_lone_job_waiting() -> None:
    """A job that runs alone needs no lock, and what waits for locks comes before it when it was before it."""
    run = Run("a; uses: x", "b; uses: x y", "lone; flags: noreturn; uses: x", "c; uses: y")
    assert run.start() == ["a"]
    assert run.end("a") == ["b"]
    assert run.end("b") == ["lone"]
    assert run.end("lone") == ["c"]


def test_what_runs_already() -> None:
    """A new scheduler knows what runs: it keeps its locks, its group goes on, and what waits for it still does."""
    run = Run(
        "a; uses: lock",
        "b; uses: lock",
        "g1; group: g",
        "g2; group: g",
        "c; depends: a",
        running=["a", "g1"],
    )
    assert run.start() == []
    assert run.end("g1") == ["g2"]
    assert run.end("a") == ["b", "c"]


def test_a_job_that_was_left_out_runs_on() -> None:
    """The end of a job that is not on a new run list any more is no surprise."""
    listed = jobs_of("a", "b")
    scheduler = Scheduler(listed[1:], is_done=lambda job: False, running=[listed[0]])
    assert short(scheduler.next()) == "b"
    scheduler.ended("org.example::a")
    scheduler.ended("org.example::b")
    assert scheduler.next() is None


def _random_jobs(chance: random.Random) -> list[str]:
    names = [f"j{number}" for number in range(30)]
    made = []
    for number, name in enumerate(names):
        fields = [name]
        if number and chance.random() < 0.4:
            fields.append(f"{chance.choice(['depends', 'after'])}: {chance.choice(names[:number])}")
        if chance.random() < 0.4:
            fields.append("uses: " + " ".join(chance.sample(["p", "q", "r"], chance.randint(1, 3))))
        if chance.random() < 0.1:
            fields.append("flags: noreturn")
        made.append("; ".join(fields))
    return made


@pytest.mark.parametrize("seed", range(20))
def test_every_job_once_whatever_ends_first(seed: int) -> None:
    """In any order of ends every job starts once, after its needs, never beside one with the same lock."""
    chance = random.Random(seed)
    run = Run(*_random_jobs(chance))
    known = {job.id: job for job in run.list}
    running: dict[str, JobDefinition] = {}
    over: list[str] = []
    while True:
        while len(running) < 4 and (job := run.scheduler.next()) is not None:
            assert set(job.depends) | set(job.after) <= set(over)
            assert all(set(job.uses).isdisjoint(other.uses) for other in running.values())
            assert not running or not any(map(must_run_alone, [job, *running.values()]))
            running[job.id] = job
        if not running:
            break
        job_id = chance.choice(list(running))
        del running[job_id]
        over.append(job_id)
        run.scheduler.ended(job_id)
    assert sorted(over) == sorted(known)


def _took_s(jobs: list[JobDefinition]) -> float:
    """Return how long a scheduler takes for all the jobs."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        scheduler = Scheduler(jobs, is_done=lambda job: False)
        running: deque[JobDefinition] = deque()
        for _ in jobs:
            while len(running) < 4 and (job := scheduler.next()) is not None:
                running.append(job)
            scheduler.ended(running.popleft().id)
        best = min(best, time.perf_counter() - began)
    return best


def _chained(number: int) -> str:
    return f"; after: j{number - 1}" if number else ""


@pytest.mark.parametrize(
    "fields", [lambda number: "", _chained, lambda number: "; uses: lock"], ids=["free", "chain", "one-lock"]
)
def test_the_cost_of_a_job_does_not_grow_with_the_list(fields: Callable[[int], str]) -> None:
    """Eight times as many jobs take about eight times as long, and not the square of it."""
    jobs = jobs_of(*(f"j{number}{fields(number)}" for number in range(4000)))
    assert _took_s(jobs) < _took_s(jobs[:500]) * 8 * 3


# -- a new run list while jobs run


def test_a_new_member_of_a_running_group_waits_for_what_it_needs() -> None:
    """A group that runs and has got a job which waits for something goes on when that has its result, and not before."""
    run = Run("x", "y; depends: x", "g1; group: g", "t; group: g; depends: y", "z; depends: t", running=["x", "g1"])
    assert run.start() == []
    assert run.end("g1") == []
    assert run.end("x") == ["y"]
    assert run.end("y") == ["t"]
    assert run.end("t") == ["z"]


def test_a_running_group_goes_on_only_at_the_end_of_its_job() -> None:
    """When what the new job of a group waits for ends first, the job still waits for the one of its group that runs."""
    run = Run("x", "g1; group: g", "t; group: g; depends: x", running=["x", "g1"])
    assert run.start() == []
    assert run.end("x") == []
    assert run.end("g1") == ["t"]
    assert run.end("t") == []


def test_a_group_that_waits_keeps_no_lock() -> None:
    """What a new job of a running group waits for can have the locks of the group."""
    run = Run("x; uses: lock", "g1; group: g; uses: lock", "t; group: g; depends: x", running=["g1"])
    assert run.start() == []
    assert run.end("g1") == ["x"]
    assert run.end("x") == ["t"]


def test_the_locks_of_new_members_are_no_circle() -> None:
    """Two running groups that both get a job which uses the lock of the other come to their ends, one after the other."""
    run = Run(
        "a1; group: a; uses: p",
        "a2; group: a; uses: q",
        "b1; group: b; uses: q",
        "b2; group: b; uses: p",
        running=["a1", "b1"],
    )
    assert run.start() == []
    first = run.end("a1") + run.end("b1")
    assert len(first) == 1
    assert first + run.end(str(first[0])) in (["a2", "b2"], ["b2", "a2"])


def _grouped_jobs(chance: random.Random) -> list[str]:
    """Return jobs, some of them in groups, whose order keeps each group in one piece."""
    made: list[str] = []
    names: list[str] = []
    for piece in range(12):
        size = chance.choice([1, 1, 2, 4])
        for member in range(size):
            name = f"j{piece}m{member}"
            fields = [name, *([f"group: g{piece}"] if size > 1 else [])]
            if names and chance.random() < 0.5:
                fields.append(f"{chance.choice(['depends', 'after'])}: {chance.choice(names)}")
            if chance.random() < 0.3:
                fields.append("uses: " + " ".join(chance.sample(["p", "q", "r"], chance.randint(1, 2))))
            made.append("; ".join(fields))
            names.append(name)
    return made


@pytest.mark.parametrize("seed", range(60))
def test_new_run_lists_keep_the_order(seed: int) -> None:
    """Whenever the run list grows, one of a group at most runs, no lock is shared, and all needs have had their results."""
    chance = random.Random(seed)
    everything = jobs_of(*_grouped_jobs(chance))
    late = {job.id for job in everything if chance.random() < 0.5}
    # What a job needs is on the list with it.
    for job in reversed(everything):
        if job.id not in late:
            late -= {*job.depends, *job.after}
    listed = [job for job in everything if job.id not in late]
    running: dict[str, JobDefinition] = {}
    over: set[str] = set()

    def scheduled() -> Scheduler:
        return Scheduler(listed, is_done=lambda job: job.id in over, running=running.values())

    scheduler = scheduled()
    while True:
        while len(running) < 4 and (job := scheduler.next()) is not None:
            assert job.id not in over
            assert {*job.depends, *job.after} <= over
            assert job.group is None or all(job.group != other.group for other in running.values())
            assert all(set(job.uses).isdisjoint(other.uses) for other in running.values())
            running[job.id] = job
        if late and (not running or chance.random() < 0.3):
            # The next ones of the whole list, and what they need, which is before them.
            late -= {job.id for job in [job for job in everything if job.id in late][: chance.randint(1, 5)]}
            listed = [job for job in everything if job.id not in late]
            scheduler = scheduled()
        elif running:
            job_id = chance.choice(list(running))
            del running[job_id]
            over.add(job_id)
            scheduler.ended(job_id)
        else:
            break
    assert over == {job.id for job in everything}

# SPDX-License-Identifier: Apache-2.0
"""The advice that keeps files of the working directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plainbox.tasks import Advice, Configuration, ExecutionEngine, JobReport, MemorySink, Surroundings
from plainbox.tasks.advices.attach import AttachAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice
from plainbox.units import JobDefinition

COMMAND = "echo a > a.log; echo b > b.txt; mkdir d; echo c > d/c.log; ln -s /etc/passwd e.log; mkfifo f.log"


class World:
    def __init__(self, directory: Path) -> None:
        self.kept = directory / "kept"
        self.sink = MemorySink()

    def execute(self, *advices: Advice, command: str = COMMAND, **given: object) -> JobReport:
        job = JobDefinition({"id": "job", "plugin": "shell", "command": command})
        surroundings = Surroundings(os.environ, self.sink, lambda process: None, attachments_dir=self.kept, **given)
        report = ExecutionEngine(Configuration().add_advice_chain(*advices)).execute(job, surroundings).get()
        assert isinstance(report, JobReport)
        return report

    @property
    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.kept)): path.read_bytes() for path in self.kept.rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("elsewhere", [(), (SubprocessAdvice(),)], ids=["here", "subprocess"])
def test_patterns(world: World, elsewhere: tuple[Advice, ...]) -> None:
    """Regular files that a pattern matches are kept, here and from a far end; links and the like are not."""
    report = world.execute(AttachAdvice(("*.log",)), *elsewhere)
    assert world.files == {"a.log": b"a\n", "d/c.log": b"c\n"}
    assert "a.log" not in report.leftovers
    assert "b.txt" in report.leftovers
    assert {item.path for item in report.items} == {"a.log", "d/c.log"}


def test_several(world: World) -> None:
    """Several of them in a chain keep what any of them wants."""
    world.execute(AttachAdvice(("a*",)), AttachAdvice(("b*",)))
    assert set(world.files) == {"a.log", "b.txt"}


def test_size(world: World) -> None:
    """What would be more than the limit is left out, and the log says so."""
    world.execute(AttachAdvice(("*",), max_bytes=10), command="head -c 11 /dev/zero > big; echo small > small")
    assert world.files == {"small": b"small\n"}
    assert world.sink.notes == ["not attached, for it is too large: big"]


@pytest.mark.parametrize("elsewhere", [(), (SubprocessAdvice(),)], ids=["here", "subprocess"])
def test_deep_directories(world: World, elsewhere: tuple[Advice, ...]) -> None:
    """Directories that go deeper than anything should cost neither the job nor its other files."""
    deep = "echo a > a.log; i=0; while [ $i -lt 1500 ]; do mkdir d; cd -P d; i=$((i+1)); done; echo > b.log"
    report = world.execute(AttachAdvice(("*.log",)), *elsewhere, command=deep)
    assert report.outcome == "pass"
    assert world.files == {"a.log": b"a\n"}


@pytest.mark.parametrize("command", ["touch 1 2 3 4 5 6", "mkdir -p d e; touch d/1 d/2 d/3 e/1"])
def test_too_many_files(world: World, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many files it is told that not all were looked at."""
    monkeypatch.setattr("plainbox.tasks.attaching.MOST_LOOKED_AT", 5)
    assert world.execute(AttachAdvice(("*",)), command=command).outcome == "pass"
    assert world.sink.notes == ["not everything could be attached: there are more than 5 files to choose from"]


def test_directory_of_somebody_else(world: World, tmp_path: Path) -> None:
    """In a directory that is not the job's own there are the files of somebody else."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "secret.log").write_text("x")
    world.execute(AttachAdvice(("*",)), command="echo > a.log", working_directory=mine)
    assert world.files == {}


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "a/../../b"])
def test_pattern_that_leads_out(pattern: str) -> None:
    """A pattern that leads out of the directory is refused."""
    with pytest.raises(ValueError, match="leads out"):
        AttachAdvice((pattern,))

# SPDX-License-Identifier: Apache-2.0
"""The result file of real jobs, honest and hostile, and the files that they attach."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path

import pytest

from plainbox.tasks import (
    AttachedFile,
    CancelToken,
    ExecutionEngine,
    JobReport,
    Measurement,
    MemorySink,
    Progress,
    Subtest,
    Surroundings,
)
from plainbox.tasks import resultfile as module
from plainbox.units import JobDefinition


class World:
    """Executes jobs and keeps what they tell."""

    def __init__(self, attachments_dir: Path) -> None:
        self.sink = MemorySink()
        self.items = []
        self.lines = []
        self.attachments_dir = attachments_dir
        self.cancel = CancelToken()

    def __call__(
        self, command: str, *, keep: bool = True, working_directory: Path | None = None, **fields
    ) -> JobReport:
        job = JobDefinition({"id": "job", "plugin": "shell", "command": command, **fields})
        surroundings = Surroundings(
            environment=os.environ,
            output=self.sink,
            started=lambda process: None,
            working_directory=working_directory,
            on_item=self.items.append,
            on_line=self.lines.append,
            cancel=self.cancel,
            attachments_dir=self.attachments_dir if keep else None,
        )
        report = ExecutionEngine().execute(job, surroundings).get()
        assert isinstance(report, JobReport)
        return report


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "attachments")


def echo(**content) -> str:
    return f"echo '{json.dumps(content)}' >> \"$PLAINBOX_RESULT\""


def test_items(world):
    """What a job tells is in its report, in order, and whoever watches has it too."""
    report = world(
        "\n".join(
            [
                echo(t="subtest", name="left", outcome="pass"),
                echo(t="measurement", name="volume", value=12, unit="dB", lower=10),
                echo(t="progress", current=1, total=2),
            ]
        )
    )
    assert report.outcome == "pass"
    assert report.comments is None
    assert report.items == (Subtest("left", "pass"), Measurement("volume", 12, "dB", 10, None, "pass"))
    assert world.items == [*report.items, Progress(1, 2)]
    assert len(world.lines) == 3


def test_a_failing_measurement(world):
    """A job with exit code 0 whose measurement is out of its limits fails, and says why."""
    report = world(echo(t="measurement", name="volume", value=2, unit="dB", lower=10))
    assert (report.outcome, report.return_code) == ("fail", 0)
    assert report.comments == "volume: 2 dB is not at least 10"


def test_a_shell_job_skips_itself(world):
    """A shell job can say that it is skipped."""
    report = world(echo(t="outcome", outcome="skip", comment="no battery"))
    assert (report.outcome, report.comments) == ("skip", "no battery")


def test_the_file_is_private_and_gone_afterwards(world):
    """Nobody else can read the file or its directory, and it does not outlive the job."""
    world('stat -c "%a" "$PLAINBOX_RESULT" "$(dirname "$PLAINBOX_RESULT")"; echo "$PLAINBOX_RESULT"')
    mode, directory_mode, path = world.sink.stdout.decode().split()
    assert (mode, directory_mode) == ("600", "700")
    assert not os.path.lexists(path)


def test_items_come_while_the_job_runs(world):
    """A line is passed on while the job is still at it."""
    seen = threading.Event()

    class Watching(list):
        def append(self, item):
            super().append(item)
            seen.set()
            world.cancel.cancel("seen")

    world.items = Watching()
    report = world(f"{echo(t='subtest', name='a', outcome='pass')}; sleep 60")
    assert seen.is_set()
    assert report.cancelled
    assert report.items == (Subtest("a", "pass"),)


def test_many_processes_append(world):
    """Lines of several processes that write at once all arrive, whole."""
    line = echo(t="subtest", name="x" * 100, outcome="pass")
    report = world(f"for p in 1 2 3 4; do (for i in $(seq 50); do {line}; done) & done; wait")
    assert len(report.items) == 200
    assert report.comments is None


def test_the_last_line_without_its_end(world):
    """A whole object without a line end counts, half of one is told."""
    report = world(
        f'{echo(t="subtest", name="a", outcome="pass")}; printf \'%s\' \'{{"t": "sub\' >> "$PLAINBOX_RESULT"'
    )
    assert report.items == (Subtest("a", "pass"),)
    assert "line 2 of its result file is no good" in (report.comments or "")
    report = world('printf \'%s\' \'{"t":"subtest","name":"b","outcome":"pass"}\' >> "$PLAINBOX_RESULT"')
    assert report.items == (Subtest("b", "pass"),)


@pytest.mark.parametrize(
    "trick",
    [
        'rm "$PLAINBOX_RESULT"; ln -s /etc/passwd "$PLAINBOX_RESULT"',
        'rm "$PLAINBOX_RESULT"; mkfifo "$PLAINBOX_RESULT"',
        'rm "$PLAINBOX_RESULT"; mkdir "$PLAINBOX_RESULT"',
        'rm "$PLAINBOX_RESULT"',
        'rm -r "$(dirname "$PLAINBOX_RESULT")"',
    ],
)
def test_the_file_is_replaced(world, trick):
    """Whatever stands in the place of the file is not read, blocks nobody, and is told; the next job has a file again."""
    report = world(f"{echo(t='subtest', name='a', outcome='pass')}; {trick}")
    assert report.outcome == "pass"
    assert report.items == (Subtest("a", "pass"),)
    assert any("replaced its result file" in note for note in world.sink.notes)
    assert world(echo(t="subtest", name="b", outcome="pass")).items == (Subtest("b", "pass"),)


def test_written_instead_of_appended(world):
    """A job that begins its file anew is told to append; what is there at the end counts."""
    report = world(
        'echo "{\\"t\\": \\"subtest\\", \\"name\\": \\"a\\", \\"outcome\\": \\"pass\\"}" > "$PLAINBOX_RESULT"; sleep 0.5;'
        'echo "{}" > "$PLAINBOX_RESULT"; sleep 0.5'
    )
    assert report.items == (Subtest("a", "pass"),)
    assert any("append with >>" in note for note in world.sink.notes)


def test_written_anew_and_as_long(world):
    """What was begun anew is read, also when it is as long as before."""
    line = 'echo "{\\"t\\": \\"subtest\\", \\"name\\": \\"%s\\", \\"outcome\\": \\"%s\\"}" > "$PLAINBOX_RESULT"'
    report = world(f"{line % ('a', 'pass')}; sleep 0.5; {line % ('b', 'fail')}")
    assert report.items == (Subtest("a", "pass"), Subtest("b", "fail"))
    assert report.outcome == "fail"
    assert any("append with >>" in note for note in world.sink.notes)


def test_a_file_without_end(world, monkeypatch):
    """A job that fills its file without end is read up to a limit, which is told, and does not fill the disk."""
    monkeypatch.setattr(module, "MOST_BYTES", 1024 * 1024)
    report = world(
        f'{echo(t="subtest", name="a", outcome="pass")}; head -c 20000000 /dev/zero >> "$PLAINBOX_RESULT"; sleep 1.2;'
        'stat -c "%b" "$PLAINBOX_RESULT"'
    )
    assert report.items == (Subtest("a", "pass"),)
    assert any("the rest is not read" in note for note in world.sink.notes)
    assert int(world.sink.stdout) * 512 < 20_000_000


def test_a_line_without_end(world):
    """A line that is too long costs a remark, and what follows it is read."""
    report = world(
        f'head -c 300000 /dev/zero | tr \'\\0\' x >> "$PLAINBOX_RESULT"; echo >> "$PLAINBOX_RESULT";'
        f"{echo(t='subtest', name='a', outcome='pass')}"
    )
    assert report.items == (Subtest("a", "pass"),)
    assert "more than 65536 bytes" in (report.comments or "")


def test_attachments(world):
    """Files that a job names are kept as they are when it ends, and are no litter."""
    report = world(
        "mkdir logs; echo one > a.txt; echo two > logs/b.txt; echo litter > c;"
        + echo(t="attachment", path="a.txt", media_type="text/plain")
        + ';printf \'{"t":"attachment","path":"%s/logs/b.txt"}\\n\' "$PWD" >> "$PLAINBOX_RESULT"; echo more >> a.txt'
    )
    assert report.items == (
        AttachedFile("a.txt", "a.txt", 9, "text/plain"),
        AttachedFile("b.txt", "logs/b.txt", 4, None),
    )
    assert (world.attachments_dir / "a.txt").read_text() == "one\nmore\n"
    assert report.leftovers == ("c",)
    for path in (world.attachments_dir, world.attachments_dir / "logs"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (world.attachments_dir / "a.txt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "link", "linked/passwd", "fifo", "directory", ".", "missing", "a//../../x"],
)
def test_nothing_from_elsewhere(world, path):
    """What is not a regular file of the working directory is not attached, and that is told."""
    report = world(
        "ln -s /etc/passwd link; ln -s /etc linked; mkfifo fifo; mkdir directory;" + echo(t="attachment", path=path),
        flags="has-leftovers",
    )
    assert report.outcome == "pass"
    assert report.items == ()
    assert any("not attached" in note for note in world.sink.notes)
    assert not world.attachments_dir.exists()


def test_too_large(world, monkeypatch):
    """A file that is too large is not attached, and that is told."""
    monkeypatch.setattr("plainbox.tasks.place.LARGEST_ATTACHED", 1000)
    report = world(
        f"head -c 2000 /dev/zero > big; echo x > small;"
        f"{echo(t='attachment', path='big')}; {echo(t='attachment', path='small')}"
    )
    assert [item.name for item in report.items] == ["small"]
    assert any("too large: big" in note for note in world.sink.notes)


def test_nobody_keeps_them(world):
    """Where attachments are not wanted none is kept, and nothing is said about it."""
    report = world(f"echo x > a; {echo(t='attachment', path='a')}", keep=False)
    assert report.items == ()
    assert world.sink.notes == []


def test_no_room_for_the_file(world, monkeypatch, tmp_path):
    """Where no result file can be made the job does not run, which is an error with the reason."""
    monkeypatch.setattr(module, "_directory", module._Directory())
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **ignored: os.mkdir(tmp_path / "missing" / "a"))
    with pytest.raises(Exception, match="no result file could be made for the job: No such file"):
        world("true", working_directory=tmp_path)

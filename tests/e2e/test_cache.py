# SPDX-License-Identifier: Apache-2.0
"""Results that are used again, and the command that looks after them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

UNITS = (
    "id: slow\nplugin: shell\ncache: yes\ncommand: echo measured; echo x >> $COUNT\n\n"
    "id: other\nplugin: shell\ncache: yes\ncommand: echo x >> $COUNT\n\n"
    "id: plain\nplugin: shell\ncommand: echo x >> $COUNT\n"
)


@pytest.fixture
def directory(provider) -> Path:
    return provider(UNITS)


@pytest.fixture
def count(plainbox) -> Path:
    path = plainbox.home / "count"
    path.touch()
    return path


def run(plainbox, directory: Path, count: Path, *words: str, **variables: str) -> tuple[int, str]:
    """Run jobs, and return how many have run and what was shown."""
    count.write_text("")
    shown = plainbox.run(
        "run",
        "--no-input",
        "--provider",
        directory,
        *(words or ("slow", "other", "plain")),
        COUNT=str(count),
        **variables,
    )
    return len(count.read_text()) // 2, shown.stderr


def items(plainbox) -> list[dict]:
    return plainbox.json("cache", "list")["items"]


def test_second_run(plainbox, directory: Path, count: Path) -> None:
    """Only what asked for it is not run again; the console, the session and the reports say so."""
    assert run(plainbox, directory, count)[0] == 3
    ran, shown = run(plainbox, directory, count, "slow", "other", "plain", "-o", f"json:{plainbox.home}/report.json")
    assert ran == 1
    assert "slow  (from the cache)" in shown
    assert "plain  (from the cache)" not in shown
    report = json.loads((plainbox.home / "report.json").read_text())
    results = {result["full_id"]: result for result in report["results"]}
    cached = results["org.example::slow"]
    assert cached["outcome"] == "pass"
    assert cached["io_log"] == "measured\n"
    assert "not run" in cached["comments"]
    assert cached["cached_from"]["key"] in [item["key"] for item in items(plainbox)]
    assert "cached_from" not in results["org.example::plain"]
    assert "from the cache" in plainbox.jobs()["org.example::slow"]["reason"]
    assert plainbox.run("export", "-f", "html").stdout.count("not run: this is from the cache") >= 2


def test_edit(plainbox, directory: Path, count: Path) -> None:
    """An edit of the unit, another value of a variable and another setting have the job run."""
    assert run(plainbox, directory, count, "slow")[0] == 1
    assert run(plainbox, directory, count, "slow")[0] == 0
    units = directory / "units" / "units.pxu"
    units.write_text(units.read_text().replace("measured", "weighed"))
    assert run(plainbox, directory, count, "slow")[0] == 1
    assert run(plainbox, directory, count, "slow", PLAINBOX_CONF_CACHE__MODE="refresh")[0] == 1
    assert run(plainbox, directory, count, "slow")[0] == 0


def test_list_and_info(plainbox, directory: Path, count: Path) -> None:
    """What is kept is listed, the last used first, and told with what its key is made of."""
    assert plainbox.run("cache", "list").stdout == ""
    run(plainbox, directory, count)
    listed = items(plainbox)
    assert {item["of"] for item in listed} == {"org.example::slow", "org.example::other"}
    key = listed[0]["key"]
    told = plainbox.json("cache", "info", key[:8])
    assert told["key"] == key
    assert told["parts"]["provider"] == "org.example:demo 1.0"
    assert plainbox.run("cache", "list").stdout.startswith(key[:16])
    assert key in plainbox.run("cache", "info", key[:8]).stdout
    assert "no kept result" in plainbox.run("cache", "info", "nothing", code=2).stderr
    assert str(count) not in json.dumps(told)


def test_damage(plainbox, directory: Path, count: Path) -> None:
    """A damaged result is found by verify, and a run that meets one warns once and runs the job."""
    run(plainbox, directory, count)
    for item in items(plainbox):
        path = Path(plainbox.json("cache", "info", item["key"])["path"])
        path.write_bytes(path.read_bytes()[:-3])
    ran, shown = run(plainbox, directory, count, "slow")
    assert ran == 1
    assert shown.count("is no good") == 1
    found = plainbox.run("cache", "verify", "--json", code=1)
    assert len(json.loads(found.stdout)["removed"]) == 1
    assert plainbox.run("cache", "verify").stdout.startswith("1 result good")


def test_clearing_away(plainbox, directory: Path, count: Path) -> None:
    """Results go by their job, their age and their size, or all at once."""
    run(plainbox, directory, count)
    assert "nothing says which" in plainbox.run("cache", "evict", code=2).stderr
    plainbox.run("cache", "evict", "--job", "*::slow")
    assert [item["of"] for item in items(plainbox)] == ["org.example::other"]
    assert plainbox.json("cache", "evict", "--older-than", "1d")["removed"] == []
    path = plainbox.json("cache", "info", items(plainbox)[0]["key"])["path"]
    os.utime(path, (time.time() - 100_000,) * 2)
    assert len(plainbox.json("cache", "evict", "--older-than", "1d")["removed"]) == 1
    run(plainbox, directory, count)
    assert plainbox.json("cache", "evict", "--max-size", "1 MiB")["left"] == 2
    assert plainbox.json("cache", "evict", "--max-size", "0")["left"] == 0
    run(plainbox, directory, count)
    assert "2 results removed" in plainbox.run("cache", "clear").stderr
    assert run(plainbox, directory, count)[0] == 3


def test_limit_of_the_settings(plainbox, directory: Path, count: Path) -> None:
    """What is kept stays below the limit that the settings name."""
    run(plainbox, directory, count, PLAINBOX_CONF_CACHE__MAX_SIZE="1500")
    assert len(items(plainbox)) == 1
    refused = plainbox.run("cache", "list", PLAINBOX_CONF_CACHE__MAX_SIZE="much", code=2).stderr
    assert "[cache] max_size: 'much'" in refused


def test_directory_of_others(plainbox, directory: Path, count: Path) -> None:
    """A cache that others can write to is refused by the command, and a run goes without it, with a warning."""
    run(plainbox, directory, count)
    Path(plainbox.json("cache", "list")["directory"]).chmod(0o777)
    assert "written by others" in plainbox.run("cache", "list", code=4).stderr
    ran, shown = run(plainbox, directory, count)
    assert ran == 3
    assert shown.count("written by others") == 1


class TwoRuns:
    """Two runs of a job that waits for a file; the first one is in it."""

    def __init__(self, plainbox, provider, tmp_path: Path) -> None:
        self.begun, self.end = tmp_path / "begun", tmp_path / "end"
        self.begun.touch()
        command = "echo x >> $BEGUN; while [ ! -e $END ]; do sleep 0.02; done; echo measured"
        self._words = (
            "run",
            "--no-input",
            "--provider",
            provider(f"id: slow\nplugin: shell\ncache: yes\ncommand: {command}\n"),
            "slow",
        )
        self._plainbox = plainbox
        self.first = self.start()
        self.wait_for(lambda: self.times == 1)

    @property
    def times(self) -> int:
        """How often the job has been started."""
        return len(self.begun.read_text()) // 2

    def start(self):
        return self._plainbox.start(*self._words, BEGUN=str(self.begun), END=str(self.end))

    def wait_for(self, condition) -> None:
        give_up_at_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < give_up_at_s
            time.sleep(0.02)

    def wait_for_note(self) -> None:
        """Wait until a run tells in its log that it waits for another one."""
        logs = self._plainbox.sessions
        self.wait_for(lambda: any(b"waiting for another run" in path.read_bytes() for path in logs.rglob("*.iolog")))


@pytest.fixture
def two_runs(plainbox, provider, tmp_path: Path) -> TwoRuns:
    return TwoRuns(plainbox, provider, tmp_path)


def test_two_runs_at_once(plainbox, two_runs: TwoRuns) -> None:
    """Of two runs that need the same one runs the job, and the other one waits for it and says so."""
    second = two_runs.start()
    two_runs.wait_for_note()
    two_runs.end.touch()
    shown = [run.communicate(timeout=60)[1] for run in (two_runs.first, second)]
    assert (two_runs.first.returncode, second.returncode) == (0, 0)
    assert ["(from the cache)" in text for text in shown] == [False, True]
    assert two_runs.times == 1
    assert len(items(plainbox)) == 1


def test_stop_of_the_run_that_waits(plainbox, two_runs: TwoRuns) -> None:
    """Who asks a run to stop that waits for another one need not wait for that: the job runs, and the run stops."""
    second = two_runs.start()
    two_runs.wait_for_note()
    second.send_signal(signal.SIGINT)
    two_runs.wait_for(lambda: two_runs.times == 2)
    two_runs.end.touch()
    for run in (two_runs.first, second):
        run.communicate(timeout=60)
    assert len(items(plainbox)) == 1


def test_first_run_is_killed(plainbox, two_runs: TwoRuns) -> None:
    """A run that is killed in the job keeps nothing, and whoever waits for it runs the job."""
    second = two_runs.start()
    two_runs.wait_for_note()
    two_runs.first.kill()
    two_runs.first.communicate()
    two_runs.wait_for(lambda: two_runs.times == 2)
    assert items(plainbox) == []
    two_runs.end.touch()
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert len(items(plainbox)) == 1

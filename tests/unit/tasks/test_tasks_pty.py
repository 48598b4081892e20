# SPDX-License-Identifier: Apache-2.0
"""Programs that write to a terminal of their own."""

from __future__ import annotations

import os

import pytest

from plainbox.tasks import Deadline, MemorySink, Surroundings
from plainbox.tasks.place import HERE, Program
from plainbox.tasks.process import Ending


def run(command: str, sink: MemorySink, limit_s: float | None = None) -> Ending:
    surroundings = Surroundings(dict(os.environ), sink, lambda process: None)
    deadline = None if limit_s is None else Deadline.after(limit_s, 0.2)
    return HERE.run(Program(("bash", "-c", command), pty=True), surroundings, deadline)


def test_what_is_a_terminal() -> None:
    """Output and error are a terminal of 80 columns, the input is not, and there is none to ask anything on."""
    sink = MemorySink()
    run("test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?; stty size < /dev/stdout; (: < /dev/tty) 2> /dev/null "
        "|| echo none", sink)  # fmt: skip
    assert sink.stdout.decode().split("\n") == ["1", "0", "0", "24 80", "none", ""]


@pytest.mark.parametrize("command", ["seq 200000", "seq 200000 &"])
def test_all_of_it(command: str) -> None:
    """Every byte comes as it was written, also the last ones of a long output, all of it on one stream."""
    expected = "".join(f"{number}\n" for number in range(1, 200_001)).encode()
    for _ in range(5):
        sink = MemorySink()
        run(f"{command} {'wait' if command.endswith('&') else ''}", sink)
        assert sink.stdout == expected
        assert sink.stderr == b""


def test_control_bytes() -> None:
    """Nothing in the output is a command for the terminal."""
    sink = MemorySink()
    run(r"printf 'a\003\004\r\nb\033[31m\377\n'; echo err >&2", sink)
    assert sink.stdout == b"a\x03\x04\r\nb\x1b[31m\xff\nerr\n"


def test_leaked_writer() -> None:
    """Whoever goes on writing to it is ended, and keeps nobody waiting."""

    class Count(MemorySink):
        def write(self, stream, data) -> None: ...

    ending = run("yes & exit 3", Count())
    assert ending.return_code == 3
    assert [stat.name for stat in ending.left] == ["yes"]


def test_limit() -> None:
    """A limit ends it like any other program."""
    ending = run("echo begun; sleep 60", MemorySink(), 0.3)
    assert (ending.ended_by, ending.survivors) == ("deadline", ())


def test_nothing_stays_open() -> None:
    """Both ends are closed when it is over."""
    run("true", MemorySink())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run("echo some", MemorySink())
    assert len(os.listdir("/proc/self/fd")) == before

# SPDX-License-Identifier: Apache-2.0
"""The edge of a program: every end is a message and an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plainbox.streams import Streams, carry_out, clean

STREAMS = Streams("manage.py")


def test_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What the work returns is the exit code, and nothing is said."""
    assert carry_out(STREAMS, lambda: 7) == 7
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("raise ProviderError('bad', origin=Origin('x', 3), hint='mend it')", 2, "manage.py: x:3: bad\n  mend it\n"),
        ("open('/no/such/file')", 4, "manage.py: /no/such/file: No such file or directory\n"),
        ("raise BrokenPipeError", 0, ""),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_errors(statement: str, code: int, said: str) -> None:
    """Errors that have a cause outside are one message, with what to do; nobody is told of an interrupt."""
    program = (
        "import sys\n"
        "from plainbox.errors import ProviderError\n"
        "from plainbox.streams import Streams, carry_out\n"
        "from plainbox.units.origin import Origin\n"
        f"def work():\n    {statement}\n"
        "sys.exit(carry_out(Streams('manage.py'), work))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (code, said, "")


def test_a_fault_of_the_program(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    """The traceback goes to a file that only its owner can read, and its path is told."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def work() -> int:
        raise ZeroDivisionError("oh\nno")

    assert carry_out(STREAMS, work) == 70
    said = capsys.readouterr().err
    assert said.startswith("manage.py: internal error: ZeroDivisionError: oh\n  the details are in ")
    path = Path(said.rpartition(" ")[2].strip())
    assert "Traceback" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert path.is_relative_to(tmp_path)


def test_hostile_text() -> None:
    """Control characters are shown, not sent; line ends stay."""
    assert clean("a\x1b[31m\nb\x07") == "a\\x1b[31m\nb\\x07"


def test_nobody_listens() -> None:
    """Talk that nobody reads any more does not end what is being done."""
    program = (
        "import sys; from plainbox.streams import Streams\n"
        "[Streams('x').say('a' * 100) for _ in range(2000)]; print('done')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.close()
        assert process.stdout.read() == b"done\n"

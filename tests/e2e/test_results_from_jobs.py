# SPDX-License-Identifier: Apache-2.0
"""Jobs that tell of themselves and function jobs, by the real command: run, shown, archived, salvaged, installed."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

UNITS = """
id: tells
flags: simple
command:
 tell() { printf '%s\\n' "$1" >> "$PLAINBOX_RESULT"; }
 tell '{"t": "measurement", "name": "volume", "value": 12, "unit": "dB", "lower": 10}'
 for n in 1 2 3; do
   tell "{\\"t\\": \\"progress\\", \\"current\\": $n, \\"total\\": 3, \\"text\\": \\"step\\"}"; sleep 0.3
 done
 echo content > kept.txt
 tell '{"t": "attachment", "path": "kept.txt"}'
 tell nonsense

id: function
plugin: function
function: checks:check
kwargs: {"count": 3}

id: dies
flags: simple
command:
 echo '{"t": "subtest", "name": "first", "outcome": "pass"}' >> "$PLAINBOX_RESULT"
 echo x > kept.txt; echo '{"t": "attachment", "path": "kept.txt"}' >> "$PLAINBOX_RESULT"
 test -e "$PLAINBOX_SESSION_SHARE/once" && exit 0
 touch "$PLAINBOX_SESSION_SHARE/once"; sleep 0.5; kill -9 $PPID; sleep 60
"""
CHECKS = (
    "from plainbox.tasks.reporting import measure\n\n\n"
    "def check(count):\n    assert type(count) is int\n    measure('count', count)\n"
)


def _provider(provider) -> Path:
    directory = provider(UNITS)
    (directory / "python").mkdir()
    (directory / "python" / "checks.py").write_text(CHECKS)
    return directory


def test_told_shown_and_kept(plainbox, provider, tmp_path) -> None:
    """What a job tells is shown by the command, survives an archive and a salvage, and a bad line costs a remark."""
    plainbox.run("run", "--no-input", "--provider", _provider(provider), "tells", "function")
    shown = plainbox.run("session", "show", "--job", "tells").stdout
    assert "  volume: 12 dB (at least 10, good)\n" in shown
    assert "kept.txt (8 bytes)" in shown
    assert "line 6 of its result file is no good: it is not JSON" in shown
    [attempt] = plainbox.jobs()["org.example::function"]["attempts"]
    assert attempt["measurements"] == [{"name": "count", "value": 3}]
    [path] = plainbox.sessions.glob("*.session/attachments/*/kept.txt")
    assert path.read_text() == "content\n"
    session = path.parents[2].name.removesuffix(".session")
    plainbox.run("session", "salvage", "--into", "copy", session)
    plainbox.run("session", "archive", session, "-o", tmp_path / "a.tar.gz")
    plainbox.run("session", "restore", tmp_path / "a.tar.gz", "--as", "back")
    for name in ("copy", "back"):
        assert (plainbox.sessions / f"{name}.session" / path.relative_to(path.parents[2])).read_text() == "content\n"
        plainbox.run("session", "verify", "--deep", name)


def test_a_tester_that_dies(plainbox, provider) -> None:
    """The attempt that dies with its tester has told nothing that counts; the next one starts anew."""
    plainbox.run("run", "--no-input", "--provider", _provider(provider), "dies", code=-9)
    plainbox.run("resume", "--no-input", code=None)
    plainbox.run("session", "verify", "--deep")
    attempts = plainbox.jobs()["org.example::dies"]["attempts"]
    assert [("subtests" in item, item["outcome"]) for item in attempts[:1]] == [(False, "crash")]


def test_an_installed_provider(plainbox, provider) -> None:
    """The modules of function jobs are installed with a provider and found from there."""
    directory = _provider(provider)
    prefix = plainbox.home / "prefix"
    (directory / "manage.py").write_text(
        "from plainbox.provider_manager import setup\nsetup(name='org.example:demo', version='1.0', description='d')\n"
    )
    for layout in ("flat", "unix"):
        plainbox.run("provider", "install", "--provider", directory, "--prefix", prefix / layout, "--layout", layout)
        definitions = prefix / layout / "share" / "plainbox-providers-1"
        plainbox.run("run", "--no-input", "function", PROVIDERPATH=str(definitions))
    assert len(list(prefix.rglob("checks.py"))) == 2
    plainbox.run("provider", "sdist", "--provider", directory)
    [archive] = (directory / "dist").glob("*.tar.gz")
    listed = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout
    assert "/python/checks.py" in listed


def test_progress_on_a_terminal(plainbox, provider) -> None:
    """A terminal shows how far the job is, in one line that is gone at the end; a pipe shows nothing of it."""
    command = plainbox.command("run", "--no-input", "--provider", _provider(provider), "tells")
    master, child = pty.openpty()
    environment = {**plainbox.environment, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=child, cwd=plainbox.home
    )
    os.close(child)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(master)
    assert process.wait() == 0
    assert b"2 of 3 step" in shown
    assert b"of 3 step" not in shown[shown.rindex(b"\x1b[2K") :]
    piped = plainbox.run("run", "--no-input", "--provider", provider(UNITS), "tells")
    assert "of 3" not in piped.stderr

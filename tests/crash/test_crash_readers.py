# SPDX-License-Identifier: Apache-2.0
"""Readers beside a writer, beside a run, as somebody else, and on a medium that cannot be written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import can_mount
from kills_support import Lab, quick_units
from readers import EarlyNameFiles, run, watch
from scale import Tally


def test_readers_see_valid_states_only(tmp_path: Path) -> None:
    """Whoever looks on sees one acknowledged state after the other, through compactions and new writers."""
    figures = run(trials=250, seed=1, base=tmp_path)
    assert figures.good, figures.line()
    assert figures.trials > 10


def test_the_readers_notice_a_name_that_comes_too_early(tmp_path: Path) -> None:
    """A writer that shows a generation before it is complete does not pass."""
    tally = Tally()
    for seed in range(10):
        watch(tally, 250, seed, tmp_path, files=EarlyNameFiles())
        if not tally.figures("readers").good:
            break
    assert not tally.figures("readers").good


#: Somebody who may read what is there, and nothing else: neither write nor own.
_READER = (
    "setpriv --reuid=65534 --regid=65534 --clear-groups"
    " --inh-caps=-all,+dac_read_search --ambient-caps=+dac_read_search"
)


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a directory that everybody may enter."""
    directory = Path(tempfile.mkdtemp(prefix="plainbox-readers-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def _names(directory: Path) -> set[str]:
    return {str(path) for path in directory.rglob("*")}


@contextlib.contextmanager
def _held_run(lab: Lab, hold: Path) -> Iterator[None]:
    """Have a run that stands still in its third job."""
    hold.touch()
    process = lab.started(HOLD=str(hold))
    try:
        while "02" not in lab.ledger.read_text():
            assert process.poll() is None
        yield
    finally:
        hold.unlink()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


@contextlib.contextmanager
def _seen_read_only(source: Path, place: Path) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "--bind", source, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


_HELD = 'test NUMBER -lt 2 || while test -e "$HOLD"; do sleep 0.01; done'


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become somebody else")
def test_another_user_reads_along(public: Path) -> None:
    """With the right to read, and no other, somebody else can list and show a running session; no file is made."""
    lab = Lab.at(public, quick_units(4, _HELD))
    with _held_run(lab, public / "hold"):
        _look(lab, public, lab.plainbox.sessions, *_READER.split())


@pytest.mark.skipif(not can_mount(), reason="only root can mount")
def test_a_read_only_medium_is_read(public: Path) -> None:
    """A running session can be listed and shown where nothing can be written; no file is made."""
    lab = Lab.at(public, quick_units(4, _HELD))
    with (
        _held_run(lab, public / "hold"),
        _seen_read_only(lab.plainbox.sessions, public / "read-only") as place,
    ):
        _look(lab, public, place)


def _look(lab: Lab, watched: Path, sessions: Path, *prefix: str) -> None:
    [storage] = lab.stored()
    home = str(watched / "nowhere")
    environment = {**lab.plainbox.environment, "HOME": home, "XDG_STATE_HOME": home}
    environment |= {"PLAINBOX_SESSION_REPO": str(sessions), "PYTHONDONTWRITEBYTECODE": "1"}
    before = _names(lab.plainbox.home)
    for words in (["list"], ["show"], ["show", storage.id], ["show", "--json"]):
        done = subprocess.run(
            [*prefix, *lab.plainbox.command("session", *words)],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert storage.id in done.stdout
    assert _names(lab.plainbox.home) == before

# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only or interfered with, under a real run.

As root each scenario has a file system of its own, 8 MiB of memory, mounted in the rig's directory and unmounted at the
end in every case. Without that right the store alone is tried at the seam, and a limit for the size of files stands in
for the full disk.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kills_support import Lab, quick_units
from scale import Figures, Tally
from store_rig import ck, full, results_of

from plainbox.errors import SessionError, StorageError, StorageFullError
from plainbox.session.files import Buffer, FileOps
from plainbox.session.storage import SessionStorage
from plainbox.testing.files import FaultyFiles

__all__ = ["SCENARIOS", "SilentFiles", "can_mount", "fill_the_store", "run", "small_disk"]

_JOBS = 6


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Play ``trials`` scenarios, one after the other and from the beginning again, in an order of the seed."""
    tally = Tally()
    names = list(SCENARIOS)
    random.Random(seed).shuffle(names)
    for trial in range(trials):
        name = names[trial % len(names)]
        tally.trials += 1
        SCENARIOS[name](tally, base / f"{trial}-{name}")
    return tally.figures("disk", "on file systems of its own" if can_mount() else "at the seam: no right to mount")


@functools.cache
def can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", place], check=True)
    return True


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount 8 MiB there; what is still open in it does not keep it mounted."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(place: Path) -> Path:
    """Leave no block free there; deleting the returned file makes room again."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    return ballast


# -- the store alone


class SilentFiles(FileOps):
    """A planted bug: a write without space is taken for a good one."""

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        try:
            return super().pwrite(fd, data, offset)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return len(data)
            raise


def fill_the_store(tally: Tally, base: Path, files: FileOps | None = None) -> None:
    """Save until there is no space, make some, go on, and find everything that was acknowledged."""
    with small_disk(base) if can_mount() else contextlib.nullcontext(base) as disk:
        seam = None if can_mount() else FaultyFiles()
        storage = SessionStorage.create(disk / "sessions", files=files or seam)
        storage.save_checkpoint(full(meta={"title": "full"}))
        acknowledged, refused = [], 0
        ballast = None
        for number in range(400):
            try:
                storage.save_checkpoint(_large(number))
            except StorageFullError as error:
                refused += 1
                tally.expect(error.errno == errno.ENOSPC, f"full store: errno {error.errno}")
                tally.expect(bool(error.hint), "full store: no hint")
                if refused == 3:
                    _make_room(ballast, seam)
            except StorageError as error:
                tally.violations.append(f"full store: {error}")
                break
            else:
                acknowledged.append(number)
            if number == 50:
                ballast = _take_room(disk, seam)
        storage.close()
        tally.expect(refused == 3, f"full store: refused {refused} times")
        tally.acknowledged += len(acknowledged)
        try:
            found = sorted(results_of(SessionStorage(storage.location).load_checkpoint()).values())
        except SessionError as error:
            tally.unreadable += 1
            tally.violations.append(f"full store: {error}")
            return
        tally.lost += len(set(acknowledged) - set(found))
        tally.expect(set(found) <= set(acknowledged), "full store: a refused result is there")


def _large(number: int) -> bytes:
    return ck(res=[[f"org.example::job-{number}", 1, {"return_code": number, "comments": "x" * 2000}]])


def _take_room(disk: Path, seam: FaultyFiles | None) -> Path | None:
    if seam is None:
        return fill_up(disk)
    seam.write_limit = 100
    seam.fail("pwrite", errno.ENOSPC, lambda number: number % 3 == 0)
    return None


def _make_room(ballast: Path | None, seam: FaultyFiles | None) -> None:
    if ballast is not None:
        ballast.unlink()
    if seam is not None:
        seam.heal()
        seam.write_limit = None


# -- a run

#: The first two jobs just run; the others wait as long as the file is there.
_HELD = "test NUMBER -lt 2 || while test -e \"$HOLD\"; do sleep 0.01; done; head -c 100000 /dev/zero | tr '\\0' x; echo"


class _Scene:
    """A run on a small disk that stands still in its third job."""

    def __init__(self, tally: Tally, base: Path, name: str) -> None:
        self.tally, self.name = tally, name
        self.lab = Lab.at(base, quick_units(_JOBS, _HELD))
        self.disk = self.lab.plainbox.sessions
        self.hold = base / "hold"
        self.said = ""
        self._mounted = contextlib.ExitStack()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> _Scene:
        if can_mount():
            self._mounted.enter_context(small_disk(self.disk))
        self.hold.touch()
        try:
            self._process = self.lab.started(HOLD=str(self.hold))
            while "02" not in self.lab.ledger.read_text():
                assert self._process.poll() is None, self._process.communicate()
                time.sleep(0.005)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.unlink(missing_ok=True)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        self._mounted.close()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def session(self) -> Path:
        [storage] = self.lab.stored()
        return Path(storage.location)

    @property
    def journal(self) -> Path:
        return max(self.session.glob("journal-*.pbj"))

    def expect(self, holds: bool, otherwise: str) -> None:
        self.tally.expect(holds, f"{self.name}: {otherwise}\n{self.said}")

    def go_on(self) -> None:
        self.hold.unlink()

    def wait_for(self, words: str) -> None:
        """Read what the run says until it says so."""
        self.said += _read_until(self.process, words)
        self.expect(words in self.said, f"the run has ended and never said {words!r}")

    def end(self, *codes: int, words: str = "") -> None:
        """Wait for the end of the run and look at its exit code and at what it says."""
        _, stderr = self.process.communicate(timeout=100)
        self.said += stderr
        self.look(self.process.returncode, codes, words)

    def refused(self, *command: str, code: int, words: str) -> None:
        done = self.lab.plainbox.run(*command, code=None, **self.lab.variables)
        self.said = done.stderr
        self.look(done.returncode, (code,), words)

    def look(self, code: int, codes: tuple[int, ...], words: str) -> None:
        self.expect(code in codes, f"exit {code}, not {codes}")
        self.expect("Traceback" not in self.said and "internal error" not in self.said, "an internal error")
        self.expect(words in self.said, f"nothing said of {words!r}")

    def judge(self, *, crashes: int) -> None:
        """Go on with what is left, and look at the whole session."""
        shown = Lab.shown(self.said)
        self.said += self.lab.conclude(self.tally, shown, jobs=_JOBS, crashes=crashes, trial=self.name)


def _freed(scene: _Scene) -> None:
    """The run waits for space and goes on by itself when there is some."""
    with _no_space(scene):
        scene.go_on()
        scene.wait_for("waiting for space")
    scene.end(0)
    scene.judge(crashes=0)


def _stopped_when_full(scene: _Scene) -> None:
    """A run that waits for space can be stopped; the job that was running is the only one to suffer."""
    with _no_space(scene):
        scene.go_on()
        scene.wait_for("waiting for space")
        scene.process.terminate()
        scene.end(3, 6, 143, words="plainbox resume")
    scene.judge(crashes=1)


def _killed_when_full(scene: _Scene) -> None:
    """A run that is killed while it waits for space has what it had before."""
    with _no_space(scene):
        scene.go_on()
        scene.wait_for("waiting for space")
        scene.process.kill()
        scene.end(-9)
        # Reading needs no space; going on does, and says so.
        shown = scene.lab.plainbox.run("session", "show", code=None)
        scene.expect(shown.returncode == 0, f"session show on a full disk: exit {shown.returncode}: {shown.stderr}")
        with scene.lab.start("resume", "--no-input") as again:
            said = _read_until(again, "waiting for space")
            again.terminate()
            scene.expect(again.wait() in (3, 6, 143), f"resume on a full disk: exit {again.returncode}")
            scene.expect("space" in said, f"resume on a full disk: {said}")
    scene.judge(crashes=1)


def _read_only(scene: _Scene) -> None:
    """On a read-only medium a session can be shown and not resumed; nothing is changed by trying."""
    if not can_mount():
        return
    scene.process.kill()
    scene.go_on()
    scene.end(-9)
    mount = ["mount", "-o"]
    subprocess.run([*mount, "remount,ro", str(scene.disk)], check=True)
    before = _contents(scene.session)
    shown = scene.lab.plainbox.run("session", "show", code=None)
    scene.expect(shown.returncode == 0, f"session show on a read-only medium: {shown.stderr}")
    scene.refused("resume", "--no-input", code=3, words="Read-only file system")
    scene.expect(_contents(scene.session) == before, "a read-only session has changed")
    subprocess.run([*mount, "remount,rw", str(scene.disk)], check=True)
    scene.judge(crashes=1)


def _removed(scene: _Scene) -> None:
    """A session whose directory is deleted under its run cannot go on, and the run says so."""
    shutil.rmtree(scene.session)
    scene.go_on()
    scene.end(3, words="session")
    scene.expect(scene.lab.stored() == [], "a removed session is there again")


def _truncated(scene: _Scene) -> None:
    """A journal that somebody else has cut short is not written to any more, and not taken for a good one."""
    os.truncate(scene.journal, scene.journal.stat().st_size // 2)
    before = scene.journal.read_bytes()
    scene.go_on()
    scene.end(3, words="somebody else changed")
    scene.expect(scene.journal.read_bytes() == before, "a journal that somebody has cut was written to")
    scene.refused("resume", "--no-input", str(scene.session.name[:-8]), code=3, words="was acknowledged")


def _limited(scene: _Scene) -> None:
    """A limit for the size of files is a full disk: the run waits until it is lifted."""
    size = scene.journal.stat().st_size
    pid, infinity = scene.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 50, infinity))
    scene.go_on()
    scene.wait_for("waiting for space")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (infinity, infinity))
    scene.end(0)
    scene.judge(crashes=0)


@contextlib.contextmanager
def _no_space(scene: _Scene) -> Iterator[None]:
    """Fill the disk, or where there is none of our own, forbid the run to make its files any larger."""
    if can_mount():
        ballast = fill_up(scene.disk)
        try:
            yield
        finally:
            ballast.unlink()
        return
    pid, infinity = scene.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (scene.journal.stat().st_size, infinity))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (infinity, infinity))


def _read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what the command says until it says that, or until its end."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            break
    return said


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def play(tally: Tally, base: Path, scenario: Callable[[_Scene], None]) -> None:
    """Play one scenario with a run of its own."""
    with _Scene(tally, base, (scenario.__doc__ or "").partition(";")[0].strip()) as scene:
        scenario(scene)


SCENARIOS: dict[str, Callable[[Tally, Path], None]] = {
    "store": fill_the_store,
    **{
        scenario.__name__.strip("_"): functools.partial(play, scenario=scenario)
        for scenario in (
            _freed,
            _stopped_when_full,
            _killed_when_full,
            _read_only,
            _removed,
            _truncated,
            _limited,
        )
    },
}

# SPDX-License-Identifier: Apache-2.0
"""The machine loses its power at every call that a session makes.

A script is played once over the disk of :mod:`images_disk`. After each call, and whenever a save has returned, every
image that the disk may have then is built and opened: what was acknowledged must be there, and the session must go on.
Images that were looked at before, with the same promises, are not looked at again.
"""

from __future__ import annotations

import errno
import hashlib
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images_disk import DiskFiles, Image, materialise
from invariants import Ledger, check_invariants, one_look
from scale import Figures, Tally
from steps_tester import SCRIPTS, UNITS, Script, Tester

from plainbox.testing.files import FaultyFiles

__all__ = ["PowerLosses", "examine", "run", "wandering"]

#: So many images of one moment are tried; all of them when there are no more.
_OF_A_MOMENT = 1024
_RANDOM_OF_A_MOMENT = 200
#: After so many violations there is no need to look further.
ENOUGH = 10


class PowerLosses:
    """Plays scripts and looks at every image; at most ``limit`` images in all, and no more once enough is wrong."""

    def __init__(self, place: Path, tally: Tally, rng: random.Random, *, limit: int, of_a_moment: int) -> None:
        self._place = place
        self._tally = tally
        self._rng = rng
        self._limit = limit
        self._of_a_moment = of_a_moment
        self._seen: set[bytes] = set()
        self.legal = 0

    @property
    def done(self) -> bool:
        return self._tally.trials >= self._limit or len(self._tally.violations) >= ENOUGH

    def play(self, script: Script, name: str, disk: type[DiskFiles] = DiskFiles, tester: type[Tester] = Tester) -> None:
        """Play a script, and lose the power at each of its calls."""
        root = self._place / "running"
        root.mkdir()
        files, ledger = disk(root), Ledger()

        def look() -> None:
            self._look(files, ledger, f"{name}, after call {len(files.steps)}")

        class Watched(tester):  # type: ignore[valid-type, misc]
            def checkpoint(self) -> None:
                super().checkpoint()
                look()

        files.watch = look
        process = Watched(root, files, ledger)
        try:
            script(process)
        finally:
            files.watch = lambda: None
            process.end()
            shutil.rmtree(root)
        self._seen.clear()
        self._tally.acknowledged += ledger.saves

    def _look(self, files: DiskFiles, ledger: Ledger, where: str) -> None:
        if self.done:
            return
        promise = repr((ledger.name, ledger.saves, len(ledger.intended))).encode()
        for image in files.images(self._rng, self._of_a_moment):
            self.legal += 1
            key = _key(image, promise)
            if key not in self._seen:
                self._seen.add(key)
                self._open(image, ledger, where)
                if self.done:
                    return

    def _open(self, image: Image, ledger: Ledger, where: str) -> None:
        target = self._place / "image"
        materialise(image, target)
        check_invariants(target, ledger, self._tally, where, units=UNITS)
        self._tally.trials += 1
        shutil.rmtree(target)


def _key(image: Image, promise: bytes) -> bytes:
    digest = hashlib.blake2b(promise, digest_size=16)
    for name, content in image.items():
        digest.update(b"%b\0%d\0" % (name.encode(), -1 if content is None else len(content)))
        digest.update(content or b"")
    return digest.digest()


def wandering(seed: int) -> Script:
    """Return a script of random doings: jobs with more or less output, large values, closings, full disks, bad syncs."""

    def wander(tester: Tester) -> None:
        rng = random.Random(seed)
        files = tester.files
        assert isinstance(files, FaultyFiles)
        tester.create()
        tester.wish("scan", "first", "second")
        tester.checkpoint()
        for _ in range(rng.randint(3, 7)):
            what = rng.randrange(7)
            if what < 2:
                tester.run_job(rng.choice(["first", "second"]), output=rng.randbytes(rng.randint(1, 3000)))
            elif what == 2:
                tester.state.metadata.app_blob = rng.randbytes(rng.randint(1, 2500))
                tester.checkpoint()
            elif what == 3:
                tester.manager.storage.compact()
            elif what == 4:
                tester.close()
                tester.reopen()
            elif what == 5:
                tester.reopen()
            else:
                files.heal()
                files.fail("fdatasync", errno.EIO, lambda number: number == 1)
                tester.state.metadata.title = str(rng.random())
                tester.checkpoint()
                files.heal()
        tester.close()

    wander.__name__ = f"wandering {seed}"
    return wander


def examine(
    scripts: Sequence[Script],
    base: Path,
    tally: Tally,
    *,
    seed: int = 1,
    limit: int,
    of_a_moment: int = _RANDOM_OF_A_MOMENT,
    disk: type[DiskFiles] = DiskFiles,
    tester: type[Tester] = Tester,
) -> int:
    """Lose the power in each script; return how many legal images were built, those looked at before included."""
    with tempfile.TemporaryDirectory(dir=_memory(base)) as place, one_look():
        losses = PowerLosses(Path(place), tally, random.Random(seed), limit=limit, of_a_moment=of_a_moment)
        for script in scripts:
            losses.play(script, getattr(script, "__name__", "script"), disk, tester)
            if losses.done:
                break
        return losses.legal


def _memory(base: Path) -> Path:
    """Return where files cost least; images are many, small, and soon gone."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else base


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Look at ``trials`` different images: half of them of the fixed scripts, the others of random ones."""
    tally = Tally()
    legal = 0
    for share, script in enumerate(SCRIPTS, 1):
        limit = trials * share // (2 * len(SCRIPTS))
        legal += examine([script], base, tally, seed=seed, limit=limit, of_a_moment=_OF_A_MOMENT)
    number = seed * 1000
    while tally.trials < trials and len(tally.violations) < ENOUGH:
        limit = min(trials, tally.trials + 1 + trials // 40)
        legal += examine([wandering(number)], base, tally, seed=number, limit=limit)
        number += 1
    return tally.figures("images", f"{legal} images built, the same ones looked at once")

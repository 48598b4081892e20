# SPDX-License-Identifier: Apache-2.0
"""Readers beside a writer: four that look every 5 ms while one saves, compacts, leaves and comes back.

What a reader sees must be a state that was acknowledged or is on its way, never a mixture, never an older one after a
newer one, and it must never be an error. What the readers cost the writer is reported, not judged: it depends on the
machine.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from kills_support import drain, start_child
from scale import Figures, Tally
from store_rig import full, result

from plainbox.errors import SessionError
from plainbox.session.files import Buffer, FileOps, PathLike
from plainbox.session.storage import SessionStorage

__all__ = ["EarlyNameFiles", "run", "watch"]

_READERS = 4
_PAUSE_S = 0.005
_SESSION_SAVES = 2000


class EarlyNameFiles(FileOps):
    """A planted bug: a generation has its name before it is complete, and is written in small pieces."""

    def open(self, path: PathLike, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        return (
            super().open(os.fspath(path).removesuffix(".pbj.tmp") + ".pbj", flags, mode, dir_fd=dir_fd)
            if (os.fspath(path).endswith(".pbj.tmp"))
            else super().open(path, flags, mode, dir_fd=dir_fd)
        )

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        if len(data) > 4096:
            time.sleep(0.001)
        return super().pwrite(fd, memoryview(data)[:4096], offset)

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        return self.pwrite(fd, b"".join(buffers), offset)

    def rename(self, source: PathLike, target: PathLike, *, dir_fd: int | None = None) -> None:
        if not os.fspath(source).endswith(".pbj.tmp"):
            super().rename(source, target, dir_fd=dir_fd)


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Save ``trials`` times, in sessions of 2 000 saves each, first alone and then with readers."""
    tally = Tally()
    alone = watched = 0.0
    left = trials
    while left > 0:
        saves = min(left, _SESSION_SAVES)
        left -= saves
        alone += watch(Tally(), saves, seed, base, readers=0)
        watched += watch(tally, saves, seed, base)
        seed += 1
    ratio = f"a save takes {watched / alone:.2f} times as long with {_READERS} readers" if alone else ""
    return tally.figures("readers", ratio)


def write_on(location: str, saves: int, seed: int, files: FileOps | None, pipe: Connection) -> None:
    """Save so often, compacting and coming back now and then; say how long it took."""
    chance = random.Random(seed)
    storage = SessionStorage(location, files=files)
    began = time.perf_counter()
    for number in range(saves):
        storage.save_checkpoint(result(number))
        if chance.random() < 0.01:
            storage.compact()
        if chance.random() < 0.01:
            storage.close()
            storage = SessionStorage(location, files=files)
    os.write(pipe.fileno(), b"%f\n" % (time.perf_counter() - began))
    storage.close()


def look_on(location: str, total: int, pipe: Connection) -> None:
    """Load until everything is there; say how often that was (``n``), and what was wrong (``!``)."""
    looks, last = 0, 0
    while last < total:
        try:
            data = SessionStorage(location).load_checkpoint()
        except SessionError as error:
            os.write(pipe.fileno(), f"! {type(error).__name__}: {error}\n".encode())
            return
        codes = sorted(stored["return_code"] for _, _, stored in json.loads(data).get("res", []))
        if codes != list(range(len(codes))):
            os.write(pipe.fileno(), b"! a mixture of states\n")
        if len(codes) < last:
            os.write(pipe.fileno(), b"! %d results after %d\n" % (len(codes), last))
            return
        last = len(codes)
        looks += 1
        time.sleep(_PAUSE_S)
    os.write(pipe.fileno(), b"n %d\n" % looks)


def watch(
    tally: Tally, saves: int, seed: int, base: Path, *, readers: int = _READERS, files: FileOps | None = None
) -> float:
    """Let one write and others look on; return the seconds that the writer took. A look is a trial."""
    storage = SessionStorage.create(base)
    storage.save_checkpoint(full(meta={"title": "watched"}))
    storage.close()
    watching = [start_child(look_on, storage.location, saves) for _ in range(readers)]
    writer, pipe = start_child(write_on, storage.location, saves, seed, files)
    writer.join()
    took = drain(pipe).decode().split()
    tally.expect(bool(took), f"seed {seed}: the writer has failed")
    tally.acknowledged += saves if took else 0
    for process, said in watching:
        if not took:
            process.terminate()
        process.join()
        for line in drain(said).decode().splitlines():
            if line.startswith("n"):
                tally.trials += int(line.split()[1])
            else:
                tally.trials += 1
                tally.violations.append(f"seed {seed}: a reader saw {line[2:]}")
    return float(took[0]) if took else 0.0

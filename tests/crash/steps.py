# SPDX-License-Identifier: Apache-2.0
"""The process ends, or a call fails, at every call that a session makes.

:func:`run` goes through the scripts of :mod:`crash.steps_tester` again and again, each time with another fault: the image
ends before a call, after it, or with half of a write done; or a call fails with one of the errors that a file system
knows, once or from then on. After each the invariants are checked and the session goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
from invariants import Ledger, check_invariants, complain, one_look
from scale import Figures, Tally
from steps_tester import SCRIPTS, UNITS, Script, Tester, life

from plainbox.errors import SessionError, StorageError, StorageFailedError, StorageFullError
from plainbox.session.files import FULL_ERRORS, Buffer, FileOps
from plainbox.session.iolog import IOLogWriter
from plainbox.session.jobs import JobState
from plainbox.testing.files import FaultyFiles, Stopped

__all__ = ["ERRORS", "Fault", "Steps", "error_faults", "run", "run_faults", "stop_faults"]

ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.EACCES,
    errno.EROFS,
    errno.ESTALE,
    errno.EINTR,
)


class Steps(FaultyFiles):
    """Counts the calls of the seam, fail points left out, and lets the one with the number ``at`` go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.error: int | None = None
        self.for_ever = False
        self.count = 0
        #: The call that has gone wrong.
        self.hit: tuple[str, str] | None = None

    def reach(self, point: str) -> None:
        pass

    def _step(self, call: str, what: str) -> None:
        super()._step(call, what)
        self.count += 1
        if self.error is not None and self.at and self._goes_wrong(call):
            self.hit = self.hit or (call, what)
            raise OSError(self.error, "injected", what)

    def _goes_wrong(self, call: str) -> bool:
        """A disk that is full can still be made emptier; other trouble meets every call."""
        if self.count == self.at:
            return True
        return self.for_ever and self.count > self.at and not (self.error in FULL_ERRORS and call == "ftruncate")

    def heal(self) -> None:
        super().heal()
        if self.hit is not None:
            self.error = None

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        try:
            return super().pwrite(fd, data, offset)
        except OSError:
            # A call that fails may have done half of its work all the same.
            os.pwrite(fd, memoryview(data)[: len(data) // 2], offset)
            raise

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        # One call is as good as the other, and of this one half can be done.
        return self.pwrite(fd, b"".join(buffers), offset)


@attrs.frozen
class Fault:
    """What goes wrong in which script: ``how`` the image ends at call ``at``, or with which ``error`` the call fails."""

    script: Script
    at: int
    how: str = ""
    error: int = 0
    for_ever: bool = False

    def __str__(self) -> str:
        what = self.how or f"{errno.errorcode[self.error]} {'for ever' if self.for_ever else 'once'} at"
        return f"{self.script.__name__}, {what} call {self.at}"


def calls_of(script: Script, base: Path, tester: type[Tester] = Tester) -> list[tuple[str, str]]:
    """Return the calls that a script makes when nothing goes wrong."""
    files = Steps()
    with _process(tester, base, files, Ledger()) as process:
        script(process)
    shutil.rmtree(base)
    return files.steps


def stop_faults(script: Script, base: Path, tester: type[Tester] = Tester) -> list[Fault]:
    """Return every way in which the process can end in a script."""
    return [
        Fault(script, number, how)
        for number, (call, _) in enumerate(calls_of(script, base, tester), 1)
        for how in ("before", "after", "half")
        if how != "half" or call == "pwrite"
    ]


def error_faults(script: Script, base: Path) -> list[Fault]:
    """Return every way in which a call of a script can fail."""
    return [
        Fault(script, number, error=error, for_ever=for_ever)
        for number in range(1, len(calls_of(script, base)) + 1)
        for error in ERRORS
        for for_ever in (False, True)
        # An interrupted call is repeated, as often as it takes.
        if not (for_ever and error == errno.EINTR)
    ]


@contextlib.contextmanager
def _process(make: type[Tester], base: Path, files: FileOps, ledger: Ledger) -> Iterator[Tester]:
    tester = make(base, files, ledger)
    try:
        yield tester
    finally:
        tester.end()


class _Hopeless(Exception):
    """The store has said that it will not go on."""


def _stubborn(make: type[Tester], tally: Tally, where: str) -> type[Tester]:
    """Return a tester that goes on after errors as the runner does, and complains of those that are not documented."""

    class Stubborn(make):  # type: ignore[valid-type, misc]
        def checkpoint(self) -> None:
            try:
                super().checkpoint()
            except StorageError as error:
                self._after(error)

        def open_log(self, job_state: JobState) -> IOLogWriter:
            try:
                return super().open_log(job_state)
            except StorageError:
                self.files.heal()
                return super().open_log(job_state)

        def _after(self, error: StorageError) -> None:
            """Heal the disk and save again: everything pending must be stored, or the store is dead for ever."""
            files = self.files
            injected = files.error
            if files.hit is None:
                raise error
            if injected is not None and error.errno != injected:
                complain(tally, where, f"{error!r} does not tell the error number")
            full = injected in FULL_ERRORS and files.hit[0] == "pwrite"
            if full and not isinstance(error, StorageFullError):
                complain(tally, where, f"a full disk is reported as {error!r}")
            if full:
                self._check_end()
            files.heal()
            try:
                super().checkpoint()
            except StorageFailedError:
                if full:
                    complain(tally, where, "a full disk was the end of the session")
                try:
                    super().checkpoint()
                except StorageFailedError:
                    raise _Hopeless from None
                complain(tally, where, "a store that had failed for ever works again")

        def _check_end(self) -> None:
            """Without space, the journal ends with the last acknowledged record as soon as the error is reported."""
            writer = self.manager.storage._writer
            if writer is None or writer._file is None:
                return
            size = Path(self.manager.storage.location, f"journal-{writer._generation:06d}.pbj").stat().st_size
            if size != writer._file.end.size_bytes:
                complain(tally, where, f"the journal ends at byte {size} and not at {writer._file.end.size_bytes}")

    return Stubborn


def _go_through(fault: Fault, tester: Tester, tally: Tally, files: Steps) -> None:
    """Play the script; an error that is no end of the process must be one that is documented."""
    try:
        fault.script(tester)
    except (Stopped, _Hopeless):
        pass
    except (SessionError, OSError) as error:
        if not isinstance(error, OSError) or error.errno != fault.error:
            complain(tally, str(fault), f"{error!r} is not what has happened")
        if files.hit is None:
            complain(tally, str(fault), f"{error!r} came of its own")
    except Exception as error:
        complain(tally, str(fault), f"{error!r} reaches the caller")


def run_faults(faults: Sequence[Fault], base: Path, tally: Tally, tester: type[Tester] = Tester) -> None:
    """Let one fault after the other happen, each in a session of its own."""
    with one_look():
        for number, fault in enumerate(faults):
            place = base / str(number)
            place.mkdir(parents=True)
            files, ledger = Steps(), Ledger()
            make = tester
            if fault.error:
                files.at, files.error, files.for_ever = fault.at, fault.error, fault.for_ever
                make = _stubborn(tester, tally, str(fault))
            else:
                files.stop_at, files.how = fault.at, fault.how
            with _process(make, place, files, ledger) as process:
                _go_through(fault, process, tally, files)
            check_invariants(place, ledger, tally, str(fault), units=UNITS)
            tally.trials += 1
            tally.acknowledged += ledger.saves
            shutil.rmtree(place)


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Try ``trials`` faults, chosen by ``seed``, of all that there are; every one when there are no more than that."""
    faults = [fault for script in SCRIPTS for fault in stop_faults(script, base / "rehearsal")]
    faults += error_faults(life, base / "rehearsal")
    total = len(faults)
    if trials < total:
        faults = random.Random(seed).sample(faults, trials)
    tally = Tally()
    run_faults(faults, base, tally)
    return tally.figures("steps", f"of {total} places and ways to fail")

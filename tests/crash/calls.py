# SPDX-License-Identifier: Apache-2.0
"""System calls that fail, or never return: strace injects a kill or an error into a short real run and its resume.

Each site (the k-th call of a kind) times each fault is one trial: the command is started with that one fault, then the
session is taken to its end without. A fault at any place may cost the run, never what the run had shown, and it is told
in a sentence, never in a traceback.
"""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import attrs
from kills_support import Lab, quick_units
from scale import Figures, Tally

__all__ = ["SILENT", "Bench", "Fault", "obstacle", "run", "spread"]

#: Calls that nobody but the store makes, whatever they are about.
_OF_THE_STORE = ("pwrite64", "pwritev", "fdatasync", "fsync", "rename,renameat,renameat2", "ftruncate", "mkdir,mkdirat")
#: Calls that everybody makes: only those about the session.
_ABOUT_THE_SESSION = (*_OF_THE_STORE, "openat", "write", "read,pread64")
_EFFECTS = ("signal=KILL", "error=ENOSPC", "error=EIO", "error=EIO+", "error=EROFS+")
#: What lasts, and where: a run that can make no directory ever again has nowhere to run its jobs either.
_PERSISTENT = {"error=EIO+": frozenset(_ABOUT_THE_SESSION) - {"mkdir,mkdirat"}, "error=EROFS+": frozenset({"openat"})}
_JOBS = 3
#: 0 and 1 are results, 3 and 4 a refusal, -9 is the kill.
_HONEST_EXITS = (0, 1, 3, 4, -9)


#: A planted bug: the command, but for its store every write is a good one.
SILENT = """
import sys
from plainbox.cli.main import main
from plainbox.session.files import FileOps

def pwrite(self, fd, data, offset, real=FileOps.pwrite):
    try:
        return real(self, fd, data, offset)
    except OSError:
        return len(data)

FileOps.pwrite = pwrite
sys.exit(main())
"""


@attrs.frozen
class Fault:
    """One thing that goes wrong: ``effect`` happens to the ``number``-th of ``calls`` (with ``+`` to all from there)."""

    command: str
    calls: str
    effect: str
    number: int

    def words(self) -> list[str]:
        onwards = "+" if self.effect.endswith("+") else ""
        return ["-e", f"inject={self.calls}:{self.effect.removesuffix('+')}:when={self.number}{onwards}"]

    def __str__(self) -> str:
        return f"{self.command}: {self.effect} at {self.calls} number {self.number}"


@functools.cache
def obstacle() -> str | None:
    """Return why calls cannot be made to fail here, ``None`` when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Try ``trials`` of the faults, chosen at random, or each of them when there are no more."""
    tally = Tally()
    problem = obstacle()
    if problem is not None:
        return tally.figures("calls", problem)
    bench = Bench(base)
    faults = bench.faults()
    chosen = faults if trials >= len(faults) else spread(faults, trials, seed)
    bench.try_all(tally, chosen)
    return tally.figures("calls", f"{len(chosen)} of {len(faults)} faults")


def spread(faults: Sequence[Fault], number: int, seed: int) -> list[Fault]:
    """Choose at random, but no effect again before each has had its turn."""
    turns: Counter[str] = Counter()

    def turn(fault: Fault) -> int:
        turns[fault.effect] += 1
        return turns[fault.effect]

    return sorted(random.Random(seed).sample(faults, len(faults)), key=turn)[:number]


class Bench:
    """A new session to run and an interrupted one to resume, the same ones for each fault."""

    def __init__(self, base: Path, program: Sequence[str] = ("-m", "plainbox.cli.main")) -> None:
        self._base = base
        self._program = program
        self._lab = Lab.at(base, quick_units(_JOBS))
        self._empty = base / "empty"
        self._interrupted = base / "interrupted"
        self._session = ""
        home = self._lab.plainbox.home
        shutil.copytree(home, self._empty)
        self._interrupt()
        shutil.copytree(home, self._interrupted)

    def _interrupt(self) -> None:
        units = self._lab.provider / "units" / "units.pxu"
        text = units.read_text()
        slow = text.replace(
            'echo 01 >> "$LEDGER";',
            'echo 01 >> "$LEDGER"; while test -n "$SLOW"; do sleep 0.01; done;',
        )
        assert slow != text
        units.write_text(slow)
        process = self._lab.started(SLOW="1")
        while "01" not in self._lab.ledger.read_text():
            time.sleep(0.002)
        process.kill()
        process.communicate()
        # What the run has left must not be found anew in each trial, and not outlive them.
        self._lab.plainbox.run("session", "show")
        [storage] = self._lab.stored()
        self._session = storage.location
        for attempt in storage.peek_metadata()["meta"]["running"].values():
            os.killpg(attempt["process_group"], signal.SIGKILL)

    def _reset(self, command: str) -> None:
        home = self._lab.plainbox.home
        shutil.rmtree(home)
        shutil.copytree(self._empty if command == "run" else self._interrupted, home)

    def _words(self, command: str) -> list[str]:
        return self._lab.words() if command == "run" else ["resume", "--no-input", Path(self._session).name[:-8]]

    def _paths(self, command: str) -> list[str]:
        """The names by which strace knows the session; that of a new one is not known before."""
        if command == "run":
            return []
        inside = [str(path) for path in Path(self._session).rglob("*") if "session-share" not in str(path)]
        return [word for path in (self._session, *inside) for word in ("-P", path)]

    def _trace(self, command: str, *words: str, log: str) -> subprocess.CompletedProcess[str]:
        plainbox = self._lab.plainbox
        environment = {**plainbox.environment, **self._lab.variables, "PYTHONDONTWRITEBYTECODE": "1"}
        tracer = ["strace", "-f", "-qq", "-o", log, *self._paths(command), *words]
        return subprocess.run(
            [*tracer, sys.executable, *self._program, *self._words(command)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def faults(self) -> list[Fault]:
        """Rehearse both commands and return every fault that can happen to their calls."""
        found = []
        for command, kinds in (("run", _OF_THE_STORE), ("resume", _ABOUT_THE_SESSION)):
            self._reset(command)
            log = self._base / f"rehearsal-{command}"
            done = self._trace(command, "-e", f"trace={','.join(kinds)}", log=str(log))
            assert done.returncode in (0, 1), done.stderr
            counted = _sites(log.read_text(), kinds)
            found += [
                Fault(command, calls, effect, number)
                for calls in kinds
                for number in range(1, counted[calls] + 1)
                for effect in _EFFECTS
                if effect not in _PERSISTENT or calls in _PERSISTENT[effect]
            ]
        return found

    def try_all(self, tally: Tally, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self._try(tally, fault)

    def _try(self, tally: Tally, fault: Fault) -> None:
        self._reset(fault.command)
        tally.trials += 1
        done = self._trace(fault.command, "-e", f"trace={fault.calls}", *fault.words(), log="/dev/null")
        tally.expect(done.returncode in _HONEST_EXITS, f"{fault}: exit {done.returncode}: {done.stderr}")
        tally.expect("Traceback" not in done.stderr, f"{fault}: {done.stderr}")
        tally.expect(bool(done.stderr.strip()) or done.returncode == -9, f"{fault}: not a word")
        shown = Lab.shown(done.stderr)
        stored = self._lab.stored()
        if not stored or not stored[0].has_checkpoint():
            tally.expect(not self._lab.ledger.read_text(), f"{fault}: jobs have run and there is no session")
            return
        crashes = 1 + (fault.command == "resume")
        self._lab.conclude(tally, shown, jobs=_JOBS, crashes=crashes, trial=str(fault))


def _sites(log: str, kinds: Sequence[str]) -> dict[str, int]:
    """How many calls of each kind there are at most in one thread: that is how strace counts."""
    per_thread: dict[str, Counter[str]] = defaultdict(Counter)
    for thread, call in re.findall(r"^([0-9]+) +([a-z0-9_]+)\(", log, re.MULTILINE):
        for kind in kinds:
            if call in kind.split(","):
                per_thread[kind][thread] += 1
    return defaultdict(int, {kind: max(counts.values()) for kind, counts in per_thread.items()})

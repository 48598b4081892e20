# SPDX-License-Identifier: Apache-2.0
"""A machine whose job may end it, watched at the file seam and at the moment when the command is let go.

What must stay true, whatever the disk has kept and wherever the tester has died: a command that was let go is noted as
running; what is noted as running will be gone on with by itself; what will be gone on with is whole. So a job that ends the
machine is never forgotten, never judged without having been noted, and never run twice.

:func:`play` takes one session to its end and keeps every image that a loss of power may leave; :func:`wrong_order` looks at
the order of the calls, :func:`wrong_images` opens the images, :func:`wrong_stops` ends the tester at each of its calls. The
twins at the end are wrong in one way each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import attrs
from images import ENOUGH
from images_disk import DiskFiles, Image, materialise
from invariants import let_go, one_look

from plainbox.runner import phases
from plainbox.runner.attempt import Attempt
from plainbox.runner.executor import JobExecutor
from plainbox.runner.phases import APP_ID
from plainbox.runner.respawn import RESPAWN_NAMES, AutoResume, resume_variables
from plainbox.session import SessionStorage, SessionStorageRepository
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.files import Buffer
from plainbox.session.restart import armed_sessions
from plainbox.session.systemd import MARK_NAME, RESUME_ENVIRONMENT, ResumeUnit, environment_file
from plainbox.tasks import ExecutionEngine
from plainbox.tasks.child import Child
from plainbox.testing import FaultyFiles, ScriptedEngine, ScriptedJob, Stopped, resume_session, run_session
from plainbox.units import JobDefinition

__all__ = [
    "ArmingDisk",
    "Machine",
    "Play",
    "armed_after_the_note",
    "armed_after_the_release",
    "forgetful",
    "play",
    "wrong_images",
    "wrong_order",
    "wrong_stops",
]

Step: TypeAlias = "tuple[str, str]"
Kept: TypeAlias = "tuple[str, bool, Image]"

#: Steps beside those of the seam: the record is durable that says that the job runs, and its command is let go.
_NOTED: Step = ("noted", "journal")
_RELEASED: Step = ("released", "command")
#: With this arming begins.
_FIRST: Step = ("reach", "arm.environment")
#: What has no part in going on with a session by itself: of images that differ in nothing else one is looked at.
_IRRELEVANT = re.compile(r"/(lock|head\.json|[^/]*\.iolog)$")
#: Of one moment so many images are looked at, all of them when there are no more.
_OF_A_MOMENT = 1024
_STEPS_OF_A_COMMAND = 4


class ArmingDisk(DiskFiles):
    """Knows the moments that count, beside the calls; where it is not durable a sync makes nothing certain."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.released = False
        self._notes: set[str] = set()

    def reach(self, point: str) -> None:
        FaultyFiles.reach(self, point)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        if b'"running":{"' in bytes(data):
            self._notes.add(self.name_of(fd))
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        if not self.durable:
            return
        super().fdatasync(fd)
        if self.name_of(fd) in self._notes:
            self._notes.clear()
            self.steps.append(_NOTED)

    def fsync(self, fd: int) -> None:
        if self.durable:
            super().fsync(fd)

    def let_go(self, release: Callable[[], None]) -> None:
        """Release the command: the machine may end at any moment from here on."""
        self._step(*_RELEASED)
        self.released = True
        self._done()
        release()
        self._after()

    def start_anew(self) -> None:
        """Let the next tester work on the same disk."""
        self.stop_at, self._stopped = None, False
        self._notes.clear()
        self.forget()


@attrs.frozen
class Machine:
    """A place for one session of one job with these ``flags``; ``strategy`` goes on with it.

    Without ``durable`` the session syncs nothing before it has to.
    """

    root: Path
    strategy: str = "systemd"
    flags: str = "noreturn"
    durable: bool = True

    @property
    def repository(self) -> str:
        return str(self.root / "sessions")

    @property
    def proof(self) -> Path:
        """What the command makes, on another disk."""
        return self.root.with_name(f"{self.root.name}.proof")

    @property
    def units(self) -> str:
        # With an error it is at its end: otherwise a job that ends the machine is waited for.
        return f"id: ends\nplugin: shell\nflags: {self.flags}\ncommand: touch {self.proof}; exit 1\n"

    def set_up(self, disk: Callable[[Path], ArmingDisk] = ArmingDisk) -> ArmingDisk:
        """Make the machine, and on its disk what systemd needs."""
        self.root.mkdir()
        made = disk(self.root)
        with self.here():
            if self.strategy == "systemd":
                ResumeUnit("user").install(self.repository, made)
        made.durable = self.durable
        made.start_anew()
        return made

    @contextlib.contextmanager
    def here(self, disk: ArmingDisk | None = None) -> Iterator[None]:
        """Be on this machine; commands are let go in the sight of ``disk``."""
        variables = {
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "PLAINBOX_SESSION_REPO": self.repository,
            "PLAINBOX_CONF_SESSIONS__AUTO_RESUME": self.strategy,
        }
        release = Child.release
        with one_look(), mock.patch.dict(os.environ, variables), contextlib.ExitStack() as watch:
            if disk is not None:
                watched = lambda child: disk.let_go(partial(release, child))  # noqa: E731
                watch.enter_context(mock.patch.object(Child, "release", watched))
            yield

    def run(self, disk: ArmingDisk) -> None:
        """Run a new session, or go on with the one that is there, to the end or to where the tester stops."""
        storage: SessionStorage | None = None
        try:
            with self.here(disk), contextlib.suppress(Stopped):
                stored = self.stored()
                if stored is not None:
                    storage = SessionStorage(stored.location, files=disk)
                    resume_session(self.units, storage, engine=ExecutionEngine())
                else:
                    storage = SessionStorage.create(self.repository, files=disk)
                    run_session(self.units, storage=storage, engine=ExecutionEngine())
        finally:
            if storage is not None:
                let_go(storage)

    def stored(self) -> SessionStorage | None:
        """Return the session."""
        return next(iter(SessionStorageRepository(self.repository)), None)

    def remove(self) -> None:
        shutil.rmtree(self.root)


@attrs.frozen
class Play:
    """What was seen of a session: its ``steps``, and the ``images``.

    Of each image: after which call it was there, and whether the command had been let go.
    """

    machine: Machine
    steps: Sequence[Step]
    images: Sequence[Kept]


@contextlib.contextmanager
def _collecting(disk: ArmingDisk, images: dict[object, Kept], when: Callable[[], bool]) -> Iterator[None]:
    """Keep every image that a loss of power may leave, once."""
    rng = random.Random(1)

    def look() -> None:
        if not when():
            return
        where = f"after call {len(disk.steps)}, {' '.join(disk.steps[-1])}"
        for image in disk.images(rng, _OF_A_MOMENT):
            looked_at = frozenset(item for item in image.items() if not _IRRELEVANT.search(item[0]))
            images.setdefault((disk.released, looked_at), (where, disk.released, image))

    disk.watch = look
    try:
        yield
    finally:
        disk.watch = lambda: None


def play(machine: Machine, disk: Callable[[Path], ArmingDisk] = ArmingDisk) -> Play:
    """Run a session to its end, with a loss of power at every call from the arming on.

    A session that syncs nothing may be lost up to the moment that counts: then it is from the release on.
    """
    files = machine.set_up(disk)
    images: dict[object, Kept] = {}
    with _collecting(files, images, lambda: files.released or (machine.durable and _FIRST in files.steps)):
        machine.run(files)
    return Play(machine, tuple(files.steps), tuple(images.values()))


# -- what must hold


def wrong_order(played: Play) -> list[str]:
    """Return what is wrong with the order: all that arms is durable before the note, the note before the release."""
    steps = played.steps
    if _NOTED not in steps or _RELEASED not in steps:
        return ["the command was let go without a durable note, or never"]
    noted, released = steps.index(_NOTED), steps.index(_RELEASED)
    wrong = [] if noted < released else ["the command is let go before the note"]
    arming = [number for number, step in enumerate(steps) if _arms(*step)]
    names = {step[1] for step in steps if step[0] in ("rename", "symlink") and _arms(*step)}
    if not {RESUME_ENVIRONMENT, *RESPAWN_NAMES} < names:
        wrong.append(f"nothing but {sorted(names)} was put in its place")
    wrong += [f"{' '.join(steps[number])} comes after the note" for number in arming if number > noted]
    for number in arming:
        call, name = steps[number]
        if call == "rename":
            part = [step for step in steps[:number] if step[1].startswith(f".{name}.")]
            written, synced = _last(part, "pwrite"), _last(part, "fsync")
            if not written < synced:
                wrong.append(f"{name} is put in its place before it is synced")
        if call in ("rename", "symlink"):
            place = _place_of(name, played.machine)
            if ("fsync", place) not in [(after, what.rstrip("/")) for after, what in steps[number:noted]]:
                wrong.append(f"{place} is not synced between {call} {name} and the note")
    return wrong


def _arms(call: str, what: str) -> bool:
    if call == "reach":
        return what.startswith("arm.")
    files = (RESUME_ENVIRONMENT, *RESPAWN_NAMES)
    known = what in files or what.startswith((*(f".{name}." for name in files), "plainbox-resume@"))
    return call in ("pwrite", "rename", "symlink") and (known or ".desktop" in what)


def _place_of(name: str, machine: Machine) -> str:
    """Return the name of the directory in which a file of the arming is."""
    if name.startswith("plainbox-resume@"):
        return "default.target.wants"
    if name.endswith(".desktop"):
        return "autostart"
    stored = machine.stored()
    assert stored is not None
    return "session-share" if name in RESPAWN_NAMES else os.path.basename(stored.location)


def _last(steps: Sequence[Step], call: str) -> int:
    return max((number for number, step in enumerate(steps) if step[0] == call), default=-1)


def wrong_images(played: Play) -> list[str]:
    """Return what is wrong with the images: each is looked at, and its session gone on with, until enough is wrong."""
    wrong: list[str] = []
    machine = played.machine
    for where, released, image in played.images:
        if len(wrong) >= ENOUGH:
            break
        machine.remove()
        materialise(image, machine.root)
        with machine.here():
            wrong += [f"{where}: {what}" for what in _wrong_on(machine, released) or _wrong_start(machine)]
    return wrong


def wrong_stops(machine: Machine, steps: Sequence[Step]) -> tuple[int, list[str]]:
    """End the tester before each of the ``steps`` from the arming to the release, and before the next ones.

    The next tester goes on on the same disk. When it lets the command go, the power is lost. Returns how many testers have
    ended, and what was wrong.
    """
    wrong: list[str] = []
    stops = range(steps.index(_FIRST) + 1, steps.index(_RELEASED) + 1 + _STEPS_OF_A_COMMAND)
    for number in stops:
        trial = attrs.evolve(machine, root=machine.root.with_name(f"{machine.root.name}-{number}"))
        where = f"the tester ends before call {number}, {' '.join(steps[number - 1])}"
        wrong += [f"{where}: {what}" for what in _wrong_after_a_stop(trial, number)]
        trial.remove()
    return len(stops), wrong


def _wrong_after_a_stop(machine: Machine, number: int) -> list[str]:
    files = machine.set_up()
    files.stop_at = number
    machine.run(files)
    with machine.here():
        wrong = _wrong_on(machine, files.released)
    if machine.proof.exists() and not files.released:
        wrong.append("the command has run and was never let go")
    if _is_over(machine):
        return wrong
    before = files.released
    files.start_anew()
    images: dict[object, Kept] = {}
    with _collecting(files, images, lambda: files.steps[-1] == _RELEASED):
        machine.run(files)
    if before and _RELEASED in files.steps:
        wrong.append("the command was let go once more")
    for where, released, image in images.values():
        machine.remove()
        materialise(image, machine.root)
        with machine.here():
            wrong += [f"the next tester, {where}: {what}" for what in _wrong_on(machine, released)]
    return wrong


def _wrong_on(machine: Machine, released: bool) -> list[str]:
    """Return what is wrong with what a machine has that starts now."""
    state = _state(machine)
    linked, running, done = armed_sessions(machine.repository), _runs(state), bool(state.get("res"))
    wrong = []
    if released and not (running or done):
        wrong.append("the command was let go, and it is not noted")
    if released and not done and not linked:
        wrong.append("the command was let go, and nothing goes on with its session")
    if running and not linked:
        wrong.append("the job is noted as running, and nothing goes on with its session")
    if (linked or running) and not _is_whole(machine):
        wrong.append("what goes on with the session is not whole")
    return wrong


def _wrong_start(machine: Machine) -> list[str]:
    """Go on with the session, as systemd does with one that has hung; return what is wrong with what came of its job."""
    state = _state(machine)
    running, done = _runs(state), bool(state.get("res"))
    stored = machine.stored()
    if stored is None or _is_over(machine):
        return []
    Path(stored.location, MARK_NAME).touch()
    engine = ScriptedEngine(default=ScriptedJob(return_code=1))
    manager = resume_session(machine.units, SessionStorage(stored.location, files=FaultyFiles()), engine=engine)
    assert manager.state is not None
    [job_state] = manager.state.job_state_map.values()
    result, again = job_state.result, len(engine.executed)
    wrong = []
    if again != (not running and not done):
        wrong.append(f"the next tester has run the job {again} times")
    judged = "pass" if machine.flags == "noreturn" else "crash"
    if running and (result.origin, result.outcome) != ("resume", judged):
        wrong.append(f"the job that was running is {result.outcome}, and that says its {result.origin}")
    if len(job_state.result_history) != 1:
        wrong.append(f"the job has {len(job_state.result_history)} results")
    if armed_sessions(machine.repository):
        wrong.append("a session that is over is gone on with")
    names = {RESUME_ENVIRONMENT, *RESPAWN_NAMES, MARK_NAME}
    left = sorted(names.intersection(path.name for path in Path(stored.location).rglob("*")))
    if left:
        wrong.append(f"a session that is over has {left}")
    return wrong


def _state(machine: Machine) -> dict[str, Any]:
    """Return what is stored, nothing when that is nothing."""
    stored = machine.stored()
    if stored is None or not stored.has_checkpoint():
        return {}
    state = json.loads(stored.load_checkpoint())
    assert isinstance(state, dict)
    return state


def _runs(state: dict[str, Any]) -> bool:
    return bool(state.get("meta", {}).get("running"))


def _is_over(machine: Machine) -> bool:
    return not {"incomplete", "setting_up"} & set(_state(machine).get("meta", {}).get("flags", ()))


def _is_whole(machine: Machine) -> bool:
    """Tell whether everything is there that goes on with the session, as it was meant."""
    stored = machine.stored()
    if stored is None:
        return False
    text = environment_file(resume_variables(os.environ, machine.repository))
    command = AutoResume(stored, APP_ID)._command()
    share = WellKnownDirsHelper(stored).share_pathname
    wanted = {os.path.join(share, name): f"{command}\n" for name in RESPAWN_NAMES}
    wanted[os.path.join(stored.location, RESUME_ENVIRONMENT)] = text
    return all(Path(path).is_file() and Path(path).read_text() == content for path, content in wanted.items())


# -- twins


def forgetful(forgets: str) -> Callable[[Path], ArmingDisk]:
    """Return the disk of a store that never syncs what has ``forgets`` in its name."""

    class Forgetful(ArmingDisk):
        def fsync(self, fd: int) -> None:
            # The making of the session is another matter.
            if forgets not in self.name_of(fd) or _FIRST not in self.steps:
                super().fsync(fd)

    return Forgetful


@contextlib.contextmanager
def armed_after_the_note() -> Iterator[None]:
    """The session is armed when the job is noted as running, right before the command is let go."""
    note = JobExecutor.note_running

    def note_first(executor: JobExecutor, attempts: Collection[Attempt], store: Callable[[], None]) -> None:
        note(executor, attempts, store)
        assert executor._auto_resume is not None
        for attempt in attempts:
            AutoResume.arm_for(executor._auto_resume, attempt.job)

    class Later(AutoResume):
        def arm_for(self, job: JobDefinition) -> None:
            pass

    with mock.patch.object(phases, "AutoResume", Later), mock.patch.object(JobExecutor, "note_running", note_first):
        yield


@contextlib.contextmanager
def armed_after_the_release() -> Iterator[None]:
    """The session is armed when the command has been let go."""
    owed: list[Callable[[], None]] = []
    release = Child.release

    def release_first(child: Child) -> None:
        release(child)
        for arm in owed:
            arm()
        owed.clear()

    class Later(AutoResume):
        def arm_for(self, job: JobDefinition) -> None:
            owed.append(partial(super().arm_for, job))

    with mock.patch.object(phases, "AutoResume", Later), mock.patch.object(Child, "release", release_first):
        yield

# SPDX-License-Identifier: Apache-2.0
"""Another machine as a place of jobs: a worker there for each execution, over the connection that the run shares.

Made by :class:`~plainbox.tasks.advices.ssh.SshAdvice` for each execution. The files of the providers are there before the
job begins, the session share is what it is here, and afterwards what the job has changed in it comes back. A job that is to
take its machine down is waited for: the connection is made anew when the machine is back.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from plainbox.errors import PlaceError, RemoteError, SshConnectError, TaskError, TransportLost
from plainbox.tasks.channel import Stopped, Trace
from plainbox.tasks.connection import Attendance, Connection
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.documents import FarFile
from plainbox.tasks.equipment import Equipment
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.lasting import close_later
from plainbox.tasks.place import Program
from plainbox.tasks.process import Ending, Interruption
from plainbox.tasks.provisions import Pack, Provisions
from plainbox.tasks.sharing import Sharing
from plainbox.tasks.ssh import ssh_environment
from plainbox.tasks.worker_place import Opening, WorkerPlace

if TYPE_CHECKING:
    from plainbox.tasks.documents import Hello, Load
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.remote import Remote
    from plainbox.tasks.surroundings import Surroundings

__all__ = ["NOBODY", "FarRun", "SshPlace", "bins_of", "close_connections", "far_run"]

#: What fetching the share after a job may take, however its own time ended.
FETCH_S = 60.0
#: How long a job that is to end its machine may have returned before that happens.
RETURNED_S = 300.0
#: What a shutdown sends to jobs, and how they end by it.
_SHUTDOWN_CODES = (-15, -1, 143, 129)
_SHUTDOWN_S = 20.0
_RETRY_S = 2.0
_PASSED_ON = ("TRACEPARENT", "TRACESTATE")
#: What a program that was never started is.
NOBODY = ProcessIdentity(0, 0, 0)

_lock = threading.Lock()
_runs: dict[tuple[Remote, object], FarRun] = {}


class _Pinned(DistributionArchive):
    """An archive as it was: a run takes the same to a machine from its beginning to its end."""

    def __init__(self, archive: DistributionArchive) -> None:
        super().__init__(None, *archive.modules)
        self._pinned = archive.data
        self._pinned_digest = hashlib.sha256(self._pinned).hexdigest()

    @property
    def data(self) -> bytes:
        return self._pinned

    @property
    def digest(self) -> str:
        return self._pinned_digest


class FarRun:
    """What all executions of one run have in common on one machine."""

    def __init__(self, remote: Remote, wanted: DistributionArchive, share: str | None) -> None:
        archive = self.archive = _Pinned(wanted)
        self.connection: Connection
        self.sharing: Sharing | None
        self.provisions = Provisions()
        if remote.mode == "shell":
            from plainbox.tasks.shell_connection import ShellConnection, ShellSharing

            self.connection = shell = ShellConnection(remote, archive)
            self.sharing = None if share is None else ShellSharing(shell, share)
        else:
            self.connection = Connection(remote, archive)
            self.sharing = None if share is None else Sharing(self.connection, share)


def far_run(remote: Remote, archive: DistributionArchive, share: str | None) -> FarRun:
    """Return what the executions on ``remote`` share that have the same archive and the same session share."""
    with _lock:
        key = (remote, (archive, share))
        found = _runs.get(key)
        if found is None:
            found = _runs[key] = FarRun(remote, archive, share)
            close_later(close_connections)
        return found


def close_connections() -> None:
    """End all connections, and wait for what they have left on other machines to be removed."""
    with _lock:
        runs = list(_runs.values())
        _runs.clear()
    threads = [threading.Thread(target=run.connection.close, daemon=True) for run in runs[1:]]
    for thread in threads:
        thread.start()
    for run in runs[:1]:
        run.connection.close()
    for thread in threads:
        thread.join()


class SshPlace(WorkerPlace):
    """The place of one execution on ``remote``."""

    def __init__(self, remote: Remote, archive: DistributionArchive) -> None:
        self.host = remote.name
        self._remote = remote
        self._archive = archive
        self._equipment = Equipment()
        self._attendance = Attendance()

    @property
    def _run(self) -> FarRun:
        return far_run(self._remote, self._archive, self._equipment.share)

    def archive(self) -> DistributionArchive:
        return self._run.archive

    def run(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        """Run ``program`` there; see :class:`~plainbox.tasks.place.Place`."""
        self._equipment = surroundings.equipment or Equipment()
        connection, sharing = self._run.connection, self._run.sharing
        attendance = self._attendance = Attendance(surroundings.cancel, deadline, surroundings.tick)
        note = surroundings.output.note
        begin_time, begin_s = time.time(), time.monotonic()
        try:
            machine = connection.ensure(attendance)
            while connection.remarks:
                note(connection.remarks.pop())
            if sharing is not None:
                sharing.send(attendance, note)
        except Stopped as stopped:
            return Ending(NOBODY, None, stopped.by, begin_time, time.monotonic() - begin_s, (), ())
        boot_id = machine.hello.boot_id
        if not self._equipment.ends_machine:
            ending = self._execute(program, surroundings, deadline)
        else:
            try:
                ending = self._execute(program, surroundings, deadline)
            except TransportLost as lost:
                note(lost.message)
                back = self._await_return(boot_id, attendance, note)
                ending = Ending(NOBODY, None, None, begin_time, time.monotonic() - begin_s, (), (), interruption=back)
            else:
                if self._goes_down(ending, attendance, note):
                    back = self._await_return(boot_id, attendance, note)
                    ending = replace(ending, return_code=None, interruption=back)
        if sharing is not None and not surroundings.cancel.hurried:
            self._fetch(sharing, surroundings, note)
        return replace(ending, host=self.host)

    def move(self, invocation: Invocation) -> None:
        """See :class:`~plainbox.tasks.worker_place.WorkerPlace`."""
        self._attendance = Attendance(invocation.cancel_token, invocation.deadline)
        super().move(invocation)

    def _execute(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        return super().run(program, surroundings, deadline)

    @contextmanager
    def opening(self) -> Iterator[Opening]:
        connection = self._run.connection
        machine = connection.ensure(self._attendance)
        yield Opening(
            self._remote.interpreter.executable,
            ssh_environment(),
            machine.directory,
            machine.directory,
            connection.client,
        )

    def prepare(self, load: Load, hello: Hello) -> tuple[Load, Mapping[str, Callable[[], bytes]]]:
        own = self._remote.interpreter.environment
        if load.program is None:
            return replace(load, environment=own, path=self._remote.interpreter.path), {}
        machine = self._run.connection.machine
        packs = self._run.provisions.of(self._equipment)
        environment = {**machine.environment, **self._variables(packs, hello.store, load.environment), **own}
        bins = bins_of(packs, hello.store)
        environment["PATH"] = ":".join([*bins, environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")])
        # A bash that is nobody's child takes itself for a login over ssh, and reads files that may print something.
        environment["SHLVL"] = "1"
        files: tuple[FarFile, ...] = tuple({pack.file.digest: pack.file for pack in packs}.values())
        there = None if load.working_directory is None else machine.home
        return (
            replace(load, environment=environment, files=(*load.files, *files), working_directory=there),
            {pack.file.digest: (lambda data=pack.data: data) for pack in packs},
        )

    def _variables(self, packs: Sequence[Pack], store: str, here: Mapping[str, str]) -> dict[str, str]:
        """Return what is set for the job, with the paths that things have there."""
        places: dict[str, str] = {}
        for pack in packs:
            places.update(pack.places(store))
        if self._equipment.share is not None:
            places[self._equipment.share] = f"{store}/share"
        variables = {name: here.get(name, text) for name, text in self._equipment.variables.items()}
        variables.update({name: here[name] for name in _PASSED_ON if name in here})
        return {name: _moved(text, places) for name, text in variables.items()}

    def leader(self, hello: Hello, there: ProcessIdentity, here: ProcessIdentity) -> ProcessIdentity:
        return here

    def explain(self, error: PlaceError, trace: Trace, opening: Opening) -> PlaceError:
        found = super().explain(error, trace, opening)
        if isinstance(found, TransportLost) or (trace.stage == "start" and trace.exit_code == 255):
            return TransportLost(
                f"{self.host}: {found.message}; what became of the job there is not known",
                hint="the machine has gone down, or the network between it and here",
            )
        return type(found)(f"{self.host}: {found.message}", hint=found.hint)

    # -- a machine that goes down

    def _goes_down(self, ending: Ending, attendance: Attendance, note: Callable[[str], None]) -> bool:
        """Tell whether the machine goes down after the job that was to do this has ended."""
        if ending.ended_by is not None or (ending.return_code != 0 and ending.return_code not in _SHUTDOWN_CODES):
            return False
        limit_s = RETURNED_S if ending.return_code == 0 else _SHUTDOWN_S
        note(f"the job has ended; {self.host} is given {limit_s:g} s to go down")
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s and not attendance.cancel.cancelled:
            attendance.tick()
            if not self._run.connection.is_open:
                return True
            time.sleep(0.1)
        return False

    def _await_return(self, boot_id: str, attendance: Attendance, note: Callable[[str], None]) -> Interruption:
        """Connect anew as soon as the machine is back; :class:`TransportLost` when it does not come back in time."""
        connection = self._run.connection
        connection.drop()
        limit_s = self._remote.reboot_timeout_s
        note(f"the connection to {self.host} is gone, as it should; it is given {limit_s:g} s to come back")
        patience = Attendance(attendance.cancel, Deadline.after(limit_s), attendance.tick)
        last: TaskError | None = None
        while True:
            try:
                machine = connection.ensure(patience)
                break
            except Stopped as stopped:
                if stopped.by == "cancel":
                    raise TransportLost(f"{self.host}: nobody waits any more for it to come back") from last
                raise TransportLost(
                    f"{self.host}: it has not come back within {limit_s:g} s: {last.message if last else 'no answer'}",
                    hint="reboot_timeout in its section gives it more time",
                ) from last
            except (SshConnectError, TransportLost) as error:
                last = error
                with suppress(Stopped):
                    self._pause(patience)
        note(f"{self.host} is back: boot {boot_id or 'unknown'} before, {machine.hello.boot_id or 'unknown'} now")
        return Interruption(self.host, boot_id, machine.hello.boot_id)

    @staticmethod
    def _pause(attendance: Attendance) -> None:
        until_s = time.monotonic() + _RETRY_S
        while time.monotonic() < until_s:
            attendance.check()
            time.sleep(0.1)

    def _fetch(self, sharing: Sharing, surroundings: Surroundings, note: Callable[[str], None]) -> None:
        # A job that was cancelled has its say in the share all the same; whoever does not want to wait hurries.
        patience = Attendance(deadline=Deadline.after(FETCH_S), tick=surroundings.tick)
        try:
            sharing.fetch(patience, note)
        except (PlaceError, RemoteError, OSError, Stopped) as error:
            note(f"what the job has left in the session share of {self.host} could not be fetched: {error}")


def bins_of(packs: Sequence[Pack], store: str) -> list[str]:
    """Return where the programs of providers are there."""
    return [f"{pack.places(store)[pack.provider.base]}/bin" for pack in packs]


def _moved(text: str, places: Mapping[str, str]) -> str:
    """Return the path there of what is at a path here; other texts stay as they are."""
    for path in sorted(places, key=len, reverse=True):
        if text == path or text.startswith(f"{path}/"):
            return places[path] + text[len(path) :]
    return text

# SPDX-License-Identifier: Apache-2.0
"""Another machine as a place of jobs that has no Python: each job is run by a shell script there.

The script reads its variables and what to run from the pipe, waits for the word to go, and ends the job when the pipe
ends. How the job ended it says behind a nonce on standard error, so that nothing a job prints or returns is taken for it.
What the script cannot do: files are attached by nobody, and a death by a signal is the return code of a shell. The result
file is read through what was opened before the job began: what a job puts in its place is never looked at.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import time
from typing import TYPE_CHECKING, Literal, cast

from plainbox.errors import JobStartError, TransportLost
from plainbox.tasks.channel import Stopped
from plainbox.tasks.connection import Attendance
from plainbox.tasks.link import Link
from plainbox.tasks.place import PYTHON, Program
from plainbox.tasks.process import GIVE_UP_S, GRACE_S, Ending
from plainbox.tasks.shell_connection import ShellConnection
from plainbox.tasks.ssh import ssh_environment
from plainbox.tasks.ssh_place import NOBODY, SshPlace, bins_of

if TYPE_CHECKING:
    from plainbox.tasks.deadline import Deadline
    from plainbox.tasks.surroundings import Surroundings

__all__ = ["ShellPlace"]

#: Words: the directory of the run, and a nonce. Lines of the pipe are ours: they set variables and the words to run.
_SCRIPT = r"""
umask 077
trap : HUP TERM INT PIPE
plainbox_nl='
'
exec 3<&0
while IFS= read -r line <&3; do
    [ "$line" = go ] && { gone=yes; break; }
    eval "$line"
done
[ -n "$gone" ] || exit 75
w=$(mktemp -d "$1/w-XXXXXXXXXX") && mkdir "$w/job" || exit 75
PLAINBOX_RESULT=$w/result; export PLAINBOX_RESULT; : > "$w/result" && exec 4<"$w/result" || exit 75
n=$2 s=
command -v setsid >/dev/null 2>&1 && s=setsid
cd -- "${plainbox_cwd:-$w/job}" || exit 75
run $s </dev/null 3<&- 4<&- & j=$!
end() { kill "$1" "-$j" 2>/dev/null || kill "$1" "$j" 2>/dev/null; }
( while read -r ignored; do :; done; end -TERM; i=0
  while [ $i -lt 5 ] && kill -0 "$j" 2>/dev/null; do sleep 1; i=$((i + 1)); done; end -KILL ) <&3 >/dev/null 2>&1 4<&- &
k=$!
exec 3<&-
while :; do
    wait "$j"; c=$?
    kill -0 "$j" 2>/dev/null || break
done
end -TERM
kill -KILL "$k" 2>/dev/null
printf '\nplainbox-told %s\n' "$n" >&2
head -c 16000000 <&4 >&2
cd /; rm -rf -- "$w"
printf '\nplainbox-end %s %s\n' "$n" "$c" >&2
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_TOLD = 16 * 1024 * 1024
_READ_SIZE = 256 * 1024
_TURN_S = 0.2


class ShellPlace(SshPlace):
    """The place of one execution on a remote with nothing but a shell."""

    def _execute(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        if program.argv[0] == PYTHON:
            raise JobStartError(f"a function needs Python on {self.host}, which is used by its shell alone")
        run = self._run
        connection = cast("ShellConnection", run.connection)
        attendance = Attendance(surroundings.cancel, deadline, surroundings.tick)
        machine = connection.ensure(attendance)
        if program.user is not None and program.user != machine.user:
            raise JobStartError(
                f"the job runs as {program.user!r}, and on {self.host} we are {machine.user!r}",
                hint=f"log in there as {program.user}",
            )
        packs = run.provisions.of(self._equipment)
        begin_time, begin_s = time.time(), time.monotonic()
        try:
            connection.bring(attendance, packs)
        except Stopped as stopped:
            return Ending(NOBODY, None, stopped.by, begin_time, time.monotonic() - begin_s, (), ())
        nonce = os.urandom(16).hex()
        variables = self._variables(packs, machine.directory, surroundings.environment)
        lines = [f"export {name}={_quoted(text)}" for name, text in variables.items() if _NAME.fullmatch(name)]
        lines += [f"PATH={_quoted(path)}:$PATH" for path in reversed(bins_of(packs, machine.directory))]
        if surroundings.working_directory is not None:
            lines.append(f"plainbox_cwd={_quoted(machine.home)}")
        lines += ["export SHLVL=1", f'run() {{ exec "$@" {" ".join(map(_quoted, program.argv))}; }}']
        if surroundings.attachments_dir is not None and surroundings.attach:
            surroundings.output.note(f"nothing is attached: {self.host} is used by its shell alone")
        link = Link(connection.client(("sh", "-c", _SCRIPT, "sh", machine.directory, nonce)), ssh_environment())
        try:
            link.stdin.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            surroundings.started(link.identity)
            if surroundings.cancel.cancelled:
                return Ending(link.identity, None, "cancel", begin_time, 0.0, (), ())
            begin_s = time.monotonic()
            link.stdin.write(b"go\n")
            ended_by, code = _Watch(link, surroundings, deadline, nonce, self.host).watch()
        except BrokenPipeError:
            raise TransportLost(f"{self.host}: the connection ended before the job began") from None
        finally:
            link.close(hurried=surroundings.cancel.hurried)
        return Ending(link.identity, code, ended_by, begin_time, time.monotonic() - begin_s, (), ())


class _Watch:
    """Passes on what a job prints until its end was told."""

    def __init__(
        self, link: Link, surroundings: Surroundings, deadline: Deadline | None, nonce: str, host: str
    ) -> None:
        self._link = link
        self._surroundings = surroundings
        self._deadline = deadline
        self._host = host
        self._told = f"\nplainbox-told {nonce}\n".encode("ascii")
        self._end = re.compile(rf"\nplainbox-end {nonce} (\d{{1,3}})\n".encode("ascii"))
        self._kept = b""
        self._after: bytes | None = None

    def watch(self) -> tuple[Literal["deadline", "cancel"] | None, int | None]:
        ended_by: Literal["deadline", "cancel"] | None = None
        give_up_s = float("inf")
        with selectors.DefaultSelector() as selector:
            for pipe in (self._link.stdout, self._link.stderr):
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(_TURN_S):
                    data = os.read(key.fd, _READ_SIZE)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is self._link.stdout:
                        self._surroundings.output.write("stdout", data)
                    else:
                        self._take(data)
                self._surroundings.tick()
                late = self._deadline is not None and self._deadline.is_over
                if ended_by is None and (late or self._surroundings.cancel.cancelled):
                    ended_by = "cancel" if self._surroundings.cancel.cancelled else "deadline"
                    self._link.stdin.close()
                    give_up_s = time.monotonic() + GRACE_S + GIVE_UP_S
                if time.monotonic() > give_up_s or self._surroundings.cancel.hurried:
                    return ended_by, None
        found = None if self._after is None else self._end.search(self._after)
        if found is None:
            self._pass_on(len(self._kept))
            raise TransportLost(
                f"{self._host}: the connection ended; what became of the job there is not known",
                hint="the machine has gone down, or the network between it and here",
            )
        for line in (self._after or b"")[: found.start()].splitlines():
            self._surroundings.on_line(line)
        return ended_by, int(found[1])

    def _take(self, data: bytes) -> None:
        """Pass on what the job has written to standard error; what comes behind the mark is not the job's."""
        if self._after is not None:
            self._after += data
            if len(self._after) > _LARGEST_TOLD:
                raise TransportLost(f"{self._host}: the result file has no end")
            return
        self._kept += data
        found = self._kept.find(self._told)
        if found >= 0:
            self._after = self._kept[found + len(self._told) :]
            self._kept = self._kept[:found]
            self._pass_on(found)
        else:
            # The mark may have come in part.
            begun = self._kept.rfind(b"\n", -len(self._told))
            self._pass_on(begun if begun >= 0 and self._told.startswith(self._kept[begun:]) else len(self._kept))

    def _pass_on(self, size: int) -> None:
        data, self._kept = self._kept[:size], self._kept[size:]
        if data:
            self._surroundings.output.write("stderr", data)


def _quoted(text: str) -> str:
    """Return a word for a shell, in one line of text."""
    return '"$plainbox_nl"'.join(map(shlex.quote, text.split("\n")))

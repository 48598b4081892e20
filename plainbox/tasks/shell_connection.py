# SPDX-License-Identifier: Apache-2.0
"""A connection to a machine without Python: what keeps the directory of the run there is a shell script.

Beside a POSIX shell, ``mktemp``, ``rm`` and ``tar`` are used there, which busybox has, too. What is sent to a shell is made
of words that are quoted one by one; values of variables go through the pipe and never stand among arguments.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from plainbox.errors import RemoteSetupError, SshConnectError, TransportLost
from plainbox.tasks.channel import MOST_FOREIGN_BYTES
from plainbox.tasks.connection import SILENCE_S, Attendance, Connection, FarMachine
from plainbox.tasks.documents import Hello
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.keeper import PREFIX
from plainbox.tasks.provisions import Pack
from plainbox.tasks.share import LARGEST_FILE, MOST_BYTES, MOST_FILES, ShareFile, checked_name
from plainbox.tasks.sharing import Sharing
from plainbox.tasks.ssh import ssh_environment

__all__ = ["ShellConnection", "ShellSharing"]

#: Words: parent, nonce, token, the directory of an earlier connection. It answers with a line of fields, then waits.
_KEEPER = r"""
umask 077
trap : HUP TERM INT
case $(ls -ld -- "$1") in
d????????w?*) case $(ls -ld -- "$1") in d????????w[tT]*) : ;; *) echo "$1 is writable for others" >&2; exit 75 ;; esac ;;
esac
d=$(mktemp -d "$1/plainbox-run-XXXXXXXXXX") || exit 75
printf '{"token": "%s"}' "$3" > "$d/.plainbox-run"
mkdir "$d/share" || exit 75
if [ -n "$4" ] && [ "$(cat -- "$4/.plainbox-run" 2>/dev/null)" = "$(cat -- "$d/.plainbox-run")" ]; then
    rmdir "$d/share"; mv -- "$4/share" "$d/share"; mv -- "$4"/*.d "$d/" 2>/dev/null; rm -rf -- "$4"
fi
boot=$(cat -- "${PLAINBOX_BOOT_ID_FILE:-/proc/sys/kernel/random/boot_id}" 2>/dev/null)
printf '\nplainbox-sh/1 %s\n%s\n%s\n%s\n%s\nplainbox-ready\n' "$2" "$d" "$boot" "$(id -un)" "$HOME"
while read -r ignored; do :; done
n=0
while [ $n -lt 15 ] && ls -d -- "$d"/w-* >/dev/null 2>&1; do n=$((n + 1)); sleep 1; done
rm -rf -- "$d"
"""
_COMMAND_S = 120.0


class ShellConnection(Connection):
    """A connection whose other end is a shell."""

    def _far_words(self, nonce: str, earlier: str | None) -> Sequence[str]:
        return ("sh", "-c", _KEEPER, "sh", str(self.remote.directory), nonce, self._token, earlier or "")

    def _meet(self, attendance: Attendance, nonce: str, earlier: str | None) -> FarMachine:
        pattern = re.compile(
            rf"\nplainbox-sh/1 {nonce}\n(.*?)\n([^\n]*)\n([^\n]*)\n([^\n]*)\nplainbox-ready\n".encode(), re.DOTALL
        )
        until_s = time.monotonic() + self.remote.connect_timeout_s + SILENCE_S
        while (found := pattern.search(self._foreign)) is None:
            if len(self._foreign) > MOST_FOREIGN_BYTES:
                raise RemoteSetupError("what was started talks without end, and is no shell that we know")
            self._turn(attendance)
            if time.monotonic() >= until_s:
                raise SshConnectError("nothing was heard from the other end")
        directory, boot_id, user, home = (part.decode("utf-8", "surrogateescape") for part in found.groups())
        if not directory.startswith(f"{self.remote.directory}/{PREFIX}"):
            raise TransportLost("the far end says nothing sensible about its directory")
        who = ProcessIdentity(0, 0, 0)
        hello = Hello((), "sh", "sh", self.remote.host, "", boot_id, who, time.time(), directory, directory)
        self._has = set[str]()
        return FarMachine(hello, {}, user, home, 0)

    def command(self, attendance: Attendance, words: Sequence[str], data: bytes = b"", limit: int = 0) -> bytes:
        """Run something there and return what it prints, at most ``limit`` bytes of it.

        :class:`RemoteSetupError` when it fails, :class:`TransportLost` when the connection does.
        """
        process = subprocess.Popen(
            self.client(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ssh_environment(),
            process_group=0,
        )
        read: list[tuple[bytes, bytes]] = []
        worker = threading.Thread(target=lambda: read.append(process.communicate(data)), daemon=True)
        worker.start()
        until_s = time.monotonic() + _COMMAND_S
        try:
            while worker.is_alive():
                attendance.check()
                worker.join(0.02)
                if time.monotonic() > until_s:
                    raise TransportLost(f"{self.remote.name}: {words[0]} has not ended within {_COMMAND_S:g} s")
        finally:
            if process.poll() is None:
                process.kill()
            worker.join(1.0)
        out, err = read[0] if read else (b"", b"")
        last = err.decode("utf-8", "backslashreplace").strip().splitlines()[-1:] or ["it said nothing"]
        if process.returncode == 255:
            raise TransportLost(f"{self.remote.name}: the connection ended: {last[0]}")
        if process.returncode != 0:
            raise RemoteSetupError(f"{self.remote.name}: {words[0]} failed there: {last[0]}")
        if len(out) > limit:
            raise TransportLost(f"{self.remote.name}: {words[0]} has sent more than {limit} bytes")
        return out

    def bring(self, attendance: Attendance, packs: Iterable[Pack]) -> None:
        """Have the files of providers there."""
        for pack in packs:
            if pack.file.digest not in self._has:
                there = f"{self.machine.directory}/{pack.file.digest}.d"
                data = _tar(_entries(pack.data))
                script = 'mkdir -p -- "$1" && tar -xf - -C "$1"'
                self.command(attendance, ("sh", "-c", script, "sh", there), data)
                self._has.add(pack.file.digest)


class ShellSharing(Sharing):
    """Keeps the share in step by archives of ``tar``: what changed goes there, everything comes back."""

    def __init__(self, connection: ShellConnection, directory: str) -> None:
        super().__init__(connection, directory)
        self._shell = connection
        self._there: set[str] = set()

    def fetch(self, attendance: Attendance, note: Callable[[str], None]) -> None:
        """Bring what is there here; OSError when it cannot be stored."""
        limit = MOST_BYTES + MOST_FILES * 1024
        data = self._shell.command(attendance, ("tar", "-cf", "-", "-C", self._share, "."), b"", limit)
        now: set[str] = set()
        with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                name = entry.name[2:] if entry.name.startswith("./") else entry.name
                if not entry.isreg() or len(now) >= MOST_FILES:
                    continue
                if entry.size > LARGEST_FILE:
                    note(f"not brought here, for it is too large: {checked_name(name)!r} of the session share")
                    continue
                file = archive.extractfile(entry)
                content = b"" if file is None else file.read()
                now.add(checked_name(name))
                here = self._files.read(name)
                if here is None or here[0] != content:
                    self._known[name] = self._files.write(name, content, executable=bool(entry.mode & 0o100))
        for name in self._there - now:
            self._files.remove(name)
            self._known.pop(name, None)
        self._there = now

    def _put(self, attendance: Attendance, batch: list[tuple[str, bytes, ShareFile]], removed: list[str]) -> None:
        if removed:
            paths = [f"{self._share}/{name}" for name in removed]
            self._shell.command(attendance, ("rm", "-f", "--", *paths))
        if batch:
            data = _tar((name, content, seen.executable) for name, content, seen in batch)
            self._shell.command(attendance, ("tar", "-xf", "-", "-C", self._share), data)
        self._known.update({name: seen for name, _, seen in batch})
        self._there |= {name for name, _, _ in batch}
        for name in removed:
            self._known.pop(name, None)
            self._there.discard(name)

    @property
    def _share(self) -> str:
        return f"{self._shell.machine.directory}/share"


def _entries(packed: bytes) -> Iterator[tuple[str, bytes, bool]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for entry in archive.infolist():
            yield entry.filename, archive.read(entry), bool(entry.external_attr >> 16 & 0o100)


def _tar(files: Iterable[tuple[str, bytes, bool]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.GNU_FORMAT) as archive:
        for name, content, executable in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o700 if executable else 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

# SPDX-License-Identifier: Apache-2.0
"""The far end of a connection to another machine: it keeps the directory of one run there, for as long as we are here.

Started by :mod:`plainbox.tasks.bootstrap` as the command of the connection that all executions of a run share. It makes
the run's directory a marked one, says who this machine is, keeps the files of the session share, and when its input
ends it waits for the workers to have ended their jobs, removes the directory and is gone. What earlier runs could
not remove, because the machine went down or the connection with it, is removed here a day later.

What must stay true: nothing is removed that does not carry our marker, belongs to somebody else, or lies elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from plainbox.errors import TransportLost
from plainbox.processes import read_stat
from plainbox.tasks.documents import machine_identity, own_hello, result_document
from plainbox.tasks.frames import FrameWriter, Kind, json_frame, parse_json
from plainbox.tasks.identity import NameOwner, owner_of_name
from plainbox.tasks.inbox import Inbox
from plainbox.tasks.share import MOST_BYTES, SharedFiles, ShareFile
from plainbox.tasks.workplace import has_mounts

__all__ = ["BOOT_ID_VARIABLE", "MARKER", "PREFIX", "SHARE", "main"]

#: How the name of the directory of a run begins.
PREFIX = "plainbox-run-"
#: The file in it that says whose it is.
MARKER = ".plainbox-run"
#: The session share in it.
SHARE = "share"
#: A variable of the login there: the file that tells one boot of the machine from another.
BOOT_ID_VARIABLE = "PLAINBOX_BOOT_ID_FILE"

OLD_S = 24 * 3600.0
#: The time that the workers have for ending their jobs.
LEAVE_S = 15.0
#: So long nothing may be heard: longer than for a worker, for a directory is no job.
SILENCE_S = 60.0
BEAT_S = 5.0
LARGEST_REQUEST = MOST_BYTES + 16 * 1024 * 1024
DELIVERED, TEMPORARY = 0, 75


def main(directory: str, store: str) -> int:
    """Keep ``directory``, which was made for this; ``store`` is not used."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *ignored: None)
    source, target = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    writer = FrameWriter(target)
    keeper = _Keeper(Path(directory), writer, Inbox(source, writer))
    try:
        return keeper.run()
    except (BrokenPipeError, KeyboardInterrupt, TransportLost):
        return DELIVERED
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return TEMPORARY
    finally:
        keeper.leave()


class _Keeper:
    def __init__(self, directory: Path, writer: FrameWriter, inbox: Inbox) -> None:
        self._directory = directory
        self._writer = writer
        self._inbox = inbox
        self._share = SharedFiles(str(directory / SHARE))
        self._known: dict[str, ShareFile] = {}
        self._token = ""
        self._leaving = threading.Event()
        self._compiler = threading.Thread(target=self._compile, name="plainbox-compiler", daemon=True)

    def run(self) -> int:
        problem = _objection(self._directory.parent)
        if problem:
            sys.stderr.write(f"{problem}\n")
            return TEMPORARY
        os.mkdir(self._directory / SHARE, 0o700)
        self._writer.write(json_frame(Kind.HELLO, self._hello()))
        self._inbox.expect_beats(BEAT_S, SILENCE_S)
        self._compiler.start()
        while True:
            header, _, body = self._inbox.document(Kind.LOAD, LARGEST_REQUEST).partition(b"\n")
            request = parse_json(header)
            try:
                self._writer.document(Kind.RESULT, self._answer(request, body))
            except (TransportLost, BrokenPipeError):
                raise
            except OSError as error:
                self._writer.document(Kind.RESULT, result_document({"problem": str(error)}))

    def leave(self) -> None:
        """Wait for those who work here, and remove what is still ours."""
        self._leaving.set()
        if self._compiler.is_alive():
            self._compiler.join(LEAVE_S)
        _await_workers(self._directory, LEAVE_S)
        if not self._token or _token_of(self._directory) == self._token:
            _remove(self._directory)

    def _hello(self) -> dict[str, object]:
        import pwd

        hello = own_hello(str(self._directory), str(self._directory))
        hello["boot_id"] = _boot_id()
        try:
            user = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            user = str(os.geteuid())
        space = os.statvfs(self._directory)
        environment = {name: value for name, value in os.environ.items() if _is_text(name + value)}
        if environment.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
            # Python sets this for itself where there is no language.
            del environment["LC_CTYPE"]
        more = {
            "environment": environment,
            "user": user,
            "home": os.path.expanduser("~"),
            "free_bytes": space.f_bavail * space.f_frsize,
        }
        return {**hello, "more": more}

    def _answer(self, request: Mapping[str, object], body: bytes) -> bytes:
        what = request.get("do")
        if what == "begin":
            return result_document(self._begin(str(request["token"]), request.get("adopt")))
        if what == "put":
            self._put(request, body)
            return result_document({})
        if what == "changes":
            return self._changes()
        raise TransportLost(f"nobody can do {what!r} here")

    def _compile(self) -> None:
        """Take the archive apart beside itself, compiled, so that each worker starts sooner."""
        import py_compile
        import zipfile

        with suppress(OSError, zipfile.BadZipFile):
            for archive in self._directory.glob("*.pyz"):
                aside = self._directory / ".new-code"
                with zipfile.ZipFile(archive) as files:
                    files.extractall(aside)
                for source in aside.rglob("*.py"):
                    if self._leaving.is_set():
                        return
                    with suppress(py_compile.PyCompileError, SyntaxError):
                        py_compile.compile(str(source), doraise=True)
                os.rename(aside, archive.with_suffix(".code"))

    # -- the directory

    def _begin(self, token: str, adopted: object) -> dict[str, object]:
        """Mark the directory as that of the run ``token``, and take over what an earlier connection of it has left."""
        self._token = token
        now = read_stat(os.getpid())
        owner = {"pid": os.getpid(), "start_ticks": 0 if now is None else now.start_ticks, "boot_id": _boot_id()}
        with open(self._directory / MARKER, "x", encoding="ascii") as file:
            json.dump({"token": token, "time": time.time(), **owner}, file)
        took = isinstance(adopted, str) and self._adopt(Path(adopted))
        for entry in _runs(self._directory.parent):
            if entry.name != self._directory.name and _is_stale(Path(entry.path)):
                _remove(Path(entry.path))
        return {"adopted": took}

    def _adopt(self, old: Path) -> bool:
        known = {entry.path for entry in _runs(self._directory.parent)}
        marker = _marker(old)
        if str(old) not in known or marker.get("token") != self._token or not self._token:
            return False
        if marker.get("boot_id") == _boot_id():
            _await_workers(old, 2 * LEAVE_S)
        os.rename(old / MARKER, old / f"{MARKER}-left")
        shutil.rmtree(self._directory / SHARE)
        for entry in list(os.scandir(old)):
            if not entry.name.startswith((MARKER, "w-", ".new-")) and not os.path.lexists(self._directory / entry.name):
                os.rename(entry.path, self._directory / entry.name)
        os.makedirs(self._directory / SHARE, 0o700, exist_ok=True)
        _remove(old)
        return True

    # -- the share

    def _put(self, request: Mapping[str, object], body: bytes) -> None:
        """Take files from our side, and remove those that are no more there."""
        start = 0
        for name in request["removed"]:  # type: ignore[attr-defined]
            self._share.remove(name)
            self._known.pop(name, None)
        for name, size, executable in request["files"]:  # type: ignore[attr-defined]
            self._known[name] = self._share.write(name, body[start : start + size], executable=executable)
            start += size

    def _changes(self) -> bytes:
        """Return what has become of the files since the last look at them."""
        now = self._share.look()
        files: list[list[object]] = []
        left_out: list[str] = []
        body: list[bytes] = []
        total = 0
        for name, seen in now.items():
            if self._known.get(name) == seen:
                continue
            found = self._share.read(name) if total + seen.size <= MOST_BYTES else None
            if found is None:
                left_out.append(name)
                continue
            data, now[name] = found
            total += len(data)
            files.append([name, len(data), seen.executable])
            body.append(data)
        removed = [name for name in self._known if name not in now]
        self._known = now
        return result_document({"files": files, "removed": removed, "left_out": left_out}, b"".join(body))


def _objection(parent: Path) -> str | None:
    """Return why nothing of ours can be in a directory."""
    found = os.stat(parent)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
        return f"others could replace what is in {parent}: it is writable for them, and not sticky"
    if found.st_uid not in (0, os.geteuid()):
        return f"{parent} belongs to somebody else"
    return None


def _boot_id() -> str:
    path = os.environ.get(BOOT_ID_VARIABLE)
    if path:
        with suppress(OSError):
            return Path(path).read_text("ascii").strip()
    return machine_identity()[1]


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _runs(parent: Path) -> list[os.DirEntry[str]]:
    """Return the directories of runs of this user."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(parent):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        found.append(entry)
    return found


def _marker(directory: Path) -> dict[str, object]:
    try:
        with open(os.open(directory / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            content = json.loads(file.read(4096).decode("ascii"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _token_of(directory: Path) -> object:
    return _marker(directory).get("token")


def _is_stale(directory: Path) -> bool:
    """Tell whether a run left its directory more than a day ago and is gone."""
    marker = _marker(directory)
    began, pid, ticks = marker.get("time"), marker.get("pid"), marker.get("start_ticks")
    if not isinstance(began, (int, float)) or not isinstance(pid, int) or not isinstance(ticks, int):
        return False
    if abs(time.time() - began) < OLD_S:
        return False
    return marker.get("boot_id") != _boot_id() or not NameOwner(pid, ticks).alive


def _await_workers(directory: Path, limit_s: float) -> None:
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        try:
            owners = [owner_of_name(name) for name in os.listdir(directory) if name.startswith("w-")]
            if not any(owner is None or owner.alive for owner in owners):
                return
        except OSError:
            return
        time.sleep(0.05)


def _remove(directory: Path) -> None:
    if not has_mounts(directory):
        shutil.rmtree(directory, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""A stored session as one file that can be carried elsewhere and becomes a session again.

The file is a ``.tar.gz``. All its members lie below ``<id>.session/``; the first of them is ``archive.json``::

    {"schema": "plainbox.archive/1", "id": ..., "directories": [path], "files": [{"path", "size", "sha256"}],
     "left_out": [path]}

then come the directories and the files in the order of the manifest. The lock, a journal that was never finished
(``journal-*.pbj.tmp``), the manifest of an archive that was unpacked by hand and what lets the session go on by itself on
its machine are not in it, and the last is not restored from an archive that has it; what else cannot be in it is in
``left_out``. Names, times and contents decide the bytes: owners are nobody, modes are the owner's. ``plainbox session
archive`` and ``restore`` call this.

What must stay true: nothing of the session is understood here, so a damaged one is carried like any other. An archive
appears complete or not at all, and never over a file that it was not told to replace. An archive that is read is hostile
until its last byte has been checked; only then its session becomes visible.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from plainbox.errors import (
    CorruptedSessionError,
    SessionError,
    StorageError,
    StorageFullError,
    UsageError,
)
from plainbox.session.archive_reader import (
    MANIFEST,
    MANIFEST_BYTES,
    PATH_BYTES,
    SCHEMA,
    Archive,
    ArchiveReader,
    Limits,
    StoredFile,
    bad_archive,
    check_archive,
    lets_go_on,
    read_manifest,
    reading,
)
from plainbox.session.directory import SUFFIX
from plainbox.session.files import FULL_ERRORS, NOT_REGULAR, FileOps, open_regular
from plainbox.session.lock import LOCK_NAME
from plainbox.session.repository import SessionStorageRepository, usable_repository
from plainbox.session.retention import remove_session
from plainbox.session.staging import staged_session
from plainbox.session.storage import SessionStorage
from plainbox.session.walk import Step, walk

__all__ = ["Archive", "Limits", "StoredFile", "Written", "check_archive", "restore_archive", "write_archive"]

_CHUNK_BYTES: Final = 1024 * 1024
_UNFINISHED_JOURNAL = re.compile(r"journal-[0-9]+\.pbj\.tmp")
#: What keeps a lock from being taken although nobody has it: then nobody can become a writer either.
_NO_WRITER: Final = NOT_REGULAR | {errno.EROFS, errno.EACCES, errno.EPERM}


# Writing


@attrs.frozen
class Written:
    """What was archived, and the length of the file."""

    archive: Archive
    packed_bytes: int


def write_archive(storage: SessionStorage, target: Path, *, replace: bool = False, remove: bool = False) -> Written:
    """Write the session into the file ``target``, durably and checked by reading it back; return what is in it.

    With ``remove`` the session is removed then, before anybody else can use it, unless something of it was left out.

    :raises LockedStorageError: somebody uses the session.
    :raises StorageError: it cannot be read, or the archive cannot be written.
    :raises UsageError: there is such a file, and it was not to be replaced; or it would lie in the session.
    """
    _check_target(target, replace)
    with _nobody_writes(storage), _told_apart(storage, target):
        _check_outside(storage, target)
        temporary = target.with_name(f".{target.name[:200]}-{os.urandom(4).hex()}.tmp")
        archive = _survey(storage)
        manifest = _manifest_of(archive)
        try:
            _write(storage, archive, manifest, temporary)
            _read_back(temporary, archive)
            written = os.lstat(temporary)
            _give_name(temporary, target, replace)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        _check_in_place(target, written)
        if remove and not archive.left_out:
            removal = remove_session(storage)
            if removal.refused is not None:
                raise StorageError(f"{target} is written, and the session stays: {removal.refused}")
    return Written(archive, written.st_size)


def _check_target(target: Path, replace: bool) -> None:
    if os.path.lexists(target) and not (replace and target.is_file() and not target.is_symlink()):
        hint = "--force replaces it" if target.is_file() and not target.is_symlink() else None
        raise UsageError(f"{target} exists", hint=hint)


def _check_outside(storage: SessionStorage, target: Path) -> None:
    """Raise when the archive would lie in the session, with which it would go."""
    session = os.stat(storage.location)
    real = Path(os.path.realpath(target.parent))
    if any(os.path.samestat(session, os.stat(place)) for place in (real, *real.parents) if place.exists()):
        raise UsageError(f"{target} would lie in the session itself", hint="-o names another place")


def _check_in_place(target: Path, written: os.stat_result) -> None:
    """Raise unless the file is there that was written and read back."""
    found = os.lstat(target)
    if not os.path.samestat(found, written) or found.st_size != written.st_size:
        raise StorageError(f"somebody else changed the archive {target}")


@contextlib.contextmanager
def _nobody_writes(storage: SessionStorage) -> Iterator[None]:
    try:
        storage.lock()
    except StorageError as error:
        if error.errno not in _NO_WRITER or storage.owner() is not None:
            raise
    try:
        yield
    finally:
        storage.unlock()


@contextlib.contextmanager
def _told_apart(storage: SessionStorage, target: Path) -> Iterator[None]:
    """Say whose trouble it is: that of the session, which cannot be read, or that of the archive."""
    try:
        yield
    except SessionError:
        raise
    except OSError as error:
        if isinstance(error.filename, str) and error.filename.startswith(storage.location):
            hint = _hint_about_rights(error.filename) if isinstance(error, PermissionError) else None
            raise StorageError(f"{error.filename} cannot be read", errno=error.errno, hint=hint) from error
        kind = StorageFullError if error.errno in FULL_ERRORS else StorageError
        raise kind(f"the archive {target} cannot be written", errno=error.errno) from error


def _read_back(path: Path, archive: Archive) -> None:
    try:
        good = check_archive(path) == archive
    except CorruptedSessionError:
        good = False
    if not good:
        raise StorageError(
            f"the session {archive.id} changed while it was read, or the medium failed",
            hint="end what its jobs may have left running, and look at the kernel's messages",
        )


def _survey(storage: SessionStorage) -> Archive:
    """Look at everything in the session and return what its archive will hold."""
    files: list[StoredFile] = []
    directories: list[str] = []
    left_out: list[str] = []
    for path, step in _content(storage):
        if lets_go_on(path) or (step.depth == 0 and _is_made_anew(storage, step)):
            continue
        top = path.partition("/")[0]
        if top in (LOCK_NAME, MANIFEST):  # and it is none
            left_out += [path] if path == top else []
        elif step.is_directory:
            directories.append(path)
        elif _is_regular(step):
            files.append(_measured(storage.location, path))
        else:
            left_out.append(path)
    files.sort(key=lambda file: file.path)
    return Archive(storage.id, tuple(files), tuple(sorted(directories)), tuple(sorted(left_out)))


def _content(storage: SessionStorage) -> Iterator[tuple[str, Step]]:
    """Yield everything in the session, with its path below it; what is nested too deeply raises :class:`StorageError`."""
    parents: list[str] = []
    directory = storage.files.open_directory(storage.location)
    try:
        for step in walk(directory):
            if step.done:
                continue
            del parents[step.depth :]
            path = "/".join((*parents, step.name))
            if len(os.fsencode(path)) > PATH_BYTES:
                raise StorageError(
                    f"the session {storage.id} cannot be in an archive: {path[:80]}... is nested too deeply",
                    hint="remove what a job has left there, then archive the session again",
                )
            if step.is_directory:
                parents.append(step.name)
            yield path, step
    except PermissionError as error:
        path = os.path.join(storage.location, *parents)
        raise StorageError(f"{path} cannot be read", errno=error.errno, hint=_hint_about_rights(path)) from error
    finally:
        os.close(directory)


def _hint_about_rights(path: str) -> str:
    return f"give yourself the right to it: chmod u+rwX {shlex.quote(path)}"


def _is_regular(step: Step) -> bool:
    return stat.S_ISREG(os.stat(step.name, dir_fd=step.directory, follow_symlinks=False).st_mode)


def _is_made_anew(storage: SessionStorage, step: Step) -> bool:
    """Tell whether something at the top of a session is of no use elsewhere."""
    if step.is_directory or not _is_regular(step):
        return False
    if step.name == MANIFEST:
        return _is_manifest(os.path.join(storage.location, step.name))
    return step.name == LOCK_NAME or _UNFINISHED_JOURNAL.fullmatch(step.name) is not None


def _is_manifest(path: str) -> bool:
    with open(open_regular(path), "rb") as file:
        try:
            read_manifest(file.read(MANIFEST_BYTES + 1), Limits())
        except SessionError:
            return False
    return True


def _manifest_of(archive: Archive) -> bytes:
    """Return the manifest; what a reader would not take is refused before anything is written."""
    text = json.dumps({"schema": SCHEMA, **attrs.asdict(archive)}, indent=1, sort_keys=True).encode("ascii")
    try:
        read_manifest(text, Limits())
    except CorruptedSessionError as error:
        raise StorageError(f"the session {archive.id} cannot be in an archive: {error.message}") from None
    return text


def _measured(location: str, path: str) -> StoredFile:
    digest = hashlib.sha256()
    size = 0
    with open(open_regular(os.path.join(location, path)), "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return StoredFile(path, size, digest.hexdigest())


def _write(storage: SessionStorage, archive: Archive, manifest: bytes, temporary: Path) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as raw:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add_all(tar, storage, archive, manifest)
        raw.flush()
        os.fsync(raw.fileno())


def _add_all(tar: tarfile.TarFile, storage: SessionStorage, archive: Archive, manifest: bytes) -> None:
    top = archive.id + SUFFIX
    tar.addfile(_member(f"{top}/{MANIFEST}", len(manifest)), io.BytesIO(manifest))
    for path in archive.directories:
        directory = _member(f"{top}/{path}", 0)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(directory)
    for stored in archive.files:
        with open(open_regular(os.path.join(storage.location, stored.path)), "rb") as file:
            status = os.fstat(file.fileno())
            member = _member(f"{top}/{stored.path}", stored.size)
            member.mtime = int(status.st_mtime)
            member.mode |= status.st_mode & stat.S_IXUSR
            tar.addfile(member, file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, 0
    return member


def _give_name(temporary: Path, target: Path, replace: bool) -> None:
    if replace:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise UsageError(f"{target} exists", hint="--force replaces it") from None
        except OSError:  # a file system without links
            _check_target(target, replace)
            os.rename(temporary, target)
    FileOps().sync_directory(target.parent)


# Reading


def restore_archive(
    path: Path,
    repository: SessionStorageRepository,
    *,
    as_id: str | None = None,
    limits: Limits | None = None,
    files: FileOps | None = None,
) -> SessionStorage:
    """Make the session of an archive in the repository, under its own id or another one, and return its storage.

    It becomes visible, durable, when every byte has been checked; whatever happens before leaves nothing.

    :raises CorruptedSessionError: as :func:`check_archive`; also for what must not be in a session.
    :raises UsageError: there is such a session already, or the id is none.
    :raises StorageError: the session cannot be made there.
    """
    ops = FileOps() if files is None else files
    with reading(path, limits or Limits()) as reader:
        location = os.path.join(repository.location, _usable_id(as_id, reader.archive.id) + SUFFIX)
        if os.path.lexists(location):
            raise _taken(location)
        with usable_repository(repository.location):
            _restore(reader, location, ops)
    return SessionStorage(location)


def _restore(reader: ArchiveReader, location: str, ops: FileOps) -> None:
    base = os.path.dirname(location)
    with staged_session(ops, base, "restore") as staged:
        _check_room(reader.archive, base)
        directories = [name for name in reader.archive.directories if not lets_go_on(name)]
        for name in directories:
            ops.mkdir(os.path.join(staged.path, name))
        for member, content in reader:
            path = member.name.partition("/")[2]
            if lets_go_on(path):
                for _ in content:  # it is checked like everything else
                    pass
            else:
                _restore_file(os.path.join(staged.path, path), member, content, ops)
        for name in reversed(directories):
            ops.sync_directory(os.path.join(staged.path, name))
        try:
            staged.claim(location).release()
        except FileExistsError:
            raise _taken(location) from None


def _restore_file(path: str, member: tarfile.TarInfo, content: Iterator[bytes], ops: FileOps) -> None:
    fd = ops.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | (member.mode & stat.S_IXUSR))
    try:
        offset = 0
        for chunk in content:
            ops.write_all(fd, chunk, offset)
            offset += len(chunk)
        os.utime(fd, (member.mtime, member.mtime))
        ops.fsync(fd)
    finally:
        ops.close(fd)


def _check_room(archive: Archive, base: str) -> None:
    space = os.statvfs(base)
    if archive.size_bytes > space.f_bavail * space.f_frsize:
        raise StorageFullError(f"the session needs {archive.size_bytes} bytes", errno=errno.ENOSPC)


def _usable_id(wanted: str | None, own: str) -> str:
    name = (own if wanted is None else wanted).removesuffix(SUFFIX)
    good = (
        not name.endswith(SUFFIX)
        and name.isprintable()
        and "/" not in name
        and not name.startswith(".")
        and len(name.encode("utf-8")) <= 200
    )
    if name and good:
        return name
    if wanted is None:
        raise bad_archive(f"{own!r} is no id of a session", hint="--as ID gives it one")
    raise UsageError(f"{wanted!r} is no id of a session", hint="letters, digits and -_. are good")


def _taken(location: str) -> UsageError:
    name = os.path.basename(location).removesuffix(SUFFIX)
    return UsageError(f"there is a session {name} already", hint="--as ID restores it under another id")

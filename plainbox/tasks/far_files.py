# SPDX-License-Identifier: Apache-2.0
"""Files that an execution needs at the far end, kept there under their digests for the next one.

What is there under a digest is that or nothing: a file is written aside, looked at, and renamed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from plainbox.errors import RemoteSetupError
from plainbox.tasks.documents import FarFile

__all__ = ["FarFiles", "place_of"]


def place_of(directory: str, file: FarFile) -> str:
    """Return where a file is, or what was in it, once the far end has it; ``directory`` keeps the files."""
    return os.path.join(directory, f"{file.digest}.d" if file.unpack else file.digest)


class FarFiles:
    """The files in one directory of the far end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, file: FarFile) -> bool:
        """Tell whether it is here: taken apart into a directory, or whole with the right content."""
        place = Path(place_of(str(self._directory), file))
        if file.unpack:
            return place.is_dir()
        try:
            return hashlib.sha256(place.read_bytes()).hexdigest() == file.digest
        except OSError:
            return False

    def keep(self, file: FarFile, data: bytes) -> None:
        """Store what has come for ``file``; :class:`RemoteSetupError` when it is something else or there is no space."""
        if hashlib.sha256(data).hexdigest() != file.digest:
            raise RemoteSetupError("a file is not what was announced")
        place = place_of(str(self._directory), file)
        try:
            aside = Path(tempfile.mkdtemp(prefix=".new-", dir=self._directory))
            try:
                whole = aside / "file"
                whole.write_bytes(data)
                if file.unpack:
                    _unpack(whole, aside / "content")
                    whole = aside / "content"
                _rename(whole, place)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        except OSError as error:
            raise RemoteSetupError(f"a file could not be stored there: {error}") from error


def _rename(source: Path, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError:
        # Another execution was faster: what is there has the same digest.
        if not os.path.isdir(target):
            raise


def _unpack(archive: Path, target: Path) -> None:
    """Take a zip of regular files apart; programs stay programs."""
    target.mkdir(mode=0o700)
    try:
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                name = PurePosixPath(entry.filename)
                mode = entry.external_attr >> 16
                if name.is_absolute() or ".." in name.parts or stat.S_ISLNK(mode):
                    raise RemoteSetupError(f"an archive holds {entry.filename!r}, which has no place")
                if entry.is_dir():
                    (target / name).mkdir(parents=True, exist_ok=True)
                    continue
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                with files.open(entry) as source, open(target / name, "xb") as file:
                    shutil.copyfileobj(source, file)
                os.chmod(target / name, 0o700 if mode & 0o100 else 0o600)
    except zipfile.BadZipFile as error:
        raise RemoteSetupError(f"an archive cannot be read: {error}") from error

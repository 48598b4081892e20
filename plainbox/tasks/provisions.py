# SPDX-License-Identifier: Apache-2.0
"""The files of providers on their way to another machine: one archive for each provider, named by its digest.

Made once for a run: the files of a provider are read when the first job of its namespace goes there.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plainbox.errors import RemoteSetupError
from plainbox.tasks.documents import FarFile
from plainbox.tasks.equipment import Equipment, ProviderFiles
from plainbox.tasks.far_files import place_of

__all__ = ["Pack", "Provisions"]

MOST_BYTES = 512 * 1024 * 1024

_LEFT_OUT = {"__pycache__", ".git", ".svn", ".hg", ".bzr", "CVS"}


@dataclass(frozen=True)
class Pack:
    """The archive of one provider."""

    provider: ProviderFiles
    file: FarFile
    data: bytes

    def places(self, store: str) -> Mapping[str, str]:
        """Return where the paths of this machine are there."""
        there = place_of(store, self.file)
        moved = {path: f"{there}/{part}" for part, path in self.provider.directories.items()}
        return {self.provider.base: there, **moved}


class Provisions:
    """The packs of one run."""

    def __init__(self) -> None:
        self._packs: dict[str, Pack] = {}

    def of(self, equipment: Equipment) -> list[Pack]:
        """Return the packs that a job needs; :class:`RemoteSetupError` when one is too large or cannot be read."""
        return [self._pack(provider) for provider in equipment.providers]

    def _pack(self, provider: ProviderFiles) -> Pack:
        pack = self._packs.get(provider.base)
        if pack is None:
            try:
                data = _archive(dict(_files(provider)))
            except OSError as error:
                raise RemoteSetupError(f"the provider in {provider.base} cannot be sent: {error}") from error
            file = FarFile(hashlib.sha256(data).hexdigest(), len(data), unpack=True)
            pack = self._packs[provider.base] = Pack(provider, file, data)
        return pack


def _files(provider: ProviderFiles) -> Iterator[tuple[str, str]]:
    """Return names in the archive and paths here: regular files, and links to such files of the same provider."""
    base = os.path.realpath(provider.base)
    for part, top in provider.directories.items():
        inside = (base, os.path.realpath(top))
        for path, directories, names in os.walk(top):
            directories[:] = sorted(set(directories) - _LEFT_OUT)
            above = os.path.normpath(os.path.join(part, os.path.relpath(path, top)))
            for name in sorted(names):
                source = os.path.realpath(os.path.join(path, name))
                if source.startswith(tuple(f"{root}/" for root in inside)) and not name.endswith((".pyc", ".pyo")):
                    yield f"{above}/{name}", source
    have = os.path.join(provider.directories.get("bin", ""), "")
    for program in provider.programs:
        # What jobs can call by its name although it lies deeper, or was built elsewhere.
        if os.path.dirname(program) + "/" != have:
            yield f"bin/{os.path.basename(program)}", os.path.realpath(program)


def _archive(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    total = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            with open(os.open(files[name], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    continue
                total += found.st_size
                if total > MOST_BYTES:
                    raise OSError(f"its files have more than {MOST_BYTES // 1024 // 1024} MiB")
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system = 3
                entry.external_attr = (stat.S_IFREG | (0o755 if found.st_mode & 0o111 else 0o644)) << 16
                archive.writestr(entry, file.read())
    return buffer.getvalue()

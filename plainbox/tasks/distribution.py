# SPDX-License-Identifier: Apache-2.0
"""The modules that an execution needs somewhere else, as one zip that a Python there imports from.

The same sources give the same bytes, and the name of the file is the SHA-256 of them: an edit makes another file, a
reader never sees half of one, and the far end can tell whether it has it already. Each module is found under its own
name, a submodule in its package. Source travels, never bytecode; what is no part of a program or might be a secret
stays here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import stat
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from plainbox.errors import ChainError

if TYPE_CHECKING:
    from plainbox.tasks.configuration import Configuration

__all__ = [
    "TRAVELLING",
    "DistributionArchive",
    "archive_directory",
    "archive_of",
    "get_distribution_archive",
    "keep",
]

#: What the far end of any execution runs.
TRAVELLING = ("plainbox.errors", "plainbox.lazy", "plainbox.processes", "plainbox.tasks")

LARGEST_FILE = 10 * 1024 * 1024
MOST_ARCHIVES = 20

_LEFT_OUT = re.compile(r"\..*|__pycache__|CVS|_darcs|.*\.(pyc|pyo|key|pem)|.*~", re.IGNORECASE)
_NAME = re.compile(r"[0-9a-f]{64}\.pyz")
_MAIN = b"""\
import sys
if sys.version_info < (3, 8):
    sys.stderr.write("plainbox needs Python 3.8 or newer, and %s is %s\\n" % (sys.executable, sys.version.split()[0]))
    sys.exit(78)
from plainbox.tasks.runner import main
sys.exit(main(sys.argv[1:]))
"""

_lock = threading.Lock()
_archives: WeakKeyDictionary[Configuration, DistributionArchive] = WeakKeyDictionary()


class DistributionArchive:
    """What the far end imports: the modules that always travel, and ``modules``. Equal to one of the same modules.

    ``directory`` keeps the archives; None stands for the usual one, :func:`archive_directory`. It must be one in which
    nobody else can write. ``wanted_by`` says in errors who has asked for the modules.
    """

    def __init__(
        self,
        directory: Path | None,
        *modules: str | ModuleType,
        wanted_by: str = "the list of modules for distribution",
    ) -> None:
        self.modules = tuple(dict.fromkeys(map(_name_of, modules)))
        self._directory = directory
        self._wanted_by = wanted_by
        self._seen: object = None
        self._data = b""
        self._digest = ""

    def __eq__(self, other: object) -> bool:
        return self.modules == other.modules if isinstance(other, DistributionArchive) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.modules)

    @property
    def path(self) -> Path:
        """The archive of the sources as they are now, complete, in its directory; made when it is not there.

        :class:`ChainError` names a module that does not exist or has no source; OSError tells of the directory.
        """
        return keep(self._directory or archive_directory(), self.digest, self._data)

    @property
    def digest(self) -> str:
        """The SHA-256 of the archive of the sources as they are now."""
        self._refresh()
        return self._digest

    @property
    def data(self) -> bytes:
        """The archive itself."""
        self._refresh()
        return self._data

    def _refresh(self) -> None:
        sources = dict(self._sources())
        seen = {name: (*source, _version(source[0])) for name, source in sources.items()}
        if seen == self._seen:
            return
        files = {name: _content(source) for name, source in sources.items()}
        self._data = archive_of({**files, "__main__.py": _MAIN})
        self._digest = hashlib.sha256(self._data).hexdigest()
        self._seen = seen

    def _sources(self) -> Iterator[tuple[str, tuple[str, str | None]]]:
        for name in (*TRAVELLING, *self.modules):
            parent, _, _ = name.rpartition(".")
            while parent:
                yield from _own_file(parent, self._spec(parent))
                parent, _, _ = parent.rpartition(".")
            spec = self._spec(name)
            yield from _own_file(name, spec)
            for location in spec.submodule_search_locations or ():
                yield from _below(location, name.replace(".", "/"))

    def _spec(self, name: str) -> ModuleSpec:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is None:
            raise ChainError(f"there is no module {name!r}, which {self._wanted_by} names")
        if spec.submodule_search_locations is None and not (spec.origin or "").endswith(".py"):
            raise ChainError(f"the module {name!r}, which {self._wanted_by} names, has no source that could travel")
        return spec


def get_distribution_archive(configuration: Configuration, directory: Path | None = None) -> DistributionArchive:
    """Return the archive of a configuration: with its own module and those that it wants to send along.

    The same object for as long as those are the same.
    """
    with _lock:
        named = (configuration.module_name, *configuration.modules_for_distribution)
        made = DistributionArchive(
            directory, *filter(None, named), wanted_by="Configuration.add_modules_for_distribution"
        )
        known = _archives.get(configuration)
        if known is None or known != made or known._directory != directory:
            known = _archives[configuration] = made
        return known


def archive_of(files: dict[str, bytes]) -> bytes:
    """Return a zip of ``files``, always the same for the same ones: sorted, without times, nothing compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def archive_directory() -> Path:
    """Return where the archives of this user are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "plainbox" / "archives"


def keep(directory: Path, digest: str, data: bytes) -> Path:
    """Have ``data`` in ``directory`` under its digest, and nothing else than it; return where it is.

    :class:`ChainError` for a directory in which somebody else could put something.
    """
    path = directory / f"{digest}.pyz"
    with suppress(FileNotFoundError, NotADirectoryError):
        _refuse_shared(directory)
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                os.utime(path)
                return path
    except OSError:
        pass
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_shared(directory)
    descriptor, aside = tempfile.mkstemp(dir=directory, prefix=".new-")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o400)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    _forget_old(directory)
    return path


def _refuse_shared(directory: Path) -> None:
    found = os.stat(directory)
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ChainError(
            f"archives of code cannot be kept in {directory}: others can write to it",
            hint="name a directory of your own, with the mode 700",
        )


def _forget_old(directory: Path) -> None:
    """Remove the archives that nobody has used for longest."""
    found = []
    for entry in os.scandir(directory):
        if _NAME.fullmatch(entry.name):
            with suppress(OSError):
                found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path))
    for _, old in sorted(found, reverse=True)[MOST_ARCHIVES:]:
        with suppress(OSError):
            os.unlink(old)


def _name_of(module: str | ModuleType) -> str:
    if isinstance(module, str):
        return module
    spec = module.__spec__
    if spec is not None:
        return spec.name
    # A program that was started by the name of its file.
    return Path(module.__file__).stem if module.__file__ else module.__name__


def _own_file(name: str, spec: ModuleSpec) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Return the file of a module itself: none for a namespace package."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    inside = name.replace(".", "/")
    inside += ".py" if spec.submodule_search_locations is None else "/__init__.py"
    zipped = _zip_of(spec.origin)
    yield inside, (spec.origin, None) if zipped is None else (zipped, os.path.relpath(spec.origin, zipped))


def _below(location: str, inside: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Return the files of a package: regular ones, links are not followed."""
    zipped = _zip_of(location)
    if zipped is not None:
        with zipfile.ZipFile(zipped) as archive:
            for name in archive.namelist():
                if name.startswith(f"{inside}/") and not name.endswith("/"):
                    yield name, (zipped, name)
        return
    with os.scandir(location) as entries:
        for entry in entries:
            if _LEFT_OUT.fullmatch(entry.name):
                continue
            name = f"{inside}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, name)
            elif entry.is_file(follow_symlinks=False) and entry.stat().st_size <= LARGEST_FILE:
                yield name, (entry.path, None)


def _zip_of(path: str) -> str | None:
    """Return the zip that a path of a module leads into."""
    return next((entry for entry in sys.path if path.startswith(entry + os.sep) and os.path.isfile(entry)), None)


def _version(path: str) -> Iterable[int]:
    now = os.stat(path)
    return now.st_mtime_ns, now.st_size, now.st_ino


def _content(source: tuple[str, str | None]) -> bytes:
    path, name = source
    if name is None:
        return Path(path).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)

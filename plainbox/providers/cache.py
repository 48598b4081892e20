# SPDX-License-Identifier: Apache-2.0
"""The cache of unit files: what each of them said when it was last read, so that thousands of units load unparsed.

Every provider reads its folders of units through it. One cache file stands for one folder: a line with the checksum of
the rest, a line that names the unit files, and for each of them two lines: what its records hold, and what of them only
few commands ask for. Those are decoded when somebody asks.

What must stay true: nobody can tell a catalogue from the cache from one of the files. A cache file that does not verify
counts as none; a unit file that differs in size, times or inode is read again; files with errors are never kept, because
their errors are told each time. Writers replace the whole file at once, and when they cannot, only time is lost.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs

from plainbox import __version__, dirs
from plainbox.errors import UnitError
from plainbox.units.origin import Origin
from plainbox.units.reader import read_records
from plainbox.units.record import Place, Record, Value

__all__ = ["NO_CACHE", "UnitCache"]

#: The environment variable that switches the cache off.
NO_CACHE = "PLAINBOX_NO_CACHE"

_SCHEMA = "plainbox.units-cache/1"
_MAX_BYTES = 64 * 1024 * 1024
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system: two changes within it can look like one
_DAY_S = 86_400
_UNUSED_S = 30 * _DAY_S  # cache files that nobody has used for so long are removed

# What the records depend on besides the unit files.
_READERS = ("providers/cache.py", "units/pxu.py", "units/reader.py", "units/record.py", "units/yaml.py")

_Bytes: TypeAlias = "bytes | memoryview"
V = TypeVar("V")


@attrs.frozen
class _Entry:
    """A unit file as it was: its size, times and inode, and its records as JSON."""

    key: list[int]
    records: _Bytes  # of each: first line, last line, data
    details: _Bytes  # of each: raw texts that are not the data, places


class UnitCache:
    """The records of the unit files below one folder: ask for those of each file, then :meth:`save`."""

    def __init__(self, folder: Path) -> None:
        self._path = _path_for(folder)
        self._known = _load(self._path) if self._path is not None else {}
        self._kept: dict[str, _Entry] = {}

    def records(self, path: Path, *, on_error: Callable[[UnitError], None]) -> Iterator[Record]:
        """Yield the records of a unit file; what is wrong with the rest goes to ``on_error``."""
        if self._path is None:
            yield from read_records(path, on_error=on_error)
            return
        source = str(path)
        # Asked before the file is read: should it change meanwhile, the key is that of a file which is no more.
        key = _key(path)
        entry = self._known.get(source)
        if entry is not None and entry.key == key:
            self._kept[source] = entry
            yield from _decoded(entry, source)
            return
        records: list[Record] = []
        errors: list[UnitError] = []

        def failed(error: UnitError) -> None:
            errors.append(error)
            on_error(error)

        for record in read_records(path, on_error=failed):
            records.append(record)
            yield record
        if key is not None and not errors:
            self._kept[source] = _encoded(key, records)

    def save(self) -> None:
        """Store the records of the files that were asked for, if they are not what is stored."""
        if self._path is None or self._kept == self._known:
            return
        with contextlib.suppress(OSError):
            _store(self._path, self._kept)


def _path_for(folder: Path) -> Path | None:
    """Return where the cache of a folder is; ``None`` when there is to be none."""
    if os.environ.get(NO_CACHE, "0") not in ("", "0"):
        return None
    directory = dirs.unit_cache()
    if not directory.is_absolute():
        return None  # nobody's home: the path would lead below the current directory
    # Versions of Plainbox side by side have a file each. Two folders with one name would only push each other out.
    name = _checksum([os.fsencode(folder), _reader().encode()])
    return directory / f"{name:08x}.units"


@functools.cache
def _reader() -> str:
    """Return what stands for the code that makes records: its version, in a checkout also the state of its files."""
    parts = [__version__]
    package = Path(__file__).parents[1]
    for name in _READERS:
        with contextlib.suppress(OSError):
            status = os.stat(package / name)
            parts.append(f"{status.st_size}.{status.st_mtime_ns}")
    return " ".join(parts)


def _key(path: Path) -> list[int] | None:
    """Return what tells this state of a file from all others, also when its time is set back; ``None`` if nothing does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    if not stat.S_ISREG(status.st_mode) or time.time_ns() - changed < _SETTLED_NS:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


# -- the records of a file as JSON


def _encoded(key: list[int], records: Iterable[Record]) -> _Entry:
    rows = [(record.origin.line_start, record.origin.line_end, record.data) for record in records]
    details = [
        ({name: text for name, text in record.raw.items() if text != record.data[name]}, record.offsets)
        for record in records
    ]
    return _Entry(key, _line(rows), _line(details))


def _decoded(entry: _Entry, source: str) -> Iterator[Record]:
    rows = _parsed(entry.records)
    details = _Details(entry.details, rows)
    for number, (start, end, data) in enumerate(rows):
        raw: Mapping[str, Value] = _Later(details, "raw", number)
        places: Mapping[str, Place] = _Later(details, "places", number)
        yield Record(data, raw, Origin(source, start, end), places)


class _Details:
    """The raw texts and the places of the records of one file, decoded when one of them is asked for."""

    def __init__(self, line: _Bytes, rows: list[tuple[int, int, dict[str, Value]]]) -> None:
        self._line = line
        self._rows = rows

    @functools.cached_property
    def _parts(self) -> list[tuple[dict[str, Value], dict[str, int | list[int]]]]:
        parts: list[tuple[dict[str, Value], dict[str, int | list[int]]]] = _parsed(self._line)
        return parts

    @functools.cached_property
    def raw(self) -> list[dict[str, Value]]:
        return [{**data, **raw} for (_, _, data), (raw, _) in zip(self._rows, self._parts, strict=True)]

    @functools.cached_property
    def places(self) -> list[dict[str, Place]]:
        return [
            {key: tuple(place) if isinstance(place, list) else place for key, place in places.items()}
            for _, places in self._parts
        ]


class _Later(Mapping[str, V]):
    """A mapping out of the details; every record has two of them, and few are looked into."""

    __slots__ = ("_details", "_name", "_number")

    def __init__(self, details: _Details, name: str, number: int) -> None:
        self._details = details
        self._name = name
        self._number = number

    def _found(self) -> Mapping[str, V]:
        found: Mapping[str, V] = getattr(self._details, self._name)[self._number]
        return found

    def __getitem__(self, key: str) -> V:
        return self._found()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def __bool__(self) -> bool:
        return True  # no record is empty; the question alone is no reason to decode it

    def __repr__(self) -> str:
        return repr(self._found())


def _line(value: object) -> bytes:
    import json

    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _parsed(line: _Bytes) -> Any:
    import json

    return json.loads(str(line, "ascii"))


# -- the cache file


def _load(path: Path) -> dict[str, _Entry]:
    """Return what a cache file holds: nothing unless it is whole, ours, and written by this version."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not _is_ours(status) or status.st_size > _MAX_BYTES:
                return {}
            checksum = file.readline()
            content = file.read()
            if checksum != _checksum_line([content]):
                return {}
            if time.time() - status.st_mtime > _DAY_S:
                with contextlib.suppress(OSError):
                    os.utime(file.fileno())  # still in use
        return _entries(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _entries(content: bytes) -> dict[str, _Entry]:
    place = content.index(b"\n") + 1
    index = _parsed(content[:place])
    if index["schema"] != _SCHEMA or index["reader"] != _reader():
        return {}
    rest = memoryview(content)
    entries = {}
    for source, (key, *sizes) in index["files"].items():
        middle, end = place + sizes[0], place + sum(sizes)
        entries[source] = _Entry(key, rest[place:middle], rest[middle:end])
        place = end
    return entries


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _store(path: Path, entries: dict[str, _Entry]) -> None:
    """Replace a cache file at once; no reader ever sees a part of it, and of several writers the last one wins."""
    import tempfile

    files = {source: (entry.key, len(entry.records), len(entry.details)) for source, entry in entries.items()}
    lines: list[_Bytes] = [_line({"schema": _SCHEMA, "reader": _reader(), "files": files})]
    for entry in entries.values():
        lines += [entry.records, entry.details]
    if sum(map(len, lines)) > _MAX_BYTES or not _make_directory(path.parent):
        return
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(_checksum_line(lines))
            file.writelines(lines)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _remove_unused(path.parent)


def _checksum_line(lines: Iterable[_Bytes]) -> bytes:
    return b"%08x\n" % _checksum(lines)


def _checksum(lines: Iterable[_Bytes]) -> int:
    """Return the CRC-32, which is against accidents: those who may write here could make any checksum right.

    A digest of hashlib would take longer to import than the rest of the verification takes.
    """
    import zlib

    return functools.reduce(lambda checksum, line: zlib.crc32(line, checksum), lines, 0)


def _make_directory(directory: Path) -> bool:
    """Make the directory and those above it, private; not when root would leave files in the home of somebody else."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    above = missing[-1].parent if missing else directory
    if os.geteuid() == 0 and above.stat().st_uid != 0:
        return False
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    return True


def _remove_unused(directory: Path) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S:
                    os.unlink(entry.path)

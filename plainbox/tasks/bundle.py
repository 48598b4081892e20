# SPDX-License-Identifier: Apache-2.0
"""An invocation as a file: what goes to another process and what comes back from it.

A bundle is a zip archive with fixed names: ``invocation.json`` (which invocation, which chain, how far it is),
``task.dat``, ``execution.dat``, ``context.dat``, ``result.dat`` in the form of the configuration's serializer, and the
attachments as ``attachments/0``, ``attachments/1``... What is read may come from anybody: names, numbers and sizes are
checked before anything is unpacked, and nothing is written but the attachments, into a directory of ours.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from plainbox.errors import SerializationError

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "MOST_RATIO", "PARTS", "SCHEMA", "Bundle", "read", "write"]

SCHEMA = "plainbox.invocation/1"
PARTS = ("task", "execution", "context", "result")
MOST_ENTRIES = 64
MOST_BYTES = 256 * 1024 * 1024
MOST_RATIO = 100

_DOCUMENT = "invocation.json"
_ATTACHMENT = re.compile(r"attachments/(0|[1-9][0-9]?)")
_CHUNK = 65536
#: The end record of a zip, which may have a comment behind it: the number of entries, and the bytes of their list. What
#: stands before it in a very large one says that both are somewhere else.
_END_MARK = b"PK\5\6"
_END = struct.Struct("<8sHHL")
_FAR_END_MARK, _FAR_END_SIZE = b"PK\6\7", 20
_LONGEST_END = _FAR_END_SIZE + 22 + 65536
#: One entry of the list takes some 60 bytes and its name.
MOST_DIRECTORY = MOST_ENTRIES * 1024
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: the document, the parts by their names, the files of the attachments in their order."""

    document: Mapping[str, object]
    parts: Mapping[str, bytes]
    attachments: tuple[Path, ...] = field(default=())


def write(stream: BinaryIO, bundle: Bundle) -> None:
    """Write a bundle. :class:`SerializationError` when no reader would take it."""
    try:
        sizes = [len(data) for data in bundle.parts.values()] + [path.stat().st_size for path in bundle.attachments]
    except OSError as error:
        raise SerializationError(f"an attachment cannot travel: {error}") from error
    if len(sizes) >= MOST_ENTRIES:
        raise SerializationError(f"an invocation with {len(bundle.attachments)} attachments cannot travel")
    if sum(sizes) > MOST_BYTES - _CHUNK:
        raise SerializationError(f"an invocation of {sum(sizes)} bytes cannot travel, {MOST_BYTES} are possible")
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        document = json.dumps(bundle.document, separators=(",", ":"), allow_nan=False)
        archive.writestr(_info(_DOCUMENT), document.encode("ascii"))
        for name in PARTS:
            archive.writestr(_info(f"{name}.dat"), bundle.parts[name])
        for number, path in enumerate(bundle.attachments):
            with open(path, "rb") as source, archive.open(_info(f"attachments/{number}"), "w") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)


def read(stream: BinaryIO, directory: Callable[[], Path]) -> Bundle:
    """Return what a bundle holds; :class:`SerializationError` when it is not exactly one.

    Attachments become new files in the directory that ``directory()`` returns, which is asked for only when there are
    some, and must be empty.
    """
    try:
        stream = _seekable(stream)
        _check_number(stream)
        with zipfile.ZipFile(stream) as archive:
            entries = _checked(archive.infolist())
            data = {name: _content(archive, entries[name]) for name in entries if not name.startswith("attachments/")}
            numbers = range(len(entries) - len(data))
            base = directory() if numbers else None
            files = [
                _unpacked(archive, entries[f"attachments/{n}"], base / str(n)) for n in numbers if base is not None
            ]
        document = json.loads(data.pop(_DOCUMENT).decode("utf-8"))
    except _UNREADABLE as error:
        raise _refused(f"it cannot be read ({error})") from error
    except RecursionError:
        raise _refused("its document is nested too deeply") from None
    except KeyError as error:
        raise _refused(f"there is no {error}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _refused(f"its document is no {SCHEMA}")
    return Bundle(document, {name[: -len(".dat")]: content for name, content in data.items()}, tuple(files))


def _info(name: str) -> zipfile.ZipInfo:
    """Return an entry without a time, so that equal content is equal bytes."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    return info


def _seekable(stream: BinaryIO) -> BinaryIO:
    if stream.seekable():
        return stream
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _refused("it is too large")
    return io.BytesIO(data)


def _check_number(stream: BinaryIO) -> None:
    """Look at how many entries there are to be before zipfile makes an object of each."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _LONGEST_END))
    end = stream.read(_LONGEST_END)
    stream.seek(0)
    start = end.rfind(_END_MARK)
    if start < 0 or len(end) - start < _END.size:
        raise _refused("it cannot be read (it has no end)")
    if end[max(0, start - _FAR_END_SIZE) : start].startswith(_FAR_END_MARK):
        raise _refused("it is too large")
    _, _, number, size_of_all = _END.unpack_from(end, start)
    if number > MOST_ENTRIES or size_of_all > MOST_DIRECTORY:
        raise _refused(f"it has {number} entries")


def _checked(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name when all of them may be there, and none is missing."""
    if len(infos) > MOST_ENTRIES:
        raise _refused(f"it has {len(infos)} entries")
    needed = {_DOCUMENT, *(f"{name}.dat" for name in PARTS)}
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        # orig_filename: zipfile cuts the other one at a zero byte.
        name = info.orig_filename
        if name in entries or not (name in needed or _ATTACHMENT.fullmatch(name)):
            raise _refused(f"it has an entry {name[:80]!r} too many")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _refused(f"its entry {name!r} is no regular file")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(f"its entry {name!r} is packed in a way that is not used here")
        if info.file_size > MOST_RATIO * max(info.compress_size, 1):
            raise _refused(f"its entry {name!r} is packed too tightly")
        entries[name] = info
    if sum(info.file_size for info in infos) > MOST_BYTES:
        raise _refused("it is too large when it is unpacked")
    missing = sorted(needed - set(entries))
    if missing:
        raise _refused(f"there is no {missing[0]}")
    return entries


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # Never more than the declared size comes out, and the checksum of the archive tells when there was more.
    with archive.open(info) as source:
        return source.read()


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as target, archive.open(info) as source:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
    return path


def _refused(why: str) -> SerializationError:
    return SerializationError(f"the bundle of an invocation was refused: {why}")

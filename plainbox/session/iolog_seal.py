# SPDX-License-Identifier: Apache-2.0
"""Finishes the log of an attempt whose writer has died.

Called when a session is resumed, and by a salvage. What must stay true: of what the log has, every good frame stays.
"""

from __future__ import annotations

import os

from plainbox.errors import CorruptedSessionError
from plainbox.session.files import FileOps, PathLike, check_regular
from plainbox.session.iolog_frames import note_of
from plainbox.session.iolog_reader import (
    FLAGS,
    LogReader,
    LogReference,
    encode_frame,
    encode_trailer,
    open_log,
    resolve_log_path,
)

__all__ = ["seal_log"]


def seal_log(
    session_dir: PathLike, path: str, remark: str | None = None, *, files: FileOps | None = None
) -> LogReference:
    """Finish the log of an attempt whose writer has died, and return the reference to it.

    What follows the last good frame is cut off; ``remark`` becomes the last frame. A log that has its trailer is left
    as it is. A file that is no log raises :class:`CorruptedSessionError`, a missing one
    :class:`~plainbox.errors.BrokenReferenceToExternalFile`.
    """
    ops = FileOps() if files is None else files
    full_path = resolve_log_path(session_dir, path)
    with open_log(full_path) as file:
        reader = LogReader(file, str(full_path), digest=True)
        for _ in reader:
            pass
        size = os.fstat(file.fileno()).st_size
    if reader.header is None:
        raise CorruptedSessionError(f"{full_path} is not the log of a job")
    frames = reader.frames
    last = b""
    if reader.trailer is None:
        if remark is not None:
            data = note_of(remark)
            last = b"%b%b\n" % (encode_frame(b"n", 0, data), data)
            frames += 1
        tail = last + encode_trailer(reader.digest_with(last), frames, reader.out, reader.err, {})
        _replace_tail(ops, full_path, reader.size_bytes, tail)
        size = reader.size_bytes + len(tail)
    flags = {name: True for name in FLAGS if (reader.trailer or {}).get(name)}
    return {
        "path": path,
        "size": size,
        "frames": frames,
        "out": reader.out,
        "err": reader.err,
        "digest": reader.digest_with(last),
        **flags,
    }


def _replace_tail(files: FileOps, path: PathLike, offset: int, tail: bytes) -> None:
    fd = files.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        check_regular(fd, path)
        files.reach("log.seal")
        files.ftruncate(fd, offset)
        files.write_all(fd, tail, offset)
        files.fdatasync(fd)
    finally:
        files.close(fd)

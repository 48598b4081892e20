# SPDX-License-Identifier: Apache-2.0
"""Files that belong to an invocation: advices and tasks add them, extensions and callers read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

__all__ = ["Attachment", "Attachments"]

_LONGEST_NAME = 128

if TYPE_CHECKING:
    _Base = Mapping[str, "Attachment"]
else:
    _Base = Mapping  # Python 3.8 does not know the other form


@dataclass(frozen=True)
class Attachment:
    """One file. It stays where it is, and is read when somebody asks for it."""

    path: Path
    media_type: str | None = None

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """Return a stream of its content; the caller closes it."""
        return open(self.path, "rb")


class Attachments(_Base):
    """Attachments by name. They can be added, and neither replaced nor removed."""

    def __init__(self, directory: Callable[[], Path]) -> None:
        """``directory()`` returns where content that is no file yet is put."""
        self._directory = directory
        self._files: dict[str, Attachment] = {}

    def add(self, name: str, content: bytes | str | os.PathLike[str], *, media_type: str | None = None) -> Attachment:
        """Attach a file, or bytes, under ``name``: printable text without a slash that begins with no dot.

        ValueError for another name, one that is taken, or a path that is no regular file. A file must stay until the
        invocation is finished.
        """
        if not name or name[0] == "." or len(name) > _LONGEST_NAME or not name.isprintable() or set(name) & set("/\\"):
            raise ValueError(f"an attachment cannot have the name {name[: 2 * _LONGEST_NAME]!r}")
        if name in self._files:
            raise ValueError(f"there is an attachment {name!r} already")
        if isinstance(content, bytes):
            path = self._directory() / f"attached-{len(self._files)}"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content)
        else:
            path = Path(os.fspath(content)).absolute()
            if not stat.S_ISREG(path.lstat().st_mode):
                raise ValueError(f"{path} is no regular file and cannot be attached")
        return self._files.setdefault(name, Attachment(path, media_type))

    def __setitem__(self, name: str, content: bytes | str | os.PathLike[str]) -> None:
        self.add(name, content)

    def __getitem__(self, name: str) -> Attachment:
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

# SPDX-License-Identifier: Apache-2.0
"""Writing files of a source tree so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from plainbox.errors import ProviderError
from plainbox.units.origin import Origin

__all__ = ["replace"]

_NEW = 0o666


def replace(path: Path, content: bytes) -> None:
    """Write a file, with its directory when there is none; :class:`ProviderError` when it stays as it was."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(handle, _mode(path))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise ProviderError(f"cannot be written: {error.strerror}", origin=Origin(str(path))) from None


def _mode(path: Path) -> int:
    """Return the permissions that the file has, or those of any new file."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return _NEW & ~mask

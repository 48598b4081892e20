# SPDX-License-Identifier: Apache-2.0
"""``sdist``: packs the sources of a provider. Equal sources give equal archives, byte for byte."""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, ClassVar

from plainbox.errors import ProviderError, UsageError
from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.contents import Entry, entries

__all__ = ["SourceDistributionCommand"]

_LAST_DATE = 2**32 - 1  # as much as the head of a gzip file holds


class SourceDistributionCommand(Command):
    """pack the sources into a tarball

    Writes dist/NAME-VERSION.tar.gz with manage.py, *.provider, README*, LICENSE*, COPYING*, lint.conf, unit.schema.json,
    units, jobs, data, bin, python, src, po and tests, as far as there are such. The date of everything in it is
    SOURCE_DATE_EPOCH, or that of the newest file: the same sources give the same tarball.
    """

    name = "sdist"

    #: Names or patterns; a program that extends the command may have more.
    _INCLUDED_ITEMS: ClassVar[Sequence[str]] = [
        "manage.py",
        "*.provider",
        "README*",
        "COPYING*",
        "LICENSE*",
        "lint.conf",
        "unit.schema.json",
        "units",
        "jobs",
        "bin",
        "python",
        "src",
        "data",
        "po",
        "tests",
    ]

    @property
    def dist_dir(self) -> Path:
        return self.tree.base_dir / "dist"

    @property
    def toplevel_name(self) -> str:
        """The directory that everything in the tarball is in."""
        return f"{self.tree.file_name}-{self.tree.version}"

    @property
    def tarball_name(self) -> Path:
        return self.dist_dir / f"{self.toplevel_name}.tar.gz"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--sign", action="store_true", help="also sign it with gpg, into a file ending in .asc")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        sign = getattr(ns, "sign", False)  # extensions may declare options of their own instead
        if sign and shutil.which("gpg") is None:
            raise UsageError("there is no gpg to sign with", hint="install GnuPG, or leave --sign out")
        contents = list(self._contents())
        stamp = _stamp(contents)
        self.dist_dir.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".sdist-", dir=self.dist_dir, delete=False) as file:
            try:
                self._pack(file, contents, stamp)
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, self.tarball_name)
            except BaseException:
                os.unlink(file.name)
                raise
        self.output.write(str(self.tarball_name))
        if sign:
            self._sign()
        return 0

    def _contents(self) -> Iterator[Entry]:
        base = self.tree.base_dir
        found = {path for item in self._INCLUDED_ITEMS for path in base.glob(item)}
        for path in sorted(found):
            yield from entries(path, base)

    def _pack(self, file: IO[bytes], contents: Sequence[Entry], stamp: int) -> None:
        with (
            gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=stamp) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for entry in contents:
                name = f"{self.toplevel_name}/{entry.path.relative_to(self.tree.base_dir)}"
                info = tarfile.TarInfo(name)
                info.mtime = stamp
                if entry.target is not None:
                    info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
                    archive.addfile(info)
                elif entry.is_directory:
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(info)
                else:
                    info.mode = 0o755 if entry.is_executable else 0o644
                    with open(entry.path, "rb") as content:
                        info.size = os.fstat(content.fileno()).st_size
                        archive.addfile(info, content)

    def _sign(self) -> None:
        signature = f"{self.tarball_name}.asc"
        command = ["gpg", "--armor", "--yes", "--output", signature, "--detach-sign", str(self.tarball_name)]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise ProviderError(
                f"gpg failed with exit code {done.returncode}", hint="the tarball is complete, but not signed"
            )
        self.output.write(signature)


def _stamp(contents: Sequence[Entry]) -> int:
    """Return the date of everything in the archive, in seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        newest = max((int(entry.path.lstat().st_mtime) for entry in contents if not entry.is_directory), default=0)
        return min(max(newest, 0), _LAST_DATE)
    if not re.fullmatch("[0-9]{1,10}", given) or int(given) > _LAST_DATE:
        raise UsageError(
            f"SOURCE_DATE_EPOCH is no number of seconds from 0 to {_LAST_DATE}: {given!r}",
            hint="set it like SOURCE_DATE_EPOCH=$(date +%s)",
        )
    return int(given)

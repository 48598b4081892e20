# SPDX-License-Identifier: Apache-2.0
"""The files of a provider that do not do what they are there for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from plainbox.units.exporter import ExporterUnit
from plainbox.units.file import FileRole, FileUnit
from plainbox.units.issues import Code, Issue, Severity

__all__ = ["check", "check_exporter"]

#: Ends of names of files that stand beside unit files and that nobody takes for them.
_NO_UNITS = (".po", ".pot", "~", ".swp", ".json")
_PROGRAMS = (b"#!", b"\x7fELF")


def check(files: Iterable[FileUnit]) -> Iterator[Issue]:
    """Yield a finding for each file that stands where nothing uses it: skipped unit files, programs that cannot run."""
    for file in files:
        if file.role != FileRole.INVALID:
            continue
        path = Path(file.path)
        if not os.path.isfile(path):
            continue  # told when it was to be read
        if file.provider is not None and file.base == str(file.provider.bin_dir):
            if _is_program(path):
                yield file.issue(
                    Code.NOT_EXECUTABLE,
                    "this program may not be executed: jobs do not find it",
                    severity=Severity.WARNING,
                    hint=f"chmod +x {path.name}",
                )
        elif path.suffix and not path.name.startswith(".") and not path.name.endswith(_NO_UNITS):
            yield file.issue(
                Code.SKIPPED_FILE,
                "this file is not read as a unit file",
                severity=Severity.WARNING,
                hint="unit files end in .pxu, .yaml or .yml",
            )


def check_exporter(unit: ExporterUnit) -> Iterator[Issue]:
    """Yield a finding when an exporter unit names a template that its provider does not have."""
    name = unit.support_data.get("template")
    data_dir = unit.provider.data_dir if unit.provider is not None else None
    if not isinstance(name, str) or (data_dir is not None and _is_inside(data_dir, name)):
        return
    yield unit.issue(
        Code.NO_DATA_FILE,
        f"no template {name!r} in the data directory of the provider",
        field="data",
        hint=None if data_dir is not None else "the provider has no data directory",
    )


def _is_inside(directory: Path, name: str) -> bool:
    path = Path(os.path.realpath(directory / name))
    return path.is_relative_to(os.path.realpath(directory)) and os.path.isfile(path)


def _is_program(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(_PROGRAMS)
    except OSError:
        return False

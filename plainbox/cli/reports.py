# SPDX-License-Identifier: Apache-2.0
"""Writing reports of a session to files."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import attrs

from plainbox.errors import UsageError
from plainbox.session.manager import SessionManager, exporters_of
from plainbox.units import Unit

__all__ = ["Report", "check_formats", "parse_report", "write_report"]


@attrs.frozen
class Report:
    """``path`` may be ``-`` for standard output; ``options`` go to the exporter."""

    format: str
    path: str
    options: tuple[str, ...] = ()


def parse_report(text: str) -> Report:
    """Return the report that ``FORMAT:FILE`` means."""
    name, colon, path = text.partition(":")
    if not colon or not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not FORMAT:FILE, such as html:report.html")
    return Report(name, path)


def check_formats(units: Iterable[Unit], reports: list[Report]) -> None:
    """Raise :class:`UsageError` for a format or option that is not known, or a place that cannot be written to."""
    known = exporters_of(units) if reports else {}
    for report in reports:
        if report.format not in known:
            short = sorted(name for name in known if "::" not in name)
            raise UsageError(f"no report format {report.format!r}", hint=f"known are {', '.join(short)}")
        support = known[report.format]
        try:
            support.exporter_cls(list(report.options), exporter_unit=support)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if report.path != "-":
            _check_place(report.path)


def _check_place(path: str) -> None:
    hint = "name a file in a directory that you may write to"
    if os.path.isdir(path):
        raise UsageError(f"{path!r} is a directory", hint=hint)
    folder = os.path.dirname(os.path.realpath(path))
    if not _is_special(path) and not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to {folder!r}", hint=hint)


def _is_special(path: str) -> bool:
    """Tell whether the path leads to a device, a pipe or the like: something to write into, not to be replaced."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def write_report(manager: SessionManager, report: Report) -> None:
    """Write one report; a file appears when it is complete, and replaces a former one."""
    exporter = manager.create_exporter(report.format, report.options)
    if report.path == "-":
        exporter.dump_from_session_manager(manager, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    if _is_special(report.path):
        with open(report.path, "wb") as stream:
            exporter.dump_from_session_manager(manager, stream)
        return
    target = Path(os.path.realpath(report.path))
    fd, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(fd, "w+b") as stream:
            exporter.dump_from_session_manager(manager, stream)
        # A report is made to be passed on: it gets the rights of an ordinary new file.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077

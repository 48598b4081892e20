# SPDX-License-Identifier: Apache-2.0
"""From a unit file to its units: chooses the syntax, keeps what is good, reports what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from plainbox.errors import UnitError, UnitSyntaxError
from plainbox.units import pxu
from plainbox.units.interpolation import Environment
from plainbox.units.kinds import unit_from_record
from plainbox.units.origin import Origin
from plainbox.units.record import Record
from plainbox.units.unit import Unit, UnitProvider

__all__ = ["read_records", "read_units", "units_of"]

_YAML = (".yaml", ".yml")
_OTHER_LINE_ENDS = "\r\v\f\x1c\x1d\x1e"


def read_units(
    path: Path,
    provider: UnitProvider | None = None,
    *,
    environment: Environment | None = None,
    on_error: Callable[[UnitError], None],
) -> list[Unit]:
    """Return the units of a PXU or YAML file; what is wrong with the rest goes to ``on_error`` with its place.

    ``environment`` is what Jinja2 texts of the units see as ``__checkbox_env__``.
    """
    return units_of(read_records(path, on_error=on_error), provider, environment=environment, on_error=on_error)


def read_records(path: Path, *, on_error: Callable[[UnitError], None]) -> Iterator[Record]:
    """Yield the records of a PXU or YAML file; what is wrong with the rest goes to ``on_error`` with its place."""
    source = str(path)
    try:
        text = _read(path, source)
    except UnitError as error:
        on_error(error)
        return
    if path.suffix in _YAML:
        # PyYAML costs a third of the start-up of a listing; most providers have no such file.
        from plainbox.units import yaml

        yield from yaml.parse(text, source, on_error=on_error)
    else:
        yield from pxu.parse(_lines(text), source, on_error=on_error)


def units_of(
    records: Iterable[Record],
    provider: UnitProvider | None = None,
    *,
    environment: Environment | None = None,
    on_error: Callable[[UnitError], None],
) -> list[Unit]:
    """Return the units that records describe; a record that cannot be one goes to ``on_error``."""
    units = []
    for record in records:
        try:
            units.append(unit_from_record(record, provider, environment))
        except UnitError as error:
            on_error(error)
    return units


def _read(path: Path, source: str) -> str:
    """Return the text of a file with the line ends of Unix and without a byte order mark."""
    try:
        if not path.is_file():
            # A pipe or a device would be read for ever.
            raise UnitError("cannot be read: not a file", origin=Origin(source))
        content = path.read_bytes()
    except OSError as error:
        raise UnitError(f"cannot be read: {error.strerror}", origin=Origin(source)) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnitSyntaxError(
            f"not a text file: byte {error.start} is not UTF-8",
            origin=Origin(source, line),
            hint="unit files are UTF-8 text",
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnitSyntaxError("not a text file: it holds a NUL byte", origin=Origin(source, line))
    return text.replace("\r\n", "\n") if "\r" in text else text


def _lines(text: str) -> list[str]:
    """Return the lines with their ends; unlike str.splitlines() at line feeds alone."""
    if text.isascii() and not any(end in text for end in _OTHER_LINE_ENDS):
        return text.splitlines(keepends=True)
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]

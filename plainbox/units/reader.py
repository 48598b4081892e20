# SPDX-License-Identifier: Apache-2.0
"""From a unit file to its units: chooses the syntax, keeps what is good, reports what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plainbox.errors import UnitError, UnitSyntaxError
from plainbox.units import pxu
from plainbox.units.kinds import unit_from_record
from plainbox.units.origin import Origin
from plainbox.units.unit import Unit, UnitProvider

__all__ = ["read_units"]

_YAML = (".yaml", ".yml")


def read_units(
    path: Path, provider: UnitProvider | None = None, *, on_error: Callable[[UnitError], None]
) -> list[Unit]:
    """Return the units of a PXU or YAML file; what is wrong with the rest goes to ``on_error`` with its place."""
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        on_error(UnitError(f"cannot be read: {error.strerror}", origin=Origin(source)))
        return []
    except UnicodeDecodeError as error:
        on_error(
            UnitSyntaxError(
                f"not a text file: byte {error.start} is not UTF-8",
                origin=Origin(source),
                hint="unit files are UTF-8 text",
            )
        )
        return []
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        on_error(UnitSyntaxError("not a text file: it holds a NUL byte", origin=Origin(source, line)))
        return []
    if path.suffix in _YAML:
        # PyYAML costs a third of the start-up of a listing; most providers have no such file.
        from plainbox.units import yaml

        records = yaml.parse(text, source, on_error=on_error)
    else:
        records = pxu.parse(
            text.splitlines(keepends=True) if _plain_lines(text) else _lines(text), source, on_error=on_error
        )
    units = []
    for record in records:
        try:
            units.append(unit_from_record(record, provider))
        except UnitError as error:
            on_error(error)
    return units


def _plain_lines(text: str) -> bool:
    """Tell whether str.splitlines() splits at line feeds alone."""
    return text.isascii() and not any(character in text for character in "\r\v\f\x1c\x1d\x1e")


def _lines(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")] if text else []

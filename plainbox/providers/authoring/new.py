# SPDX-License-Identifier: Apache-2.0
"""Making a provider from nothing: a directory that can be run, checked and built upon at once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from plainbox.errors import UsageError
from plainbox.providers.authoring.skeleton import BASE, EXECUTABLE, PROGRAMS, UNITS
from plainbox.providers.definition import IQN
from plainbox.units.origin import Origin

__all__ = ["create", "full_name"]

_SHORT = re.compile(r"[a-z][a-z0-9-]*")
_DIRECTORIES = ("units", "bin", "data", "po", "tests")
_SCHEMA = "unit.schema.json"
#: A modeline is for one document of a file; this is for all of them.
_EDITOR_SETTINGS = f'{{\n  "yaml.schemas": {{\n    "{_SCHEMA}": "units/**/*.yaml"\n  }}\n}}\n'


def full_name(name: str) -> str:
    """Return the name with its namespace, which is ``local.NAME`` for a name that has none.

    :class:`UsageError` when it is no name of a provider.
    """
    if IQN.fullmatch(name):
        return name
    if _SHORT.fullmatch(name):
        return f"local.{name}:{name}"
    raise UsageError(
        f"{name!r} is not a provider name",
        hint="write it like demo or org.example:demo, in small letters, digits and dashes",
    )


def create(directory: Path, name: str, *, empty: bool = False, pxu: bool = False) -> None:
    """Write a provider into a directory that does not exist or is empty: with examples, unless ``empty`` is asked for.

    When anything fails nothing is left behind.
    """
    values = _values(full_name(name))
    if os.path.lexists(directory) and not (directory.is_dir() and not any(directory.iterdir())):
        raise UsageError(
            "is there already; nothing is changed",
            origin=Origin(str(directory)),
            hint="remove it, or choose another place with --directory",
        )
    existed = directory.is_dir()
    files = dict(BASE)
    if not empty:
        files |= PROGRAMS
        files |= UNITS if pxu else _as_yaml(UNITS)
    if not pxu:
        files[_SCHEMA] = _schema()
        files[".vscode/settings.json"] = _EDITOR_SETTINGS
    files["po/POTFILES.in"] = _potfiles(files)
    try:
        for part in _DIRECTORIES:
            (directory / part).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            _write(directory, _filled(path, values), _filled(text, values))
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        if existed:
            directory.mkdir(exist_ok=True)
        raise


def _values(name: str) -> dict[str, str]:
    return {"NAME": name, "SHORT": name.partition(":")[2], "DOMAIN": re.sub("[.:]", "_", name)}


def _as_yaml(units: Mapping[str, str]) -> dict[str, str]:
    from plainbox.units.writer import to_yaml

    modeline = f"# yaml-language-server: $schema=../{_SCHEMA}\n"
    return {
        path.replace(".pxu", ".yaml"): modeline + to_yaml(text.splitlines(keepends=True), path)
        for path, text in units.items()
    }


def _schema() -> str:
    """Return what editors complete and check YAML units with."""
    import json

    from plainbox.units.schema import schema

    return json.dumps(schema(), indent=2) + "\n"


def _potfiles(files: Iterable[str]) -> str:
    """Return the list of the files that have texts to translate."""
    units = [path for path in files if path.startswith("units/")]
    return "\n".join(["[encoding: UTF-8]", "manage.py", *(f"[type: gettext/rfc822deb] {path}" for path in units), ""])


def _filled(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if name.startswith(EXECUTABLE):
        path.chmod(path.stat().st_mode | 0o111)

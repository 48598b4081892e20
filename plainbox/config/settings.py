# SPDX-License-Identifier: Apache-2.0
"""What the configuration files and the environment say: the variables for templates and jobs, and switches.

The files are ``checkbox.conf`` and ``plainbox.conf`` in the XDG configuration directories, each also in the folder
``plainbox`` there. Commands read them once, before they load units. Sections that nothing here knows are left alone.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from plainbox import dirs
from plainbox.errors import UsageError

__all__ = ["Settings", "load_settings"]

_NAMES = ("checkbox.conf", "plainbox.conf")
_ENVIRONMENT = "environment"
_STRICT = ("features", "strict_template_expansion")
#: ``PLAINBOX_CONF_<SECTION>__<KEY>`` sets one key.
_PREFIX = "PLAINBOX_CONF_"
_BOOLEANS = configparser.RawConfigParser.BOOLEAN_STATES

#: (section, key) -> (value, where it was set)
_Given = dict[tuple[str, str], tuple[str, str]]


@attrs.frozen
class Settings:
    """``environment`` is what Jinja2 texts see as ``__checkbox_env__``.

    Without ``strict_template_expansion`` an instance of a template that is no good unit is left out of the session; with
    it the job is there, and fails with the reason.
    """

    environment: Mapping[str, str] = attrs.field(factory=dict)
    strict_template_expansion: bool = True


def load_settings() -> Settings:
    """Return the settings in force here; a file or a value that cannot be understood is a :class:`UsageError`."""
    given: _Given = {}
    for path in _files():
        _read(path, given)
    _read_variables(given)
    return Settings(
        environment={key: value for (section, key), (value, _) in given.items() if section == _ENVIRONMENT},
        strict_template_expansion=_boolean(given, _STRICT, default=True),
    )


def _files() -> Iterator[Path]:
    """Yield the files that there are; a later one wins."""
    for directory in reversed(dirs.configuration_directories()):
        for folder in (directory, directory / "plainbox"):
            yield from (folder / name for name in _NAMES if os.path.isfile(folder / name))


def _read(path: Path, given: _Given) -> None:
    # No section of defaults, no interpolation: every text means itself.
    parser = configparser.RawConfigParser(delimiters=("=",), default_section="", strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not a configuration file: {str(error).splitlines()[0]}") from None
    for section in parser.sections():
        given.update({(section, key): (value, str(path)) for key, value in parser.items(section)})


def _read_variables(given: _Given) -> None:
    for name, value in os.environ.items():
        section, separator, key = name.removeprefix(_PREFIX).partition("__")
        if name.startswith(_PREFIX) and separator:
            section = section.lower()
            given[section, key if section == _ENVIRONMENT else key.lower()] = (value, f"the variable {name}")


def _boolean(given: _Given, name: tuple[str, str], *, default: bool) -> bool:
    if name not in given:
        return default
    value, place = given[name]
    if value.strip().lower() not in _BOOLEANS:
        raise UsageError(f"{place}: [{name[0]}] {name[1]}: {value!r} is neither yes nor no")
    return _BOOLEANS[value.strip().lower()]

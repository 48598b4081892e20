# SPDX-License-Identifier: Apache-2.0
"""The configuration files and variables as they are written: sections, keys, texts, and the place of each.

:mod:`plainbox.config.settings` and :mod:`plainbox.config.advice` make something of it.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from plainbox import dirs
from plainbox.errors import UsageError

__all__ = ["PREFIX", "configuration_files", "line_of", "sections_of", "variables"]

_NAMES: Final = ("checkbox.conf", "plainbox.conf")
#: ``PLAINBOX_CONF_<SECTION>__<KEY>`` sets one key.
PREFIX: Final = "PLAINBOX_CONF_"


def configuration_files() -> Iterator[Path]:
    """Yield the files that there are; a later one wins."""
    for directory in reversed(dirs.configuration_directories()):
        for folder in (directory, directory / "plainbox"):
            yield from (folder / name for name in _NAMES if os.path.isfile(folder / name))


def sections_of(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the texts of a file by section and key; one that is no configuration file is a :class:`UsageError`."""
    # No section of defaults, no interpolation: every text means itself.
    parser = configparser.RawConfigParser(delimiters=("=",), default_section="", strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not a configuration file: {str(error).splitlines()[0]}") from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def variables() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, section in lower case, key and value of each variable that stands for a key."""
    for name, value in os.environ.items():
        section, separator, key = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and separator:
            yield name, section.lower(), key, value


def line_of(path: Path, section: str, key: str) -> int | None:
    """Return the line of a key, counted from 1; None when it cannot be found any more."""
    current = None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for number, line in enumerate(lines, 1):
        if match := re.match(r"\[(.+)\]", line):
            current = match[1]
        elif (current, line.partition("=")[0].strip()) == (section, key):
            return number
    return None

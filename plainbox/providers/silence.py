# SPDX-License-Identifier: Apache-2.0
"""Which findings nobody wants to hear of: what ``lint.conf`` beside a provider says. A code that is not known is a finding
itself. Single findings are silenced by comments: :mod:`plainbox.providers.notes`.
"""

from __future__ import annotations

import configparser
import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

import attrs

from plainbox.errors import FieldError
from plainbox.providers.notes import KNOWN_CODES, unknown_code
from plainbox.units.fields import closest
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.origin import Origin

__all__ = ["CONFIGURATION", "Configuration", "parse_code"]

CONFIGURATION = "lint.conf"

_SECTION = "lint"
_KEY = "ignore"


def parse_code(text: str) -> Code:
    """Return the code that a text names; one that is not known is a :class:`FieldError`."""
    try:
        return Code(text.strip().upper())
    except ValueError:
        raise FieldError(
            f"there is no code {text.strip()[:20]!r}", hint=closest(text.strip().upper(), KNOWN_CODES)
        ) from None


@attrs.frozen
class Configuration:
    """What ``lint.conf`` says: codes that are not told, for all files or for those that match a pattern.

    Paths are relative to the provider. What means nothing in the file is in ``problems``.
    """

    base: Path
    ignored: Sequence[tuple[str, frozenset[Code]]] = ()
    problems: Sequence[Issue] = ()

    @classmethod
    def load(cls, base: Path) -> Configuration:
        """Return the configuration in a directory, an empty one when there is no such file there."""
        path = base / CONFIGURATION
        origin = Origin(str(path))
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, default_section="")
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
            parser.read_string(text)
        except (OSError, UnicodeDecodeError) as error:
            return cls(base, (), (_bad(f"cannot be read: {error}", origin),))
        except configparser.Error as error:
            return cls(base, (), (_bad(f"not a configuration: {error.message.splitlines()[0]}", origin),))
        places = _places(text)
        ignored: list[tuple[str, frozenset[Code]]] = []
        problems: list[Issue] = []
        for section in parser.sections():
            name, colon, pattern = section.partition(":")
            if name != _SECTION or (colon and not pattern):
                place = Origin(str(path), places.get((section, None)))
                hint = closest(section, [_SECTION]) or f"write [{_SECTION}] or [{_SECTION}:GLOB]"
                problems.append(_bad(f"no such section: {section[:60]!r}", place, hint))
                continue
            for key, value in parser[section].items():
                place = Origin(str(path), places.get((section, key)))
                if key != _KEY:
                    problems.append(
                        _bad(f"no such key: {key[:60]!r}", place, closest(key, [_KEY]) or f"known is {_KEY}")
                    )
                    continue
                words = re.split(r"[\s,]+", value.strip().upper())
                ignored.append((pattern or "*", frozenset(Code(word) for word in words if word in KNOWN_CODES)))
                problems += [unknown_code(word, place) for word in words if word and word not in KNOWN_CODES]
        return cls(base, tuple(ignored), tuple(problems))

    def silence(self, issue: Issue) -> bool:
        """Tell whether the file silences a finding."""
        path = Path(issue.origin.source) if issue.origin is not None else self.base
        relative = str(path.relative_to(self.base)) if path.is_relative_to(self.base) else str(path)
        return any(issue.code in codes and fnmatch.fnmatchcase(relative, glob) for glob, codes in self.ignored)


def _places(text: str) -> dict[tuple[str, str | None], int]:
    """Return the lines of sections and keys."""
    places: dict[tuple[str, str | None], int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("[") and "]" in line:
            section = line[1 : line.index("]")]
            places.setdefault((section, None), number)
        elif "=" in line and not line[:1].isspace():
            places.setdefault((section, line.partition("=")[0].strip()), number)
    return places


def _bad(message: str, origin: Origin, hint: str | None = None) -> Issue:
    return Issue(Code.BAD_SETTING, Severity.WARNING, message, origin=origin, hint=hint)

# SPDX-License-Identifier: Apache-2.0
"""Which findings nobody wants to hear of: ``# noqa`` in unit files, and ``lint.conf`` beside the provider.

``# noqa`` silences all findings, ``# noqa: PB101, PB204`` these, when it stands on the line of the finding, in the comment
lines directly above it, or in those directly above the unit that it is in. A code that is not known is a finding itself.
"""

from __future__ import annotations

import bisect
import configparser
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from plainbox.errors import FieldError
from plainbox.units import Unit
from plainbox.units.fields import closest
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.origin import Origin

__all__ = ["CONFIGURATION", "Configuration", "Notes", "parse_code"]

CONFIGURATION = "lint.conf"

_SECTION = "lint"
_KEY = "ignore"
_NOTE = re.compile(r"#\s*noqa\b(?P<colon>\s*:)?(?P<rest>[^\n#]*)", re.IGNORECASE)
_CODES = re.compile(r"[\s,]*([A-Za-z]+[0-9][A-Za-z0-9]*)\b")
_OURS = "PB"
_KNOWN = tuple(code.value for code in Code)


def parse_code(text: str) -> Code:
    """Return the code that a text names; one that is not known is a :class:`FieldError`."""
    try:
        return Code(text.strip().upper())
    except ValueError:
        raise FieldError(
            f"there is no code {text.strip()[:20]!r}", hint=closest(text.strip().upper(), _KNOWN)
        ) from None


class Notes:
    """The ``# noqa`` comments of unit files, which are read when a finding in them is looked at."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._files: dict[str, _File] = {}
        self._starts: dict[str, list[int]] = {}
        for unit in units:
            if unit.origin is not None and unit.origin.line_start is not None:
                self._starts.setdefault(unit.origin.source, []).append(unit.origin.line_start)

    def silence(self, issue: Issue) -> bool:
        """Tell whether a comment silences a finding."""
        if issue.origin is None or issue.origin.line_start is None:
            return False
        source, line = issue.origin.source, issue.origin.line_start
        file = self._file(source)
        if not file.notes:
            return False
        starts = sorted(self._starts.get(source, ()))
        position = bisect.bisect_right(starts, line)
        places = (line, starts[position - 1]) if position else (line,)
        return any(file.silences(issue.code, place) for place in places)

    def problems(self) -> Iterator[Issue]:
        """Yield the codes in comments that are not known; only what looks like a code of ours is taken for one."""
        for source in self._starts:
            for line, note in self._file(source).notes.items():
                for word in note.unknown:
                    yield _unknown(word, Origin(source, line))

    def _file(self, source: str) -> _File:
        if source not in self._files:
            self._files[source] = _File.read(source)
        return self._files[source]


@attrs.frozen
class _Note:
    """``codes`` are those that are silenced, ``None`` when all are."""

    codes: frozenset[Code] | None
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, line: str) -> _Note | None:
        match = _NOTE.search(line)
        if match is None:
            return None
        words = []
        position = 0
        while code := _CODES.match(match["rest"], position):
            words.append(code[1].upper())
            position = code.end()
        if not words and not match["colon"]:
            return cls(None)
        return cls(
            frozenset(Code(word) for word in words if word in _KNOWN),
            tuple(word for word in words if word.startswith(_OURS) and word not in _KNOWN),
        )


@attrs.frozen
class _File:
    notes: Mapping[int, _Note]
    comments: frozenset[int]

    @classmethod
    def read(cls, source: str) -> _File:
        try:
            text = Path(source).read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            text = ""
        if "noqa" not in text.lower():
            return cls({}, frozenset())
        marks = "#" if source.endswith((".yaml", ".yml")) else ""
        lines = list(enumerate(text.split("\n"), 1))
        notes = {number: note for number, line in lines if "#" in line and (note := _Note.of(line)) is not None}
        # In PXU files only the first column makes a comment; in YAML it may be indented.
        return cls(notes, frozenset(n for n, line in lines if (line.lstrip() if marks else line).startswith("#")))

    def silences(self, code: Code, line: int) -> bool:
        """Tell whether a note on a line, or in the comment lines directly above it, names a code."""
        while True:
            note = self.notes.get(line)
            if note is not None and (note.codes is None or code in note.codes):
                return True
            line -= 1
            if line not in self.comments:
                return False


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
                ignored.append((pattern or "*", frozenset(Code(word) for word in words if word in _KNOWN)))
                problems += [_unknown(word, place) for word in words if word and word not in _KNOWN]
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


def _unknown(word: str, origin: Origin) -> Issue:
    return _bad(f"there is no code {word[:20]!r}", origin, closest(word, _KNOWN))


def _bad(message: str, origin: Origin, hint: str | None = None) -> Issue:
    return Issue(Code.BAD_SETTING, Severity.WARNING, message, origin=origin, hint=hint)

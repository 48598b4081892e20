# SPDX-License-Identifier: Apache-2.0
"""The ``# noqa`` comments of unit files: which findings their authors do not want to hear of.

``# noqa`` silences all findings, ``# noqa: PB101, PB204`` these, when it stands on the line of the finding, on the first
line of the field or of the unit that it is in, or in the comment lines directly above one of these. A text that only looks
like a comment silences nothing: most values have no comments, and it is part of them.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from plainbox.units.fields import closest
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.origin import Origin

__all__ = ["COMMENTED", "KNOWN_CODES", "Notes", "unknown_code"]

#: The fields with comments: what is scanned into words, expressions, and the scripts of a shell.
COMMENTED = frozenset(
    {
        *("depends", "after", "before", "salvages", "uses", "tags", "requires_manifest", "nested_part"),
        *("include", "mandatory_include", "bootstrap_include", "setup_include", "exclude"),
        *("category_overrides", "certification_status_overrides", "requires", "template-filter", "command"),
    }
)
KNOWN_CODES = tuple(code.value for code in Code)

_NOTE = re.compile(r"#\s*noqa\b(?P<colon>\s*:)?(?P<rest>[^\n#]*)", re.IGNORECASE)
_CODES = re.compile(r"[\s,]*([A-Za-z]+[0-9][A-Za-z0-9]*)\b")
_OURS = "PB"
_YAML = (".yaml", ".yml")

#: Line and column of a text, the line counted from 1.
_Position: TypeAlias = tuple[int, int]


class Notes:
    """The notes in unit files, which are read when a finding in them is looked at."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._sources = tuple(dict.fromkeys(sources))
        self._files: dict[str, _File] = {}

    def silence(self, issue: Issue) -> bool:
        """Tell whether a comment silences a finding."""
        if issue.origin is None or issue.origin.line_start is None:
            return False
        return self._file(issue.origin.source).silences(issue.code, issue.origin.line_start)

    def problems(self) -> Iterator[Issue]:
        """Yield the notes that mean nothing: unknown codes, if they look like one of ours, and parts of values."""
        for source in self._sources:
            file = self._file(source)
            for line, note in file.notes.items():
                for word in note.unknown:
                    yield unknown_code(word, Origin(source, line))
            for line in file.texts:
                yield Issue(
                    Code.BAD_SETTING,
                    Severity.WARNING,
                    "a comment here is part of the value",
                    field=file.field_at(line),
                    origin=Origin(source, line),
                    hint="put it in a line of its own above",
                )

    def _file(self, source: str) -> _File:
        if source not in self._files:
            self._files[source] = _File.read(source)
        return self._files[source]


def unknown_code(word: str, origin: Origin) -> Issue:
    """Return the finding about a code that is not known."""
    hint = closest(word, KNOWN_CODES)
    return Issue(Code.BAD_SETTING, Severity.WARNING, f"there is no code {word[:20]!r}", origin=origin, hint=hint)


@attrs.frozen
class _Note:
    """``codes`` are those that are silenced, ``None`` when all are."""

    codes: frozenset[Code] | None
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, match: re.Match[str]) -> _Note:
        words = []
        position = 0
        while code := _CODES.match(match["rest"], position):
            words.append(code[1].upper())
            position = code.end()
        if not words and not match["colon"]:
            return cls(None)
        return cls(
            frozenset(Code(word) for word in words if word in KNOWN_CODES),
            tuple(word for word in words if word.startswith(_OURS) and word not in KNOWN_CODES),
        )

    @property
    def is_for_us(self) -> bool:
        return self.codes is None or bool(self.codes or self.unknown)


class _Layout:
    """Where the comments, fields and records of a text are; the lines are counted from 1."""

    def __init__(self) -> None:
        self.comments: set[int] = set()
        #: For each line the first line of its field and of its record, 0 when it is in none.
        self.fields = [0]
        self.records = [0]

    def add(self, field: int, record: int) -> None:
        self.fields.append(field)
        self.records.append(record)

    @classmethod
    def of_pxu(cls, lines: Sequence[str]) -> _Layout:
        layout = cls()
        field = record = 0
        for number, line in enumerate(lines, 1):
            if line.startswith("#"):
                layout.comments.add(number)
            elif not line or line.isspace():
                field = record = 0
            elif not line.startswith(" "):
                field, record = number, record or number
            layout.add(field, record)
        return layout

    @classmethod
    def of_yaml(cls, lines: Sequence[str], scalars: _Scalars) -> _Layout:
        layout = cls()
        field = record = 0
        for number, line in enumerate(lines, 1):
            bare = line.lstrip()
            if bare.startswith("#") and not scalars.hold((number, len(line) - len(bare))):
                layout.comments.add(number)
            elif line.startswith(("---", "...")):
                field = record = 0
            elif bare and line[0] not in " \t-]}":
                field, record = number, record or number
            layout.add(field, record)
        return layout


@attrs.frozen
class _Scalars:
    """Where the texts of a YAML file are that may hold a ``#``: quoted ones and blocks."""

    starts: Sequence[_Position]
    ends: Sequence[_Position]

    @classmethod
    def of(cls, text: str) -> _Scalars:
        import yaml

        starts: list[_Position] = []
        ends: list[_Position] = []
        try:
            for token in yaml.scan(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                if isinstance(token, yaml.ScalarToken) and token.style:
                    starts.append((token.start_mark.line + 1, token.start_mark.column))
                    ends.append((token.end_mark.line + 1, token.end_mark.column))
        except yaml.YAMLError:
            pass  # told as what it is; what stands before it counts
        return cls(starts, ends)

    def hold(self, position: _Position) -> bool:
        number = bisect.bisect_right(self.starts, position) - 1
        return number >= 0 and position < self.ends[number]


@attrs.frozen
class _File:
    """``notes`` are the comments that count, ``texts`` the lines of those that are part of a value."""

    lines: Sequence[str]
    layout: _Layout
    notes: Mapping[int, _Note]
    texts: Sequence[int]
    found: dict[int, frozenset[Code]] = attrs.field(factory=dict, init=False)  # by line, since a unit has many findings

    @classmethod
    def read(cls, source: str) -> _File:
        try:
            text = Path(source).read_bytes().decode("utf-8-sig", errors="replace")
        except OSError:
            text = ""
        if "noqa" not in text.lower():
            return cls((), _Layout(), {}, ())
        lines = text.split("\n")
        scalars = _Scalars.of(text) if source.endswith(_YAML) else None
        layout = _Layout.of_pxu(lines) if scalars is None else _Layout.of_yaml(lines, scalars)
        notes: dict[int, _Note] = {}
        texts: list[int] = []
        file = cls(lines, layout, notes, texts)
        for number, line in enumerate(lines, 1):
            match = _NOTE.search(line) if "#" in line else None
            if match is None:
                continue
            note = _Note.of(match)
            is_text = number not in layout.comments if scalars is None else scalars.hold((number, match.start()))
            if not is_text or file.field_at(number) in COMMENTED:
                notes[number] = note
            elif note.is_for_us:
                texts.append(number)
        return file

    def field_at(self, line: int) -> str:
        """Return the name of the field that a line belongs to."""
        return self.lines[self.layout.fields[line] - 1].partition(":")[0].strip(" \t\"'").removeprefix("_")

    def silences(self, code: Code, line: int) -> bool:
        """Tell whether a note for a line, its field or its record names a code."""
        if line >= len(self.layout.fields):
            return False
        places = {line, self.layout.fields[line], self.layout.records[line]}
        return any(code in self._codes_at(place) for place in places)

    def _codes_at(self, line: int) -> frozenset[Code]:
        """Return the codes that are named on a line and in the comment lines directly above it."""
        if line not in self.found:
            codes: set[Code] = set()
            place = line
            while place == line or place in self.layout.comments:
                note = self.notes.get(place)
                if note is not None:
                    codes.update(Code if note.codes is None else note.codes)
                place -= 1
            self.found[line] = frozenset(codes)
        return self.found[line]

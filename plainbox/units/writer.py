# SPDX-License-Identifier: Apache-2.0
"""From a PXU file to the YAML text with the same units, as a person would have written it.

Fields keep their order and their names, also those with an underscore; texts of several lines are literal blocks; lists,
mappings and numbers are native; comments stand where they stood. :mod:`plainbox.units.translation` proves the result.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from plainbox.units import pxu
from plainbox.units.comments import Layout, layouts
from plainbox.units.fields import Field
from plainbox.units.kinds import KINDS
from plainbox.units.native import Listing, Plain, native
from plainbox.units.record import Record, Value
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["to_yaml"]

_INDENT = "  "


def to_yaml(lines: Sequence[str], source: str) -> str:
    """Return the YAML text for the lines of a PXU file, which keep their ends.

    A bad line raises :class:`~plainbox.errors.UnitSyntaxError` with its place.
    """
    records = list(pxu.parse(lines, source))
    *places, end = layouts(lines)
    documents = ["\n".join(_document(record, layout)) + "\n" for record, layout in zip(records, places, strict=True)]
    text = "---\n".join(documents)
    rest = "".join(f"{_shown(line)}\n" for line in end.header)
    return text + ("\n" if text and rest else "") + rest


def _document(record: Record, layout: Layout) -> Iterator[str]:
    yield from map(_shown, layout.header)
    known = _fields(record)
    for span in layout.spans:
        field = known.get(span.key.removeprefix("_"))
        text = str(record.data[span.key])
        value = native(text, field.type, _engine(record, span.key)) if field is not None else text
        yield from (_shown(comment) for _, comment in layout.take_comments(span.first))
        inside = layout.take_comments(span.last)
        if isinstance(value, Listing):
            yield from _listing(span.key, value, record, inside)
        else:
            yield from (_shown(comment) for _, comment in inside)
            yield from _field(span.key, value)
    yield from (_shown(comment) for _, comment in layout.comments)


def _fields(record: Record) -> Mapping[str, Field[Any]]:
    """Return the fields that a record may have; those of a template are its own and those of its instances."""
    cls = KINDS.get(str(record.data.get("unit", "job")), Unit)
    if cls is not TemplateUnit:
        return cls.fields
    return {**KINDS.get(str(record.data.get("template-unit", "job")), Unit).fields, **cls.fields}


def _engine(record: Record, key: str) -> str:
    if key.removeprefix("_").startswith("template-"):
        return "none"
    if record.data.get("template-engine") == "jinja2":
        return "jinja2"
    return "default" if record.data.get("unit") == TemplateUnit.kind else "none"


def _field(key: str, value: Value) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        value = f"{value}\n"  # the end of the last line means nothing to a field, and '|' looks better than '|-'
    return _dumped({key: value})


def _listing(key: str, listing: Listing, record: Record, comments: list[tuple[int, str]]) -> Iterator[str]:
    """Yield the lines of a list; ``comments`` are those of the file between its lines."""
    [empty] = _dumped({key: []})
    yield empty.removesuffix(" []") if listing.values else empty
    pending = list(comments)
    for item in listing.items:
        while pending and pending[0][0] < _line_of(record, key, item.line):
            yield _INDENT + _shown(pending.pop(0)[1])
        lines = [] if item.value is None else [_INDENT + line for line in _dumped([item.value])]
        if item.comment and len(lines) == 1:
            lines[0] += f"{_INDENT}{_shown(item.comment)}"
        elif item.comment:
            lines.insert(0, _INDENT + _shown(item.comment))
        yield from lines
    yield from (_INDENT + _shown(comment) for _, comment in pending)


def _line_of(record: Record, key: str, line: int) -> int:
    """Return the line of the file that a line of a value is."""
    place = record.offsets[key]
    return (record.origin.line_start or 1) + (place + line if isinstance(place, int) else place[line])


def _shown(comment: str) -> str:
    """Return a comment without the characters that a YAML file must not hold."""
    return _NOT_IN_BLOCK.sub("?", comment)


# -- YAML

#: What a literal block cannot hold: control characters, and further line ends.
_NOT_IN_BLOCK = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_MAX_KEY = 1000  # characters; what a reader of YAML takes for the key of a mapping without being told


class _Dumper(yaml.SafeDumper):
    """Indents lists, and writes as a block whatever may be one."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        # PyYAML would quote a script for a tab, or for a blank at the end of a line.
        if analysis.multiline and not _NOT_IN_BLOCK.search(scalar):
            analysis.allow_block = True
        return analysis

    def check_simple_key(self) -> bool:
        event = self.event
        if isinstance(event, yaml.ScalarEvent) and "\n" not in event.value and 0 < len(event.value) < _MAX_KEY:
            self.analysis = self.analysis or self.analyze_scalar(event.value)
            return True
        return bool(super().check_simple_key())


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = '"' if _NOT_IN_BLOCK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _plain(dumper: Any, text: Plain) -> yaml.Node:
    # With the tag that a reader gives it by itself it needs neither quotes nor a tag.
    tag = dumper.resolve(yaml.ScalarNode, str(text), (True, False))
    node: yaml.Node = dumper.represent_scalar(tag, str(text))
    return node


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Plain, _plain)


def _dumped(value: Value) -> list[str]:
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=sys.maxsize, sort_keys=False)
    return text.removesuffix("\n").split("\n")

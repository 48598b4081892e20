# SPDX-License-Identifier: Apache-2.0
"""The PXU syntax: ``key: value`` lines, continuation lines that begin with a blank, records apart by empty lines.

Used for unit files and for the output of resource jobs. The grammar and the normalisation of values are those of
Checkbox, so that existing providers read as they always did. One difference: a record with a bad line is dropped alone,
not together with its file, and the error names the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from plainbox.errors import UnitSyntaxError
from plainbox.units.origin import Origin
from plainbox.units.record import Place, Record, Value

__all__ = ["normalise", "parse"]

_LONE_DOT = re.compile(r"^( *)\.$", re.MULTILINE)
_SHOWN = 60  # characters of a bad line that an error quotes


def normalise(raw: str) -> str:
    """Return the value that a raw text stands for.

    A text of more than one line loses its common indentation, and a line that holds a lone dot becomes an empty one;
    leading and trailing white space always goes.
    """
    if raw.count("\n") > 1:
        if raw.startswith(".") or "\n." in raw or " ." in raw:
            raw = _LONE_DOT.sub(r"\1", raw)
        raw = _dedent(raw)
    return raw.strip()


def _dedent(text: str) -> str:
    """Do what textwrap.dedent() does, in a third of its time: a provider holds thousands of such texts."""
    lines = text.split("\n")
    filled = [line for line in lines if line and not line.isspace()]
    if not filled:
        return ""
    # What the least and the greatest line have in common, all lines between them have too.
    margin = 0
    for one, other in zip(min(filled), max(filled), strict=False):
        if one != other or one not in " \t":
            break
        margin += 1
    return "\n".join([line[margin:] if line and not line.isspace() else "" for line in lines])


def parse(
    lines: Iterable[str], source: str, *, on_error: Callable[[UnitSyntaxError], None] | None = None
) -> Iterator[Record]:
    """Yield the records of ``lines``, which keep their line ends.

    A bad line raises :class:`UnitSyntaxError` with its place, after the records before it were yielded. With
    ``on_error`` the error goes there instead, its record is left out and reading goes on behind the next empty line.
    """
    fields: dict[str, list[str]] = {}
    begins: dict[str, int] = {}  # the line of each field
    gaps: dict[str, dict[int, int]] = {}  # behind a comment: index in the value -> line
    key = ""
    value: list[str] | None = None
    start = last = 0
    bad = False
    for number, line in enumerate(lines, 1):
        first = line[:1]
        # Most lines of a unit file are continuations: they are asked for first.
        if first == " " and value is not None and not line.isspace():
            if number != last + 1:
                gaps.setdefault(key, {})[len(value)] = number
            value.append(line[1:])
            last = number
        elif first == "#":
            continue
        elif not line or line.isspace():
            if fields and not bad:
                yield _record(fields, begins, gaps, Origin(source, start, last))
            fields, begins, gaps, value, bad = {}, {}, {}, None, False
        elif bad:
            continue
        else:
            key, colon, text = line.partition(":")
            key = key.strip()
            if first == " ":
                problem = "a continuation line without a field to continue"
            elif not colon:
                problem = f"neither a field ('name: value') nor a continuation: {_shown(line)}"
            elif not key:
                problem = "a field without a name"
            elif key in fields:
                problem = f"the field {_shown(key)} is given twice in one record"
            else:
                if not fields:
                    start = number
                begins[key] = last = number
                value = fields[key] = [text.lstrip()]
                continue
            error = UnitSyntaxError(problem, origin=Origin(source, number))
            if on_error is None:
                raise error
            on_error(error)
            value, bad = None, True
    if fields and not bad:
        yield _record(fields, begins, gaps, Origin(source, start, last))


def _shown(text: str) -> str:
    return repr(text.strip()[:_SHOWN])


def _record(
    fields: Mapping[str, list[str]], begins: Mapping[str, int], gaps: Mapping[str, Mapping[int, int]], origin: Origin
) -> Record:
    start = origin.line_start or 0
    raw: dict[str, Value] = {}
    data: dict[str, Value] = {}
    offsets: dict[str, Place] = {}
    for key, parts in fields.items():
        if len(parts) == 1:
            text = raw[key] = parts[0].rstrip("\n")
            data[key] = text.strip()  # mostly the same object, which saves memory
            offsets[key] = begins[key] - start
        else:
            text = "".join(parts)
            raw[key] = text.rstrip("\n")
            data[key] = normalise(text)
            offsets[key] = _place(parts, begins[key] - start, gaps.get(key), start)
    return Record(data, raw, origin, offsets)


def _place(parts: Sequence[str], begin: int, gaps: Mapping[int, int] | None, start: int) -> Place:
    """Return where the lines of a normalised value are, which has lost the empty lines at its beginning."""
    lost = 0
    while lost < len(parts) - 1 and parts[lost].strip() in ("", "."):
        lost += 1
    if gaps is None:
        return begin + lost
    places: list[int] = []
    place = begin
    for index in range(len(parts)):
        place = gaps[index] - start if index in gaps else place
        places.append(place)
        place += 1
    return tuple(places[lost:])

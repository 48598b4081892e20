# SPDX-License-Identifier: Apache-2.0
"""The PXU syntax: ``key: value`` lines, continuation lines that begin with a blank, records apart by empty lines.

Used for unit files and for the output of resource jobs. The grammar and the normalisation of values are those of
Checkbox, so that existing providers read as they always did. One difference: a record with a bad line is dropped alone,
not together with its file, and the error names the line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator

from plainbox.errors import UnitSyntaxError
from plainbox.units.origin import Origin
from plainbox.units.record import Record, Value

__all__ = ["normalise", "parse"]

_LONE_DOT = re.compile(r"^( *)\.$", re.MULTILINE)


def normalise(raw: str) -> str:
    """Return the value that a raw text stands for.

    A text of more than one line loses its common indentation, and a line that holds a lone dot becomes an empty one;
    leading and trailing white space always goes.
    """
    if raw.count("\n") > 1:
        raw = textwrap.dedent(_LONE_DOT.sub(r"\1", raw))
    return raw.strip()


def parse(
    lines: Iterable[str], source: str, *, on_error: Callable[[UnitSyntaxError], None] | None = None
) -> Iterator[Record]:
    """Yield the records of ``lines``, which keep their line ends.

    A bad line raises :class:`UnitSyntaxError` with its place, after the records before it were yielded. With
    ``on_error`` the error goes there instead, its record is left out and reading goes on behind the next empty line.
    """
    fields: dict[str, list[str]] = {}
    offsets: dict[str, int] = {}
    value: list[str] | None = None
    start = last = 0
    bad = False
    for number, line in enumerate(lines, 1):
        first = line[:1]
        if first == "#":
            continue
        if not line.strip():
            if fields and not bad:
                yield _record(fields, offsets, Origin(source, start, last))
            fields, offsets, value, bad = {}, {}, None, False
        elif bad:
            continue
        elif first == " " and value is not None:
            value.append(line[1:])
            last = number
        else:
            key, colon, text = line.partition(":")
            key = key.strip()
            if first == " ":
                problem = "a continuation line without a field to continue"
            elif not colon:
                problem = f"neither a field ('name: value') nor a continuation: {line.strip()[:60]!r}"
            elif not key:
                problem = "a field without a name"
            elif key in fields:
                problem = f"the field {key!r} is given twice in one record"
            else:
                if not fields:
                    start = number
                text = text.lstrip()
                offsets[key] = number - start + (not text)
                value = fields[key] = [text]
                last = number
                continue
            error = UnitSyntaxError(problem, origin=Origin(source, number))
            if on_error is None:
                raise error
            on_error(error)
            bad = True
    if fields and not bad:
        yield _record(fields, offsets, Origin(source, start, last))


def _record(fields: dict[str, list[str]], offsets: dict[str, int], origin: Origin) -> Record:
    raw: dict[str, Value] = {}
    data: dict[str, Value] = {}
    for key, parts in fields.items():
        text = parts[0] if len(parts) == 1 else "".join(parts)
        raw[key] = text.rstrip("\n")
        data[key] = text.strip() if len(parts) == 1 else normalise(text)
    return Record(data, raw, origin, offsets)

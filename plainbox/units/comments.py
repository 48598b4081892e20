# SPDX-License-Identifier: Apache-2.0
"""Where the fields and the comments of a PXU file stand, for whoever writes the file anew.

The parser drops comments. This reads the same lines for their places alone; the records of the parser and those from
here come in the same order, as long as the text has no syntax error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

__all__ = ["Layout", "Span", "layouts"]


@attrs.define
class Span:
    """The lines of a file, counted from 1, that one field of a record takes up."""

    key: str
    first: int
    last: int


@attrs.define
class Layout:
    """The places of one record.

    ``header`` are the comment lines before its first field, an empty line where comments stand apart; ``comments`` are
    those below, with their lines. Behind the last record there may be comments without any field.
    """

    header: list[str] = attrs.field(factory=list)
    spans: list[Span] = attrs.field(factory=list)
    comments: list[tuple[int, str]] = attrs.field(factory=list)

    def take_comments(self, before: int) -> list[tuple[int, str]]:
        """Take away and return the comments above a line of the file."""
        taken = [comment for comment in self.comments if comment[0] < before]
        self.comments = self.comments[len(taken) :]
        return taken


def layouts(lines: Iterable[str]) -> Iterator[Layout]:
    """Yield the layout of each record, then one without fields that holds the comments at the end of the file."""
    layout = Layout()
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            if layout.spans:
                layout.comments.append((number, line.rstrip()))
            else:
                layout.header.append(line.rstrip())
        elif not line or line.isspace():
            if layout.spans:
                yield layout
                layout = Layout()
            elif layout.header and layout.header[-1]:
                layout.header.append("")
        elif line.startswith(" "):
            layout.spans[-1].last = number
        else:
            layout.spans.append(Span(line.partition(":")[0].strip(), number, number))
    if layout.spans:
        yield layout
        layout = Layout()
    if layout.header and not layout.header[-1]:
        layout.header.pop()
    yield layout

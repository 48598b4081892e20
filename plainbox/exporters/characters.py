# SPDX-License-Identifier: Apache-2.0
"""Text from outside made fit for a report: names, comments and output are anybody's.

Every exporter passes what it shows through here. What comes out is safe for XML, for spreadsheets and for terminals: no
control characters but tab and line feed, no terminal sequences, no lone surrogates.
"""

from __future__ import annotations

import re

from plainbox.session.textual import without_escapes

__all__ = ["encodable", "one_line", "readable", "shortened", "without_controls"]

#: What XML cannot hold or a terminal obeys. Tab and line feed are fine.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNENCODABLE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def encodable(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it has an encoding in UTF-8."""
    return text if text.isascii() else _UNENCODABLE.sub(_REPLACEMENT, text)


def readable(text: str) -> str:
    """Return the text for people: no terminal sequences, line ends as line feeds, what is unfit visibly replaced."""
    if not _UNFIT.search(text):
        return text
    return _UNFIT.sub(_REPLACEMENT, _LINE_END.sub("\n", without_escapes(text)))


def without_controls(text: str) -> str:
    """Return the output of a program for people: like :func:`readable`, control characters removed."""
    if not _UNFIT.search(text):
        return text
    text = _LINE_END.sub("\n", without_escapes(text))
    return _UNFIT.sub(_removed, text)


def one_line(text: str) -> str:
    """Return the readable text as a single line, blanks and line ends reduced to one blank each."""
    return " ".join(readable(text).split())


def shortened(text: str, limit_chars: int) -> str:
    """Return the text, or its beginning and an ellipsis, in at most ``limit_chars`` characters."""
    return text if len(text) <= limit_chars else text[: limit_chars - 1].rstrip() + _ELLIPSIS


def _removed(match: re.Match[str]) -> str:
    # Control characters lay out or ring bells; what is no character at all was damaged, and shows.
    return "" if match[0] < "\xa0" else _REPLACEMENT

# SPDX-License-Identifier: Apache-2.0
"""Message catalogues: the template, what translators have made of it, and what programs read.

Nothing is written here: every function returns the new content of a file.
"""

from __future__ import annotations

import codecs
import copy
import difflib
import heapq
import io
import re
from collections.abc import Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, PoFileParser, denormalize, write_po

from plainbox.errors import FieldError, ProviderError
from plainbox.providers.authoring.command import SourceTree
from plainbox.providers.authoring.messages import UNIT_SUFFIXES
from plainbox.units.interpolation import names_in
from plainbox.units.origin import Origin
from plainbox.units.pxu import normalise

__all__ = ["check", "compiled", "new_template", "read", "rendered", "template_text", "update"]

#: A line of a catalogue that is no comment: a word and a quoted text, or more of it.
_LINE = re.compile(r'((msgctxt|msgid|msgid_plural|msgstr|msgstr\[[0-9]\])\s+)?"(\\.|[^"\\])*"')
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_NEAR = 50  # messages around a new one that it may have been
_FORMATS = {"python-format", "python-brace-format"}


class _Strict(Catalog):
    """A catalogue that refuses to replace one translation by another."""

    def __setitem__(self, id: str | list[str] | tuple[str, ...], message: Message) -> None:
        if id and self.get(id, message.context) is not None:
            raise PoFileError("this message is here twice", self, "", (message.lineno or 1) - 1)
        super().__setitem__(id, message)


def new_template(tree: SourceTree) -> Catalog:
    """Return the catalogue without messages."""
    return Catalog(
        domain=tree.gettext_domain,
        project=tree.name,
        version=tree.version,
        header_comment=f"# Messages of the provider {tree.name}.",
        charset="utf-8",
    )


def template_text(template: Catalog, path: Path) -> bytes:
    """Return the content of the template's file: the present one when only the time would change."""
    try:
        present, before = path.read_bytes(), read(path)
    except (OSError, ProviderError):
        return rendered(template)
    now, template.creation_date = template.creation_date, before.creation_date
    if rendered(template) != present:
        template.creation_date = now
    return rendered(template)


def read(path: Path) -> Catalog:
    """Return a catalogue; :class:`ProviderError` with the line when there is anything wrong in its file."""
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ProviderError(f"cannot be read: {error.strerror}", origin=Origin(str(path))) from None
    catalogue = _Strict()
    lines = content.splitlines()
    try:
        for number, line in enumerate(lines):
            text = line.strip()
            if text and not text.startswith(b"#") and not _LINE.fullmatch(text.decode("latin-1")):
                raise PoFileError("not a line of a message catalogue", catalogue, "", number)
        PoFileParser(catalogue, abort_invalid=True).parse(lines)
    except PoFileError as error:
        said = str(error).removesuffix(f" on {error.lineno}")
        raise ProviderError(said, origin=Origin(str(path), error.lineno + 1)) from None
    except UnicodeDecodeError as error:
        place = next((number for number, line in enumerate(lines, 1) if line.strip() == error.object), None)
        raise ProviderError(f"not {catalogue.charset} text", origin=Origin(str(path), place)) from None
    except (ValueError, LookupError, AssertionError) as error:
        raise ProviderError(f"not a message catalogue: {error}", origin=Origin(str(path))) from None
    catalogue.charset = "utf-8"  # in which it is written
    if catalogue.locale_identifier is None and path.suffix == ".po":
        # A new file, or one of a tool that leaves the language out: it is in the name.
        try:
            catalogue.locale = path.stem.replace("-", "_")
        except ValueError:
            catalogue.locale = None
    return catalogue


def update(catalogue: Catalog, template: Catalog) -> None:
    """Bring a catalogue up to the messages of the template, keeping all that translators have done.

    A message that is gone stays as an obsolete one and counts again when it comes back. A message that has changed a
    little takes over the translation of the old one, marked as fuzzy; without that mark when the old one means the same,
    as in a PXU file that is now YAML.
    """
    for key, message in list(catalogue.obsolete.items()):
        if template.get(message.id, message.context) is not None and catalogue.get(message.id, message.context) is None:
            catalogue[message.id] = catalogue.obsolete.pop(key)
    if not len(catalogue) and not catalogue.obsolete:
        # A language that begins: nobody has written its header yet.
        catalogue.header_comment = template.header_comment
        catalogue.project, catalogue.version, catalogue.fuzzy = template.project, template.version, False
    before = [message for message in catalogue if message.id]
    previous = {message.id: _take_previous(message) for message in before}
    # A copy: Babel would put the template's own messages into every catalogue.
    catalogue.update(copy.deepcopy(template), no_fuzzy_matching=True)
    for message in catalogue:
        if message.fuzzy:
            message.previous_id = previous.get(message.id, [])
    _carry_over(catalogue, before)


def _carry_over(catalogue: Catalog, before: Sequence[Message]) -> None:
    """Give new messages the translations of those that meant the same, or are gone and were like them.

    Compares each new message with those that were near its place: all with all takes minutes when many have changed.
    """
    known = {(message.id, message.context) for message in before}
    same = {meaning: message for message in before if message.string for meaning in _meanings(message.id)}
    gone = [
        (place, message)
        for place, message in enumerate(before)
        if message.string and isinstance(message.id, str) and catalogue.get(message.id, message.context) is None
    ]
    for place, message in enumerate(message for message in catalogue if message.id):
        if (message.id, message.context) in known or not isinstance(message.id, str):
            continue
        if message.id in same:
            _adopt(message, same[message.id])
            continue
        near = heapq.nsmallest(_NEAR, gone, key=lambda item: abs(item[0] - place))
        texts = {str(item.id): item.string for _, item in near}
        for like in difflib.get_close_matches(message.id, list(texts), n=1):
            message.string, message.previous_id = texts[like], [like]
            message.flags.add("fuzzy")


def _meanings(text: object) -> set[str]:
    """Return the values that a raw text of a PXU file may stand for; it has lost the end of its last line, which counts."""
    return {normalise(text), normalise(f"{text}\n")} if isinstance(text, str) else set()


def _adopt(message: Message, former: Message) -> None:
    """Give a message the translation of the raw text that it has been until now, as good as that one was."""
    message.string = normalise(f"{former.string}\n")
    message.flags |= former.flags & {"fuzzy"}
    message.previous_id, message.user_comments = former.previous_id, former.user_comments


def _take_previous(message: Message) -> list[str]:
    """Take the former text of a fuzzy message out of its comments, where Babel leaves it."""
    lines = [comment.removeprefix("|").strip() for comment in message.user_comments if comment.startswith("|")]
    message.user_comments = [comment for comment in message.user_comments if not comment.startswith("|")]
    pieces = re.split(r"^msgid(?:_plural)? ", "\n".join(lines), flags=re.MULTILINE)
    return ["".join(denormalize(text) for text in _QUOTED.findall(piece)) for piece in pieces[1:]]


def rendered(catalogue: Catalog) -> bytes:
    """Return the text of a catalogue, for translators."""
    for message in catalogue:
        if not _of_program(message):
            # Babel guesses from the text: it takes "100 % sure" in a unit for a format.
            message.flags -= _FORMATS
    stream = io.BytesIO()
    write_po(stream, catalogue, include_previous=True)
    return stream.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """Return what programs read; fuzzy translations are left out."""
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def check(catalogue: Catalog, path: Path) -> None:
    """Raise :class:`ProviderError` for a translation that would fail where it is used."""
    for message in catalogue:
        problem = _problem(catalogue, message) if message.id and message.string and not message.fuzzy else None
        if problem is not None:
            raise ProviderError(problem, origin=Origin(str(path), message.lineno))


def _of_program(message: Message) -> bool:
    return any(not file.endswith(UNIT_SUFFIXES) for file, _ in message.locations)


def _problem(catalogue: Catalog, message: Message) -> str | None:
    if _of_program(message):
        return next((str(error) for error in message.check(catalogue)), None)
    if not isinstance(message.id, str) or not isinstance(message.string, str):
        return None
    wanted = names_in(message.id, "default")
    if not wanted:
        return None
    try:
        added = names_in(message.string, "default", strict=True) - wanted
    except FieldError as error:
        return error.message
    return f"the message has no {{{min(added)}}}" if added else None

# SPDX-License-Identifier: Apache-2.0
"""The messages of a source tree that are to be translated, each with its places.

``po/POTFILES.in`` names the files; without it, all unit files and the Python programs count. Messages of units are the
texts that :meth:`plainbox.units.Unit.translated` looks up: the raw values of the fields that begin with an underscore.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import PoFileError, read_po

from plainbox.errors import ProviderError, UnitError
from plainbox.providers.authoring.command import Output, SourceTree
from plainbox.providers.files import classify
from plainbox.units import read_units
from plainbox.units.file import FileRole
from plainbox.units.origin import Origin

__all__ = ["UNIT_SUFFIXES", "Source", "add_messages", "sources"]

UNIT_SUFFIXES = (".pxu", ".txt", ".in", ".yaml", ".yml")

_LINE = re.compile(r"(?:\[\s*(?P<key>[a-z]+)\s*:\s*(?P<value>[^\]]*?)\s*\]\s*)?(?P<path>.*)")
#: Words of ``[type: ...]`` in POTFILES.in -> how we call it.
_TYPES = {"gettext/rfc822deb": "units", "python": "Python", "gettext/python": "Python", "shell": "Shell"}
_SHEBANG = re.compile(rb"#!.*\b(?P<name>python|bash|dash|sh)[0-9.]*\b")


@attrs.frozen
class Source:
    """A file with messages: ``path`` relative to the tree, ``type`` one of units, Python, Shell."""

    path: str
    type: str


def sources(tree: SourceTree, output: Output) -> list[Source]:
    """Return the files to look into; a line of POTFILES.in that names no file is a :class:`ProviderError`."""
    listing = tree.base_dir / "po" / "POTFILES.in"
    try:
        text = listing.read_text(encoding="utf-8")
    except FileNotFoundError:
        return list(_all_sources(tree))
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderError(f"cannot be read: {error}", origin=Origin(str(listing))) from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None or not match["path"] or match["path"].startswith("#"):
            continue
        origin = Origin(str(listing), number)
        path = _confined(tree.base_dir, match["path"], origin)
        type_ = _TYPES.get(match["value"].lower()) if match["key"] == "type" else _type_of(path)
        if type_ is None:
            output.warn(f"{origin}: no messages are taken from {match['path']}: its type is not known")
        else:
            found.append(Source(match["path"], type_))
    return found


def _confined(base_dir: Path, relative: str, origin: Origin) -> Path:
    path = base_dir / relative
    if not path.resolve().is_relative_to(base_dir.resolve()):
        raise ProviderError(f"{relative!r} lies outside of the provider", origin=origin)
    if not path.is_file():
        translated = Path(relative).with_suffix(".yaml")
        hint = "paths begin at the provider's directory"
        if path.suffix == ".pxu" and (base_dir / translated).is_file():
            hint = f"write {translated}, which has taken its place"
        raise ProviderError(f"no such file: {relative!r}", origin=origin, hint=hint)
    return path


def _all_sources(tree: SourceTree) -> Iterator[Source]:
    for unit in classify(tree.provider):
        path = Path(unit.path)
        relative = os.path.relpath(path, tree.base_dir)
        if unit.role == FileRole.UNIT_SOURCE:
            yield Source(relative, "units")
        elif unit.role in (FileRole.SCRIPT, FileRole.MANAGE_PY) and _type_of(path) == "Python":
            yield Source(relative, "Python")


def _type_of(path: Path) -> str | None:
    if path.suffix in UNIT_SUFFIXES:
        return "units"
    if path.suffix == ".py":
        return "Python"
    if path.suffix == ".sh":
        return "Shell"
    with open(path, "rb") as stream:
        match = _SHEBANG.match(stream.readline(200))
    if match is None:
        return None
    return "Python" if match["name"] == b"python" else "Shell"


def add_messages(catalogue: Catalog, source: Source, tree: SourceTree, output: Output) -> None:
    """Add the messages of a file to a catalogue. A program that is no good is a :class:`ProviderError`.

    What is wrong with a unit file is told, and the good units count.
    """
    extractors: dict[str, Callable[[Catalog, Source, Path, Output], None]] = {
        "units": _add_from_units,
        "Python": _add_from_python,
        "Shell": _add_from_shell,
    }
    extractors[source.type](catalogue, source, tree.base_dir / source.path, output)


def _add_from_units(catalogue: Catalog, source: Source, path: Path, output: Output) -> None:
    def tell(error: UnitError) -> None:
        output.warn(str(error), error.hint)

    for unit in read_units(path, on_error=tell):
        for key, message in unit.raw.items():
            # The empty message is the header of a catalogue.
            if key.startswith("_") and isinstance(message, str) and message:
                place = unit.origin_of(key.removeprefix("_"))
                line = place.line_start if place is not None else None
                catalogue.add(message, locations=[(source.path, line or 1)])


def _add_from_python(catalogue: Catalog, source: Source, path: Path, output: Output) -> None:
    try:
        with open(path, "rb") as stream:
            found = list(extract("python", stream, comment_tags=("TRANSLATORS:",)))
    except (SyntaxError, tokenize.TokenError, ValueError) as error:
        raise ProviderError(f"not a Python program: {error}", origin=Origin(str(path))) from None
    for line, message, comments, context in found:
        catalogue.add(message, locations=[(source.path, line)], auto_comments=comments, context=context)


def _add_from_shell(catalogue: Catalog, source: Source, path: Path, output: Output) -> None:
    program = shutil.which("xgettext")
    if program is None:
        output.warn(
            f"the messages of {source.path} are left out: xgettext is not installed",
            "install it, on Debian: sudo apt-get install gettext",
        )
        return
    done = subprocess.run(
        [
            program,
            "--language=Shell",
            "--from-code=UTF-8",
            "--add-comments=TRANSLATORS:",
            "--output=-",
            "--",
            str(path),
        ],
        capture_output=True,
        check=False,
    )
    try:
        if done.returncode != 0:
            raise ValueError(done.stderr.decode(errors="replace").strip())
        found = read_po(io.StringIO(done.stdout.decode()), abort_invalid=True)
    except (ValueError, PoFileError) as error:
        raise ProviderError(f"xgettext cannot read it: {error}", origin=Origin(str(path))) from None
    for message in found:
        if message.id:
            message.locations = [(source.path, line) for _, line in message.locations]
            catalogue[message.id] = message

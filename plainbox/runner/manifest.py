# SPDX-License-Identifier: Apache-2.0
"""The answers to manifest questions: where they are stored and how jobs see them.

The bundled resource job prints the records that are written here before the first job, so it needs no Python of its own.
The file is a flat JSON object from full ids of manifest entries to yes, no or a number, as Checkbox keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from plainbox.errors import UsageError
from plainbox.units import ManifestEntryUnit
from plainbox.units.origin import Origin

__all__ = ["RECORDS_NAME", "changed_manifest", "load_manifest", "manifest_records", "read_answers"]

#: Name of the file in the session share.
RECORDS_NAME = "manifest.records"


def load_manifest(path: Path) -> dict[str, bool | int]:
    """Return the stored answers by full id of their entry; no file means no answers."""
    try:
        content = read_answers(path)
    except FileNotFoundError:
        return {}
    return {key: value for key, value in content.items() if isinstance(value, (bool, int))}


def read_answers(path: Path) -> dict[str, object]:
    """Return what a file of answers holds, whether it can be answers or not.

    A file that is not a JSON object raises :class:`UsageError`, one that is not there :class:`FileNotFoundError`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UsageError(
            f"not a file of answers to manifest questions: {error}",
            origin=Origin(str(path)),
            hint="repair or remove the file",
        ) from None
    if not isinstance(content, dict):
        raise UsageError("not a file of answers to manifest questions: no JSON object", origin=Origin(str(path)))
    return content


@contextlib.contextmanager
def changed_manifest(path: Path) -> Iterator[dict[str, object]]:
    """Let the answers be changed: what the file holds goes out, what has become of it takes its place at the end.

    Nobody else changes the file meanwhile; whoever reads it sees the old answers or the new ones. When the body raises,
    the file stays as it was.
    """
    import fcntl

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        try:
            content = read_answers(path)
        except FileNotFoundError:
            content = {}
        yield content
        _replace(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
        os.fsync(directory)
    finally:
        os.close(directory)


def _replace(path: Path, text: str) -> None:
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def manifest_records(entries: Iterable[ManifestEntryUnit], answers: dict[str, bool | int]) -> str:
    """Return the resource records of the manifest: one for each provider with entries, all values as text."""
    by_provider: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        provider = entry.provider
        place = (provider.namespace, provider.name) if provider is not None else ("", "")
        value = entry.default_value if entry.is_hidden else answers.get(entry.id, entry.default_value)
        by_provider.setdefault(place, []).append(f"{entry.resource_key}: {value}")
    return "\n".join(
        "\n".join([f"ns: {namespace}", f"name: {name}", *lines, ""]) for (namespace, name), lines in by_provider.items()
    )

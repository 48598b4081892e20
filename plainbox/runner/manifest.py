# SPDX-License-Identifier: Apache-2.0
"""The answers to manifest questions: where they are stored and how jobs see them.

The bundled resource job prints the records that are written here before the first job, so it needs no Python of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from plainbox.errors import UsageError
from plainbox.units import ManifestEntryUnit
from plainbox.units.origin import Origin

__all__ = ["RECORDS_NAME", "load_manifest", "manifest_records"]

#: Name of the file in the session share.
RECORDS_NAME = "manifest.records"


def load_manifest(path: Path) -> dict[str, bool | int]:
    """Return the stored answers by full id of their entry; no file means no answers."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the manifest of this machine cannot be read: {error}",
            origin=Origin(str(path)),
            hint="repair or remove the file",
        ) from None
    if not isinstance(content, dict):
        raise UsageError("the manifest of this machine is not a JSON object", origin=Origin(str(path)))
    return {key: value for key, value in content.items() if isinstance(value, (bool, int))}


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

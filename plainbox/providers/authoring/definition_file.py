# SPDX-License-Identifier: Apache-2.0
"""Writing ``.provider`` files, by which installed providers are found."""

from __future__ import annotations

from collections.abc import Mapping

from plainbox.errors import ProviderError
from plainbox.providers.authoring.command import SourceTree
from plainbox.streams import clean
from plainbox.units.origin import Origin

__all__ = ["definition_text"]


def definition_text(tree: SourceTree, places: Mapping[str, str]) -> str:
    """Return the text of a definition; ``places`` are the keys that say where the files are."""
    for path in places.values():
        if not path.isprintable():
            raise ProviderError("a path in a provider definition cannot hold control characters", origin=Origin(path))
    facts = {"name": tree.name}
    if tree.namespace != tree.name.partition(":")[0]:
        facts["namespace"] = tree.namespace
    facts |= {"version": tree.version, "description": clean(" ".join(tree.description.split()))}
    facts |= {"gettext_domain": tree.gettext_domain or "", **places}
    lines = [f"{key} = {value}" for key, value in facts.items() if value]
    return "\n".join(["[PlainBox Provider]", *lines, ""])

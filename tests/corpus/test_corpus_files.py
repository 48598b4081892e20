# SPDX-License-Identifier: Apache-2.0
"""The files of existing providers have the roles that Checkbox gives them.

Not compared: the built-in providers, which have files of their own here.
"""

from __future__ import annotations

from pathlib import Path

from checkbox_record import Corpus

from plainbox.providers.files import classify


def test_files(corpus: Corpus) -> None:
    """Each file of a provider has the same role, and none is missing."""
    expected = {
        provider: sorted((path, role) for role, path in files)
        for provider, files in corpus.expected["files"].items()
        if not provider.startswith("com.canonical.plainbox:")
    }
    mine = {
        provider.name: [(str(Path(unit.path).relative_to(provider.base_dir)), unit.role) for unit in classify(provider)]
        for provider in corpus.catalogue.providers
        if provider.name in expected
    }
    assert mine == expected

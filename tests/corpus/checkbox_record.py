# SPDX-License-Identifier: Apache-2.0
"""The corpus: providers of Checkbox with what Checkbox makes of them.

It is not part of this repository. ``PLAINBOX_CORPUS`` names its directory; without it the corpus is looked for in
``../shared/corpus``, beside the project. ``PLAINBOX_CORPUS=none`` skips the comparison; its absence does not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from plainbox.providers import Catalogue
from plainbox.units import Unit

__all__ = ["FIVE", "OURS", "Corpus", "load"]

FIVE = ("tutorial", "docker", "tpm2", "genio", "sru")
#: Providers that come with Plainbox and that Checkbox does not have.
OURS = ("org.plainbox:machine",)


@attrs.frozen
class Corpus:
    """The units that Plainbox reads from the corpus, beside what Checkbox has recorded about the same files."""

    expected: dict[str, Any]
    catalogue: Catalogue

    def units(self, kind: str) -> dict[str, Unit]:
        """Return the units of a kind from the providers of the corpus and the built-in one, by full id."""
        return {
            unit.id: unit
            for unit in self.catalogue.units
            if unit.kind == kind and unit.provider is not None and unit.provider.name not in OURS
        }


def _directory() -> Path:
    named = os.environ.get("PLAINBOX_CORPUS", "")
    if named == "none":
        pytest.skip("not compared with Checkbox: PLAINBOX_CORPUS=none")
    directory = Path(named) if named else Path(__file__).parents[2].parent / "shared" / "corpus"
    if not (directory / "expected.json").is_file():
        pytest.fail(
            f"the corpus is not in {directory}: set PLAINBOX_CORPUS to its directory, or to 'none' to skip these tests",
            pytrace=False,
        )
    return directory


def load(expected: str, names: Sequence[str]) -> Corpus:
    """Return the corpus, or skip or fail the test that wants it."""
    directory = _directory()
    return Corpus(
        expected=json.loads((directory / expected).read_text(encoding="utf-8")),
        catalogue=Catalogue.load([directory / name for name in names], installed=False),
    )

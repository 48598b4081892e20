# SPDX-License-Identifier: Apache-2.0
"""Texts in the reader's language, through gettext: those of providers in their own domains."""

from __future__ import annotations

import functools
import gettext
from pathlib import Path

__all__ = ["provider_text"]


@functools.cache
def _catalogue(domain: str, directory: str | None) -> gettext.NullTranslations:
    # One look-up per domain, not one per text: each costs a dozen file names.
    return gettext.translation(domain, directory, fallback=True)


def provider_text(domain: str, directory: Path | None, message: str) -> str:
    """Return a provider's message translated, or the message itself where its catalogue has none."""
    return _catalogue(domain, str(directory) if directory is not None else None).gettext(message)

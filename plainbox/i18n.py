# SPDX-License-Identifier: Apache-2.0
"""Texts in the reader's language, through gettext: those of providers in their own domains.

The language is that of the process: LANGUAGE, LC_ALL, LC_MESSAGES, LANG. A catalogue that cannot be read costs its
translations and nothing else.
"""

from __future__ import annotations

import functools
import gettext
import logging
import struct
from pathlib import Path

__all__ = ["provider_text"]

_log = logging.getLogger(__name__)


@functools.cache
def _catalogue(domain: str, directory: str | None) -> gettext.NullTranslations:
    # One look-up per domain, not one per text: each costs a dozen file names.
    found: gettext.NullTranslations | None = None
    for path in gettext.find(domain, directory, all=True):
        catalogue = _read(path)
        if catalogue is not None and found is None:
            found = catalogue
        elif catalogue is not None and found is not None:
            # The reader's second language, where the first has no translation.
            found.add_fallback(catalogue)
    return found or gettext.NullTranslations()


def _read(path: str) -> gettext.NullTranslations | None:
    try:
        with open(path, "rb") as stream:
            return gettext.GNUTranslations(stream)
    except (OSError, ValueError, LookupError, SyntaxError, struct.error) as error:
        # What damaged files raise: gettext trusts their offsets, their character set and their plural rule.
        _log.warning("%s: these translations cannot be read: %s", path, error)
        return None


def provider_text(domain: str, directory: Path | None, message: str) -> str:
    """Return a provider's message translated, or the message itself where its catalogue has none."""
    return _catalogue(domain, str(directory) if directory is not None else None).gettext(message)

# SPDX-License-Identifier: Apache-2.0
"""Identifiers of tasks and executions: SHA-256 over an unambiguous encoding, in hexadecimal.

An identifier is always compared whole; :func:`short_form` is for people's eyes only.
"""

from __future__ import annotations

import hashlib

__all__ = ["identifier_from_bytes", "identifier_from_string", "identifier_from_parts", "short_form"]


def identifier_from_bytes(buffer: bytes) -> str:
    """Return the 64 hexadecimal digits that stand for ``buffer``."""
    return hashlib.sha256(buffer).hexdigest()


def identifier_from_string(string: str) -> str:
    """Return the identifier of the UTF-8 form of ``string``; bytes smuggled in as surrogates count as themselves."""
    return identifier_from_bytes(_encode(string))


def identifier_from_parts(*parts: str | None) -> str:
    """Return the identifier of a sequence: no two different sequences are encoded alike, ``None`` is not ``""``."""
    encoded = (None if part is None else _encode(part) for part in parts)
    return identifier_from_bytes(b"".join(b"-;" if part is None else b"%d:%b;" % (len(part), part) for part in encoded))


def short_form(identifier: str) -> str:
    """Return the first 16 digits, for display."""
    return identifier[:16]


def _encode(string: str) -> bytes:
    return string.encode("utf-8", "surrogateescape")

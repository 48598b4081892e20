# SPDX-License-Identifier: Apache-2.0
"""The identity of a unit: what it says, where it belongs and, for an instance, what it was filled with.

The form is Checkbox's, so that the checksums of existing units are the same in both programs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from plainbox.units.record import Value

__all__ = ["checksum"]


def checksum(data: Mapping[str, Value], namespace: str | None, parameters: Mapping[str, str] | None = None) -> str:
    """Return the SHA-256 of the record as JSON (keys sorted, the namespace last), 64 hexadecimal digits."""
    # Listing units asks for no checksum and does not wait for OpenSSL to be loaded.
    import hashlib

    document = {key: data[key] for key in sorted(data)}
    if namespace is not None:
        document["namespace"] = namespace
    text = _compact(document)
    if parameters is not None:
        text += _compact({key: parameters[key] for key in sorted(parameters)})
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _compact(document: Mapping[str, Value]) -> str:
    return _encoder()(document)


@functools.cache
def _encoder() -> Callable[[object], str]:
    import json

    # json.dumps would make an encoder for each unit. Records come from files: nothing in them contains itself.
    return json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

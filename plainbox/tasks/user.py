# SPDX-License-Identifier: Apache-2.0
"""Who runs this process."""

from __future__ import annotations

import os

__all__ = ["get_current_username"]


def get_current_username() -> str:
    """Return the account name of the real user; the number as text where the system has no name for it."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

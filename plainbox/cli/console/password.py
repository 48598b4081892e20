# SPDX-License-Identifier: Apache-2.0
"""Asking the person at the terminal for the password that sudo wants, before the first job that needs it.

What was typed is returned and kept nowhere here.
"""

from __future__ import annotations

import getpass
import sys

from plainbox.cli.console.progress import Progress
from plainbox.cli.output import clean, say
from plainbox.tasks.user import get_current_username

__all__ = ["ask_password"]


def ask_password(progress: Progress, user: str, refusal: str | None) -> str | None:
    """Return what was typed, ``None`` for nothing; ``refusal`` is what sudo has said to the last answer."""
    with progress.paused():
        if refusal is None:
            say(f"A job runs as {clean(user)}, and sudo wants a password for that. Without one, such jobs are skipped.")
        else:
            say(f"Not taken ({clean(refusal)}).")
        try:
            return getpass.getpass(f"[sudo] password for {clean(get_current_username())}: ", stream=sys.stderr) or None
        except EOFError:
            say("")
            return None

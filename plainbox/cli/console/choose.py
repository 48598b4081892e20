# SPDX-License-Identifier: Apache-2.0
"""Asking a person to choose, with line prompts that any terminal can show."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from plainbox.cli.output import say
from plainbox.errors import UsageError

__all__ = ["ask", "can_ask", "choose", "confirm"]


def can_ask() -> bool:
    """Tell whether there is a person to ask: both ends are terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose(title: str, options: Sequence[str]) -> int:
    """Return the index of the option that was chosen; leaving without a choice is a :class:`UsageError`."""
    say(title)
    for number, option in enumerate(options, 1):
        say(f"  {number:>3}  {option}")
    while True:
        answer = ask(f"number (1 to {len(options)}, empty to leave): ")
        if not answer:
            raise UsageError("nothing was chosen")
        if answer.isdecimal() and 1 <= int(answer) <= len(options):
            return int(answer) - 1
        say(f"{answer} is none of them")


def confirm(question: str, *, default: bool) -> bool:
    """Return the answer to a yes-or-no question; the empty answer is the default, the end of the input is no."""
    choices = "Y/n" if default else "y/N"
    answer = ask(f"{question} [{choices}] ")
    if answer is None:
        return False
    return default if not answer else answer.lower() in ("y", "yes")


def ask(prompt: str) -> str | None:
    """Return what was typed, ``None`` at the end of the input."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        say("")
        return None
    return line.strip()

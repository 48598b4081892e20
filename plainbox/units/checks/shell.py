# SPDX-License-Identifier: Apache-2.0
"""Whether a shell can read a script, asked of the shell itself; nothing of the script is executed.

``bash -n`` parses and does no more: no command, no substitution and no start-up file is run. Starting it for each of
thousands of commands would take longer than all other checks together, so scripts are read many at a time, and only a
batch that is not good is divided until the bad ones are alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

__all__ = ["syntax_errors"]

_LIMIT_S = 20
_OPTIONS = {"bash": ("--norc", "--noprofile", "-O", "extglob")}
#: A script without any of these is a simple command, or there is nothing in it to be wrong about.
_CAN_BE_WRONG = re.compile(
    r"""['"`$(){}<>&|;\\]|(?:^|\s)(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|select|function|\[\[)(?:\s|$)"""
)
#: A script with a quote or a here-document that does not end swallows what follows it: such scripts are read alone.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?:(?<=\s)|^)\#[^\n]*|[^'"\\]""", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r"^.*?: (?:line )?([0-9]+): (.*)$")


def syntax_errors(scripts: Sequence[str], shell: str = "bash") -> dict[int, tuple[int, str]]:
    """Return (line counted from 0, what the shell says) for each script that the shell cannot read, by its index.

    A shell that is not there finds nothing.
    """
    program = shutil.which(shell)
    if program is None:
        return {}
    command = (program, *_OPTIONS.get(shell.rpartition("/")[2], ()), "-n")
    doubtful = [number for number, script in enumerate(scripts) if _CAN_BE_WRONG.search(script)]
    together = [number for number in doubtful if _ends_by_itself(scripts[number])]
    alone = set(doubtful).difference(together)
    found = dict(_in_batches(command, scripts, together))
    for number in alone:
        error = _read(command, scripts[number])
        if error is not None:
            found[number] = error
    return found


def _ends_by_itself(script: str) -> bool:
    return "<<" not in script and not _QUOTED.sub("", script) and not script.endswith("\\")


def _in_batches(
    command: Sequence[str], scripts: Sequence[str], numbers: Sequence[int]
) -> Iterator[tuple[int, tuple[int, str]]]:
    pending = [numbers]
    while pending:
        batch = pending.pop()
        if len(batch) > 1:
            if _read(command, "".join(f"{{ :\n{scripts[number]}\n}}\n" for number in batch)) is not None:
                pending += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        elif batch and (error := _read(command, scripts[batch[0]])) is not None:
            yield batch[0], error


def _read(command: Sequence[str], script: str) -> tuple[int, str] | None:
    """Return where and why the shell cannot read a script, ``None`` when it can."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape", suffix=".sh") as file:
        file.write(script)
        file.flush()
        try:
            # No variable of the caller reaches the shell: BASH_ENV would name a file to be run.
            done = subprocess.run(
                [*command, file.name],
                env={"LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 0, "the shell takes too long to read it"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    match = _MESSAGE.match(lines[0]) if lines else None
    if match is None:
        return 0, "the shell cannot read it"
    return max(int(match[1]) - 1, 0), match[2]

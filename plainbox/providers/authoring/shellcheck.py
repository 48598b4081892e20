# SPDX-License-Identifier: Apache-2.0
"""What shellcheck says of the commands in units, with the lines of the unit files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from plainbox.errors import FieldError, ProviderError
from plainbox.units import JobDefinition, TemplateUnit, Unit
from plainbox.units.interpolation import interpolate

__all__ = ["InlineCommand", "findings", "inline_commands"]

_SHELLS = ("sh", "bash", "dash", "ksh")


@attrs.frozen
class InlineCommand:
    """``shell`` is the name of the program that runs ``text``."""

    unit: Unit
    shell: str
    text: str


def inline_commands(units: Iterable[Unit]) -> Iterator[InlineCommand]:
    """Yield the commands of jobs and of templates for jobs; in the latter each parameter stands for its name."""
    for unit in units:
        text = unit.data.get("command")
        shell = os.path.basename(str(unit.data.get("shell") or "bash"))
        if not isinstance(text, str) or not text or shell not in _SHELLS:
            continue
        if isinstance(unit, JobDefinition):
            yield InlineCommand(unit, shell, text)
        elif isinstance(unit, TemplateUnit):
            try:
                filled = interpolate(text, {name: name for name in unit.parameter_names}, unit.template_engine)
            except FieldError:
                continue  # what the checks of the unit tell
            yield InlineCommand(unit, shell, str(filled))


def findings(program: str, commands: Iterable[InlineCommand], rules: Path) -> Iterator[str]:
    """Yield one line for each finding of shellcheck, ``program``; ``rules`` is its configuration, if there is one."""
    with tempfile.TemporaryDirectory(prefix="plainbox-shellcheck-") as directory:
        if rules.is_file():
            shutil.copyfile(rules, os.path.join(directory, ".shellcheckrc"))
        # One file for each command and one process for all: starting it takes longer than its work.
        by_name = {f"{number:06}.sh": command for number, command in enumerate(commands)}
        for name, command in by_name.items():
            Path(directory, name).write_text(f"# shellcheck shell={command.shell}\n{command.text}\n", encoding="utf-8")
        done = subprocess.run([program, "--format=json1", *by_name], cwd=directory, capture_output=True, check=False)
        try:
            comments = json.loads(done.stdout)["comments"]
        except (ValueError, KeyError):
            raise ProviderError(f"shellcheck failed: {done.stderr.decode(errors='replace').strip()}") from None
    for comment in sorted(comments, key=lambda comment: (comment["file"], comment["line"], comment["code"])):
        unit = by_name[comment["file"]].unit
        place = unit.origin_of("command", max(comment["line"] - 2, 0))
        yield f"{place}: {unit.id}: SC{comment['code']} {comment['level']}: {comment['message']}"

# SPDX-License-Identifier: Apache-2.0
"""What the tests of authoring commands share: source trees from text, and commands with their words recorded."""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.providers.authoring.command import Command, SourceTree

__all__ = ["MANAGE", "UNITS", "Said", "invoke", "write_tree"]

MANAGE = """\
#!/usr/bin/env python3
from plainbox.provider_manager import N_, setup

setup(
    name="org.example:camera",
    version="1.2",
    description=N_("Checks of the camera"),
    gettext_domain="org_example_camera",
)
"""
UNITS = """\
id: check
flags: simple
_summary: The camera is there
command: camera-check
estimated_duration: 1

unit: test plan
id: all
_name: All
include: check
"""


class Said:
    """An output that remembers."""

    def __init__(self) -> None:
        self.data: list[str] = []
        self.talk: list[str] = []
        self.warnings: list[str] = []

    def write(self, text: str) -> None:
        self.data.append(text)

    def say(self, text: str) -> None:
        self.talk.append(text)

    def warn(self, text: str, hint: str | None = None) -> None:
        self.warnings.append(text)


def write_tree(directory: Path, manage: str = MANAGE, units: str = UNITS, **files: str) -> Path:
    """Write a source tree; what is in bin or build/bin can be executed."""
    texts = {"manage.py": manage, "units/units.pxu": units, "bin/camera-check": "#!/bin/sh\necho checked\n", **files}
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.parent.name == "bin":
            path.chmod(0o755)
    return directory


def invoke(command: type[Command], directory: Path, *words: str) -> tuple[int, Said]:
    """Run a command on a source tree; return its exit code and what it said."""
    said = Said()
    parser = argparse.ArgumentParser()
    made = command(SourceTree.read(directory), said)
    made.register_arguments(parser)
    return made.invoked(parser.parse_args(words)) or 0, said

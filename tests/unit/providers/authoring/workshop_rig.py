# SPDX-License-Identifier: Apache-2.0
"""A source tree in a temporary directory, and its commands as a program calls them."""

from __future__ import annotations

import argparse
from pathlib import Path

import attrs

from plainbox.providers.authoring.command import SourceTree
from plainbox.providers.authoring.commands import load

__all__ = ["Workshop"]

_MANAGE = """\
from plainbox.provider_manager import setup, N_

setup(name="org.example:demo", version="1.0", description=N_("A demo"){more})
"""


@attrs.define
class Workshop:
    """Runs authoring commands on the provider in ``directory``, and keeps what they write and say."""

    directory: Path
    written: list[str] = attrs.field(factory=list)
    said: list[str] = attrs.field(factory=list)
    warned: list[str] = attrs.field(factory=list)

    def manage(self, more: str = ', gettext_domain="demo"') -> None:
        """Write the ``manage.py`` with further arguments of ``setup()``."""
        self.file("manage.py", _MANAGE.format(more=more))

    def file(self, relative: str, text: str, mode: int | None = None) -> Path:
        path = self.directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if mode is not None:
            path.chmod(mode)
        return path

    def text(self, relative: str) -> str:
        return (self.directory / relative).read_text(encoding="utf-8")

    def run(self, name: str, *options: str) -> int:
        """Run a command; what an earlier one has said is forgotten."""
        self.written.clear()
        self.said.clear()
        self.warned.clear()
        command = load(name)(SourceTree.read(self.directory), self)
        parser = argparse.ArgumentParser()
        command.register_arguments(parser)
        return command.invoked(parser.parse_args(options)) or 0

    # -- what commands call

    def write(self, text: str) -> None:
        self.written.append(text)

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str, hint: str | None = None) -> None:
        self.warned.append(f"{text} ({hint})" if hint else text)

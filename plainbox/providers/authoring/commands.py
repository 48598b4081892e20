# SPDX-License-Identifier: Apache-2.0
"""All authoring commands by name; the module of a command is imported when the command is used."""

from __future__ import annotations

import importlib
from types import MappingProxyType

from plainbox.providers.authoring.command import Command

__all__ = ["COMMANDS", "load"]

#: Command -> its class, in the module of the command's name, in the order in which help shows them.
COMMANDS = MappingProxyType(
    {
        "info": "InfoCommand",
        "validate": "ValidateCommand",
        "develop": "DevelopCommand",
        "install": "InstallCommand",
        "sdist": "SourceDistributionCommand",
        "i18n": "I18NCommand",
        "build": "BuildCommand",
        "clean": "CleanCommand",
        "packaging": "PackagingCommand",
        "test": "TestCommand",
    }
)


def load(name: str) -> type[Command]:
    """Return the class of the command with this name."""
    module = importlib.import_module(f"plainbox.providers.authoring.{name}")
    command: type[Command] = getattr(module, COMMANDS[name])
    return command

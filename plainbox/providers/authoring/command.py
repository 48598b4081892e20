# SPDX-License-Identifier: Apache-2.0
"""What all authoring commands share: the source tree that they work on, and how they read arguments and talk.

``plainbox provider`` and the ``manage.py`` of a provider run the same commands. Programs that extend a command import
it from :mod:`plainbox.provider_manager`; the names here that such programs use must stay.
"""

from __future__ import annotations

import argparse
import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import attrs

from plainbox.errors import ProviderError
from plainbox.providers.definition import ProviderDefinition, from_file, from_manage_py, read_manage_py
from plainbox.providers.provider import Provider
from plainbox.units.origin import Origin

if TYPE_CHECKING:
    from plainbox.providers.manage_py import ManagePy

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["Command", "Output", "SourceTree"]


class Output(Protocol):
    """Where a command writes: data to standard output, talk and warnings to standard error."""

    def write(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def warn(self, text: str, hint: str | None = None) -> None: ...


@attrs.frozen(slots=False)
class SourceTree:
    """A provider as its author has it.

    ``build_cmd`` and ``clean_cmd`` are shell commands, ``None`` for the usual ones; ``strict`` and ``deprecated`` say
    what ``validate`` looks at by itself. Of a ``manage.py`` that was read, not run: ``calculated`` are the keywords of
    ``setup()`` whose values are not known, ``extensions`` the classes that would replace commands.
    """

    definition: ProviderDefinition
    base_dir: Path
    build_cmd: str | None = None
    clean_cmd: str | None = None
    strict: bool = True
    deprecated: bool = True
    calculated: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    @classmethod
    def read(cls, directory: Path) -> SourceTree:
        """Return the tree in a directory with a ``manage.py``, which is read and never run, or with a ``.provider`` file.

        :class:`ProviderError` when there is no provider, or several.
        """
        if (directory / "manage.py").is_file():
            return cls.told(read_manage_py(directory), directory)
        if not directory.is_dir():
            raise ProviderError("no such directory", origin=Origin(str(directory)))
        files = sorted(directory.glob("*.provider"))
        if len(files) == 1:
            definition = from_file(files[0])
            return cls(definition, definition.base_dir)
        raise ProviderError(
            "several providers in one directory" if files else "no provider in it: no manage.py and no .provider file",
            origin=Origin(str(directory)),
            hint="go to the directory of a provider, or name it with --provider DIR",
        )

    @classmethod
    def told(cls, said: ManagePy, directory: Path) -> SourceTree:
        """Return the tree in a directory that a call of ``setup()`` describes; :class:`ProviderError` when it is wrong."""
        definition = from_manage_py(said, directory)
        return cls(
            definition,
            definition.base_dir,
            build_cmd=said.text("build_cmd"),
            clean_cmd=said.text("clean_cmd"),
            strict=said.switch("strict"),
            deprecated=said.switch("deprecated"),
            calculated=tuple(said.calculated),
            extensions=said.extensions,
        )

    @classmethod
    def unread(cls) -> SourceTree:
        """Return what stands for a tree while the options of commands are declared."""
        nothing: dict[str, None] = dict.fromkeys(("units_dir", "jobs_dir", "data_dir", "bin_dir", "locale_dir"))
        definition = ProviderDefinition(
            name="",
            namespace="",
            version="",
            description="",
            gettext_domain=None,
            base_dir=Path(),
            origin=Origin(""),
            **nothing,
        )
        return cls(definition, Path())

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def file_name(self) -> str:
        """The name as files have it: ``org.example.demo`` for ``org.example:demo``."""
        return self.name.replace(":", ".")

    @property
    def namespace(self) -> str:
        return self.definition.namespace

    @property
    def version(self) -> str:
        return self.definition.version

    @property
    def description(self) -> str:
        return self.definition.description

    @property
    def gettext_domain(self) -> str | None:
        return self.definition.gettext_domain

    @functools.cached_property
    def provider(self) -> Provider:
        return Provider(self.definition)


class Command:
    """One thing to do with a source tree.

    The docstring of a command is its help: the first line says what it does, the rest tells more. ``invoked`` returns
    the exit code, ``None`` for 0; wrong use and failed steps raise :class:`~plainbox.errors.PlainboxError`.
    """

    name: ClassVar[str] = ""

    def __init__(self, tree: SourceTree, output: Output) -> None:
        self.tree = tree
        self.output = output

    @property
    def definition(self) -> ProviderDefinition:
        return self.tree.definition

    def get_provider(self) -> Provider:
        return self.tree.provider

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of the command; none by default. The tree may be unread at that time."""

    def invoked(self, ns: argparse.Namespace) -> int | None:
        """Do it."""
        raise NotImplementedError

    def register_parser(self, subparsers: Subparsers) -> argparse.ArgumentParser | None:
        """Declare the command with its options. Extensions may declare theirs here, on what ``add_subcommand`` returns."""
        parser = self.add_subcommand(subparsers)
        self.register_arguments(parser)
        return parser

    def add_subcommand(self, subparsers: Subparsers) -> argparse.ArgumentParser:
        """Declare the command without options, and return the parser of its arguments."""
        summary, text = self.help_text()
        parser = subparsers.add_parser(
            self.command_name(),
            help=summary.replace("%", "%%"),
            description=f"{summary}\n\n{text}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(command=self)
        return parser

    @classmethod
    def command_name(cls) -> str:
        """Return the word on the command line; ``XCommand`` without a name of its own is ``x``."""
        return cls.name or cls.__name__.removesuffix("Command").lower()

    @classmethod
    def help_text(cls) -> tuple[str, str]:
        """Return the first line of the docstring, and the rest."""
        # Docstrings that were written for Checkbox mark with @EPILOG@ what is to come behind the options.
        text = inspect.cleandoc(cls.__doc__ or "").replace("@EPILOG@", "")
        summary, _, rest = text.partition("\n")
        return summary.rstrip("."), rest.strip()

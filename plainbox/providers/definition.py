# SPDX-License-Identifier: Apache-2.0
"""What a provider says of itself: a ``.provider`` file, or the call of ``setup()`` in its ``manage.py``.

The latter is read, never run: pointing Plainbox at a source tree executes nothing in it.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from plainbox.errors import ProviderError
from plainbox.units.origin import Origin

if TYPE_CHECKING:
    from plainbox.providers.manage_py import ManagePy

__all__ = [
    "IQN",
    "ProviderDefinition",
    "definition_of",
    "from_file",
    "from_manage_py",
    "from_source_tree",
    "read_manage_py",
]

_SECTION = "PlainBox Provider"
#: What only operators say, in configuration files: where jobs run, and with what around them.
_OF_OPERATORS = ("advice-chain", "advice-rules", "remote")
#: The form of a provider's name.
IQN = re.compile(r"([0-9]{4}\.)?[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+:[a-z][a-z0-9-]*")
_SIMPLEIQN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+-]*(~[A-Za-z0-9.+-]*)?")
_DOMAIN = re.compile(r"[a-z0-9_-]+")
_DIRECTORIES = ("units", "jobs", "data", "bin", "locale", "python")
#: The keywords of setup() that are part of the definition.
_SETUP = ("name", "namespace", "version", "description", "gettext_domain")


@attrs.frozen
class ProviderDefinition:
    """The directories are absolute and exist, or are ``None``."""

    name: str
    namespace: str
    version: str
    description: str
    gettext_domain: str | None
    base_dir: Path
    units_dir: Path | None
    jobs_dir: Path | None
    data_dir: Path | None
    bin_dir: Path | None
    locale_dir: Path | None
    origin: Origin
    #: The modules of function jobs.
    python_dir: Path | None = None


def from_file(path: Path) -> ProviderDefinition:
    """Return the definition in a ``.provider`` file; anything wrong with it is a :class:`ProviderError`."""
    origin = Origin(str(path))
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(_read(path, origin), source=str(path))
    except configparser.Error as error:
        raise ProviderError(
            f"not a provider definition: {error.message.splitlines()[0]}", origin=Origin(str(path), _line_of(error))
        ) from None
    if not parser.has_section(_SECTION):
        raise ProviderError(f"the section [{_SECTION}] is missing", origin=origin)
    for name in parser.sections():
        if name.partition(":")[0] in _OF_OPERATORS:
            raise ProviderError(f"a provider cannot define [{name}]", origin=origin, hint="configuration files can")
    section = dict(parser[_SECTION])
    if section.get("relocatable", "").lower() in ("true", "yes", "1", "on"):
        return definition_of(section, path.parent.resolve(), {}, origin)
    location = section.get("location")
    base = Path(location) if location else path.parent
    if location and not (base.is_absolute() and os.path.isdir(base)):
        raise ProviderError(
            f"location is no absolute path of a directory: {location!r}",
            origin=origin,
            hint="write 'relocatable = True' for a provider beside its definition",
        )
    given = {name: Path(section[f"{name}_dir"]) for name in _DIRECTORIES if section.get(f"{name}_dir")}
    for name, directory in given.items():
        if not (directory.is_absolute() and os.path.isdir(directory)):
            raise ProviderError(f"{name}_dir is no absolute path of a directory: {str(directory)!r}", origin=origin)
    if not location and not given:
        raise ProviderError("neither location nor relocatable nor any directory is given", origin=origin)
    return definition_of(section, base, given, origin, implied=bool(location))


def from_source_tree(directory: Path) -> ProviderDefinition:
    """Return the definition that the ``manage.py`` of a source tree gives to ``setup()``."""
    return from_manage_py(read_manage_py(directory), directory)


def read_manage_py(directory: Path) -> ManagePy:
    """Return what the ``manage.py`` of a source tree says; :class:`ProviderError` when that cannot be known."""
    from plainbox.providers import manage_py  # only source trees need the parser of Python

    path = directory / "manage.py"
    return manage_py.parse(_read_bytes(path, Origin(str(path))), path)


def from_manage_py(said: ManagePy, directory: Path) -> ProviderDefinition:
    """Return the definition that ``setup()`` is given; a part of it that is calculated is a :class:`ProviderError`."""
    for keyword in ("**", *_SETUP):
        if keyword in said.calculated:
            what = "** in the call" if keyword == "**" else keyword
            raise ProviderError(
                f"{what} of setup() is calculated; manage.py is read, not run",
                origin=said.calculated[keyword],
                hint="write it out, or run ./manage.py develop: from then on plainbox knows it, without --provider",
            )
    given = {keyword: text for keyword in _SETUP if (text := said.text(keyword))}
    return definition_of(given, directory.resolve(), {}, said.origin)


def _read(path: Path, origin: Origin) -> str:
    try:
        text = _read_bytes(path, origin).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProviderError("not a text file", origin=origin) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_bytes(path: Path, origin: Origin) -> bytes:
    try:
        if not path.is_file():
            # A pipe or a device would be read for ever.
            raise ProviderError("cannot be read: not a file", origin=origin)
        return path.read_bytes()
    except OSError as error:
        raise ProviderError(f"cannot be read: {error.strerror}", origin=origin) from None


def _line_of(error: configparser.Error) -> int | None:
    if isinstance(error, configparser.MissingSectionHeaderError | configparser.DuplicateOptionError):
        return error.lineno
    if isinstance(error, configparser.DuplicateSectionError):
        return error.lineno
    if isinstance(error, configparser.ParsingError) and error.errors:
        return error.errors[0][0]
    return None


def definition_of(
    section: Mapping[str, str], base: Path, given: Mapping[str, Path], origin: Origin, *, implied: bool = True
) -> ProviderDefinition:
    """Return the definition that these keys of a ``.provider`` file make; anything wrong is a :class:`ProviderError`.

    Directories that are not given are those below ``base`` that exist, if they are ``implied``.
    """
    name = section.get("name", "")
    namespace = section.get("namespace") or name.partition(":")[0]
    if not (IQN.fullmatch(name) or (section.get("namespace") and _SIMPLEIQN.fullmatch(name))):
        raise ProviderError(
            f"{name!r} is not a provider name",
            origin=origin,
            hint="write it like org.example:name, or give a namespace",
        )
    if not _NAMESPACE.fullmatch(namespace):
        raise ProviderError(f"{namespace!r} is not a namespace", origin=origin, hint="write it like org.example")
    domain = section.get("gettext_domain")
    if domain and not _DOMAIN.fullmatch(domain):
        raise ProviderError(f"{domain!r} is not a gettext domain", origin=origin, hint="write it like my-provider")
    version = section.get("version", "")
    if not _VERSION.fullmatch(version):
        raise ProviderError(f"{version!r} is not a version", origin=origin, hint="write it like 1.0")
    directories = dict(given)
    if implied:
        for directory in _DIRECTORIES:
            if directory not in directories and os.path.isdir(base / directory):
                directories[directory] = base / directory
        if "locale" not in directories and os.path.isdir(base / "build" / "mo"):
            directories["locale"] = base / "build" / "mo"
    return ProviderDefinition(
        name=name,
        namespace=namespace,
        version=version,
        description=section.get("description", ""),
        gettext_domain=domain or None,
        base_dir=base,
        units_dir=directories.get("units"),
        jobs_dir=directories.get("jobs"),
        data_dir=directories.get("data"),
        bin_dir=directories.get("bin"),
        locale_dir=directories.get("locale"),
        origin=origin,
        python_dir=directories.get("python"),
    )

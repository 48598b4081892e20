# SPDX-License-Identifier: Apache-2.0
"""What a provider says of itself: a ``.provider`` file, or the call of ``setup()`` in its ``manage.py``.

The latter is read, never run: pointing Plainbox at a source tree executes nothing in it.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import attrs

from plainbox import __version__
from plainbox.errors import ProviderError
from plainbox.units.origin import Origin

__all__ = ["IQN", "ProviderDefinition", "definition_of", "from_file", "from_source_tree"]

_SECTION = "PlainBox Provider"
#: The form of a provider's name.
IQN = re.compile(r"([0-9]{4}\.)?[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+:[a-z][a-z0-9-]*")
_SIMPLEIQN = re.compile(r"[a-z0-9.-]+")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+-]*(~[A-Za-z0-9.+-]*)?")
_DOMAIN = re.compile(r"[a-z0-9_-]+")
_DIRECTORIES = ("units", "jobs", "data", "bin", "locale")


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
    path = directory / "manage.py"
    origin = Origin(str(path))
    text = _read(path, origin)
    try:
        with warnings.catch_warnings():
            # What Python thinks of the style of somebody's manage.py is their business.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise ProviderError(f"not a Python file: {error}", origin=origin) from None
    except (MemoryError, RecursionError):
        raise ProviderError("not a Python file: nested too deeply", origin=origin) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name == "setup":
                constants = _constants(tree)
                given = {
                    item.arg: word for item in node.keywords if item.arg and (word := _text(item.value, constants))
                }
                return definition_of(given, directory.resolve(), {}, Origin(str(path), node.lineno))
    raise ProviderError("no call of setup() in it", origin=origin)


def _read(path: Path, origin: Origin) -> str:
    try:
        if not path.is_file():
            # A pipe or a device would be read for ever.
            raise ProviderError("cannot be read: not a file", origin=origin)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ProviderError(f"cannot be read: {error.strerror}", origin=origin) from None
    except UnicodeDecodeError:
        raise ProviderError("not a text file", origin=origin) from None


def _line_of(error: configparser.Error) -> int | None:
    if isinstance(error, configparser.MissingSectionHeaderError | configparser.DuplicateOptionError):
        return error.lineno
    if isinstance(error, configparser.DuplicateSectionError):
        return error.lineno
    if isinstance(error, configparser.ParsingError) and error.errors:
        return error.errors[0][0]
    return None


def _constants(tree: ast.Module) -> Mapping[str, str]:
    """Return the texts that a module gives names to, and those that Plainbox gives to anybody."""
    named = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {"plainbox.__version__": __version__, **named}


def _text(node: ast.expr, constants: Mapping[str, str]) -> str | None:
    """Return the text of a literal or of a name for one, also inside a marker for translation such as ``N_("...")``."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    return constants.get(ast.unparse(node)) if isinstance(node, (ast.Name, ast.Attribute)) else None


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
    if "::" in namespace or namespace.split() != [namespace]:
        raise ProviderError(f"{namespace!r} is not a namespace", origin=origin)
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
    )

# SPDX-License-Identifier: Apache-2.0
"""``plainbox translate``.

Rewrite PXU unit files as YAML, next to them: units/jobs.pxu becomes units/jobs.yaml. The YAML file is put in place only
after the units in it were found to be the same, field by field. The PXU file stays unless --remove is given.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from plainbox.cli.output import complain, say, write
from plainbox.errors import PlainboxError, UsageError

_YAML = (".yaml", ".yml")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="a PXU file, or a directory: all .pxu files below it"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--stdout", action="store_true", help="print the YAML text, write no file")
    output.add_argument("--check", action="store_true", help="only tell whether the files can be translated")
    output.add_argument("--remove", action="store_true", help="delete each PXU file that was translated")
    parser.add_argument("--force", action="store_true", help="overwrite YAML files that are there already")


def run(arguments: argparse.Namespace) -> int:
    from plainbox.units.translation import translate

    code = 0
    separator = ""
    made: set[Path] = set()
    for path in _files(arguments.files):
        try:
            translation = translate(path)
            units = f"{len(translation.after)} unit{'s' * (len(translation.after) != 1)}"
            if arguments.stdout:
                write(separator + translation.text.removesuffix("\n"))
                separator = "---\n"
            elif arguments.check:
                say(f"{path}: can be translated, {units}")
            else:
                target = path.with_suffix(".yaml")
                # Of x.pxu and x.txt one must not take the place of the other.
                _put(translation.text, target, like=path, force=arguments.force and target not in made)
                made.add(target)
                if arguments.remove:
                    path.unlink()
                say(f"{path} -> {target}: {units}")
        except PlainboxError as error:
            # One bad file keeps no other from being translated.
            complain(error)
            code = error.exit_code
    if not (code or arguments.stdout or arguments.check or arguments.remove):
        say("The PXU files define the same units again: delete them when you are content (--remove does it).")
    return code


def _files(named: list[Path]) -> list[Path]:
    """Return the files that are meant, each once; a name that means none ends the command before anything is written."""
    files: list[Path] = []
    for path in named:
        if path.suffix in _YAML:
            raise UsageError(f"{str(path)!r} is YAML already")
        found = sorted(path.rglob("*.pxu")) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"there is no .pxu file below {str(path)!r}")
        files += found
    return list(dict.fromkeys(files))


def _put(text: str, target: Path, *, like: Path, force: bool) -> None:
    """Write the file in one step, with the rights of the one that it is made of."""
    if target.exists() and not force:
        raise UsageError(f"{str(target)!r} is there already", hint="--force overwrites one of an earlier time")
    fd, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), like.stat().st_mode & 0o777)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise

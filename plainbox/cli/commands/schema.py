# SPDX-License-Identifier: Apache-2.0
"""``plainbox schema``.

Print the JSON Schema of YAML unit files: of all kinds of units, or of one. Write it into a file, and editors with a YAML
language server check units and complete their fields. A unit names the schema in a comment before it,
'# yaml-language-server: $schema=../unit.schema.json'; in VS Code the setting yaml.schemas names it for all files at once:
{"unit.schema.json": "units/**/*.yaml"}.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from plainbox.cli.output import write
from plainbox.errors import UsageError
from plainbox.units import KINDS, Unit
from plainbox.units.fields import closest


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", metavar="KIND", nargs="?", help="the kind of unit, such as job or test-plan (default: all)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write into this file, not to standard output"
    )


def run(arguments: argparse.Namespace) -> int:
    from plainbox.units.schema import schema

    text = json.dumps(schema(_kinds(arguments.kind)), indent=2)
    if arguments.output is None:
        write(text)
    else:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    return 0


def _kinds(word: str | None) -> dict[str, type[Unit]]:
    """Return the kinds that are meant; their blanks may be written as dashes."""
    if word is None:
        return dict(KINDS)
    found = {kind: cls for kind, cls in KINDS.items() if kind.replace(" ", "-") == word.lower().replace(" ", "-")}
    if not found:
        known = [kind.replace(" ", "-") for kind in KINDS]
        raise UsageError(
            f"there is no kind of unit {word!r}", hint=closest(word, known) or f"known are {', '.join(known)}"
        )
    return found

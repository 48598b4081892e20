# SPDX-License-Identifier: Apache-2.0
"""The texts of a new provider: small, commented, without a finding of ``plainbox lint --strict``, and it runs anywhere.

``@NAME@`` is the name of the provider, ``@SHORT@`` the part behind its colon, ``@DOMAIN@`` its gettext domain.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["BASE", "EXECUTABLE", "PROGRAMS", "UNITS"]

#: What every provider has.
BASE: Mapping[str, str] = {
    "manage.py": """\
#!/usr/bin/env python3
from plainbox.provider_manager import N_, setup

setup(
    name="@NAME@",
    version="1.0",
    description=N_("Checks of @SHORT@"),
    gettext_domain="@DOMAIN@",
)
""",
    "README.md": """\
# @SHORT@

Checks that Plainbox runs. In this directory:

    plainbox lint                  # are the units right?
    plainbox run --provider .      # run the test plan
    plainbox provider test         # do the programs work?
    plainbox provider develop      # let plainbox find the provider from everywhere
    plainbox provider --help       # install, sdist, i18n ...

| Directory | Holds |
|---|---|
| `units` | what there is to run: jobs, templates, test plans and so on |
| `bin` | programs; commands of jobs call them by name |
| `data` | files that jobs need; they find them in `$PLAINBOX_PROVIDER_DATA` |
| `tests` | tests of the programs |
| `po` | translations |
""",
    ".gitignore": """\
/build/
/dist/
__pycache__/
""",
}

#: What the examples use.
PROGRAMS: Mapping[str, str] = {
    "bin/@SHORT@-free-space": """\
#!/bin/sh
# Fails when fewer MiB are free for temporary files than the argument asks for.
set -eu
wanted=$1
free=$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print int($4 / 1024) }')
echo "$free MiB are free, $wanted MiB are wanted"
test "$free" -ge "$wanted"
""",
    "data/free-space-mib": "1\n",
    "tests/test_free_space.py": '''\
"""The program bin/@SHORT@-free-space."""

import subprocess
import unittest
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "bin" / "@SHORT@-free-space"


def exit_code(wanted):
    return subprocess.run([PROGRAM, wanted], check=False).returncode


class FreeSpaceTests(unittest.TestCase):
    def test_there_is_some(self):
        """No space at all is always there."""
        self.assertEqual(exit_code("0"), 0)

    def test_there_is_not_enough(self):
        """An impossible wish fails."""
        self.assertEqual(exit_code("999999999999"), 1)
''',
}

#: How the names of programs begin.
EXECUTABLE = ("manage.py", "bin/")

#: The examples; in YAML they are what ``plainbox translate`` makes of them.
UNITS: Mapping[str, str] = {
    "units/jobs.pxu": """\
# A job with flags: simple is a shell script; its exit code decides.
id: memory
flags: simple
_summary: The kernel tells how much memory there is
category_id: machine
estimated_duration: 1
command: grep '^MemTotal:' /proc/meminfo

# Programs in bin can be called by name; data is in $PLAINBOX_PROVIDER_DATA.
id: free-space
flags: simple
_summary: There is space for temporary files
category_id: machine
estimated_duration: 1
command:
 @SHORT@-free-space "$(cat "$PLAINBOX_PROVIDER_DATA/free-space-mib")"
""",
    "units/interfaces.pxu": """\
# A resource prints records of "name: value" lines, apart by empty lines.
id: interface
plugin: resource
_summary: Network interfaces of this machine
category_id: machine
estimated_duration: 1
command:
 for path in /sys/class/net/*; do
     [ -e "$path/mtu" ] || continue
     echo "name: ${path##*/}"
     echo "mtu: $(cat "$path/mtu")"
     echo
 done

# A template becomes one job for each record that its filter accepts.
unit: template
template-id: interface-mtu
template-resource: interface
template-filter: interface.mtu != ''
_template-summary: Each network interface can send packets of 68 bytes
id: interface-{name}/mtu
flags: simple
_summary: The network interface {name} can send packets of 68 bytes
category_id: machine
estimated_duration: 1
command: test '{mtu}' -ge 68
""",
    "units/screen.pxu": """\
# A manifest entry is what only a person can tell about the machine: plainbox manifest ask asks for it.
unit: manifest entry
id: has_screen
_name: A screen
_prompt: Does this machine have the following?
value-type: bool

# A manual job is done and judged by a person; it is skipped where nobody is.
id: screen-colours
plugin: manual
_summary: The screen shows colours
category_id: machine
estimated_duration: 30
imports: from com.canonical.plainbox import manifest
requires: manifest.has_screen == 'True'
_purpose: Shows that the screen is able to show colours.
_steps:
 1. Look at the screen.
 2. Open a picture, if you see black and white only.
_verification: Are there colours?
""",
    "units/plan.pxu": """\
unit: category
id: machine
_name: This machine

# What "plainbox run" runs, in this order. Templates are named by their template-id.
unit: test plan
id: @SHORT@
_name: @SHORT@: all checks
_description: Everything that this provider checks.
bootstrap_include: interface
include:
 memory
 free-space
 interface-mtu
 screen-colours
""",
}

# SPDX-License-Identifier: Apache-2.0
"""Runs the measurements and prints them as a table, or as JSON with ``--json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import runs, sessions, units

ROOMS = {"units": units, "sessions": sessions, "runs": runs}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="what to measure; everything by default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # What is loaded in this process leaves the user's cache alone; the programs that are measured have their own.
    os.environ["PLAINBOX_NO_CACHE"] = "1"
    found = []
    for name in arguments.rooms or ROOMS:
        with tempfile.TemporaryDirectory(prefix="plainbox-bench-") as home:
            for figure in ROOMS[name].figures(Path(home)):
                found.append(figure)
                if not arguments.json:
                    goal = (
                        ""
                        if figure.goal is None
                        else f"{'ok' if figure.value <= figure.goal else 'OVER':>5} {figure.goal:g}"
                    )
                    print(f"{figure.name:<66} {figure.value:>10.3f} {figure.unit:<4}{goal}", flush=True)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    if arguments.json:
        json.dump({"machine": machine, "figures": [figure._asdict() for figure in found]}, sys.stdout, indent=2)
    else:
        print(f"{machine}; load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

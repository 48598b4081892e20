# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.fuzz [--seconds N] [TARGET...]``: throw arbitrary bytes at everything that reads what others wrote.

Each target runs in a process of its own. What it has found out about the code is kept below ``build/fuzz`` and makes the
next run begin where this one ended. An input that brings a target down, or keeps it busy for ten seconds, is saved there;
``--reproduce FILE TARGET`` runs it again. The exit code is 1 when there was one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

from tests.fuzz.fuzz_targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
_LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=4096")


@attrs.frozen
class Outcome:
    executions: int
    per_second: float
    finds: tuple[Path, ...]
    output: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split(": ", 1)[1])
    parser.add_argument("targets", metavar="TARGET", nargs="*", help=f"all by default: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--directory", type=Path, default=ROOT / "build" / "fuzz", help="where inputs are kept")
    parser.add_argument("--reproduce", metavar="FILE", type=Path, help="only run this input")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    names = arguments.targets or list(TARGETS)
    if arguments.reproduce:
        return _run(names[0], str(arguments.reproduce.resolve()), output=None).returncode
    found = 0
    for name in names:
        outcome = _fuzz(name, arguments.directory, arguments.seconds)
        print(f"{name:12} {outcome.executions:9} executions  {outcome.per_second:8.0f}/s  {len(outcome.finds)} finds")
        for path in outcome.finds:
            found += 1
            print(f"  {path}\n  again: python -m tests.fuzz --reproduce {path} {name}")
        if outcome.finds:
            print(outcome.output)
    return 1 if found else 0


def _fuzz(name: str, directory: Path, seconds: int) -> Outcome:
    """Run one target; what it says is shown only when it has found something."""
    inputs, finds = directory / name / "inputs", directory / name / "finds"
    for path in (inputs, finds):
        path.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (inputs / f"seed-{number}").write_text(seed, encoding="utf-8")
    words = directory / name / "words"
    words.write_text(
        "".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words.split("|") if word), encoding="ascii"
    )
    before = set(finds.iterdir())
    started = time.monotonic()
    options = (*_LIMITS, f"-dict={words}", f"-max_total_time={seconds}", f"-artifact_prefix={finds}/")
    done = _run(name, str(inputs), *options, output=subprocess.PIPE)
    elapsed = time.monotonic() - started
    new = tuple(sorted(set(finds.iterdir()) - before))
    if done.returncode and not new:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    executions = max(map(int, re.findall(r"^#([0-9]+)\t", done.stderr, re.MULTILINE)), default=0)
    return Outcome(executions, executions / elapsed, new, f"{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _run(name: str, *options: str, output: int | None) -> subprocess.CompletedProcess[str]:
    """Run a target with a directory for its files, which it writes thousands of times a second."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="plainbox-fuzz-", dir=memory) as directory:
        return subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzz_one", name, *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": directory},
            stdout=output,
            stderr=output,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or c == " " else f"\\x{ord(c):02x}" for c in word)


if __name__ == "__main__":
    sys.exit(main())

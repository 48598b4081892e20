# SPDX-License-Identifier: Apache-2.0
"""The long runs of the rigs: ``python -m tests.crash [RIG ...]``.

Each rig runs in a process of its own, two at a time, and says what it found in a line; the exit code is 1 when any of them
is not good. The seed is printed: the same one makes the same trials.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import json
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(place) for place in (_HERE, _HERE.parent, _HERE.parent / "e2e", _HERE.parent.parent)]

from scale import Figures  # noqa: E402

__all__ = ["RIGS", "LongRig", "main"]


@attrs.frozen
class LongRig:
    """A module with a function ``run``, how many trials a long run has, and what one trial is."""

    trials: int
    what: str
    alone: bool = False


RIGS = {
    "kills": LongRig(1000, "kills"),
    "crowd": LongRig(400, "kills of runs with several jobs at work"),
    "calls": LongRig(100_000, "failing calls, each at the most once"),
    "output": LongRig(2048, "MiB of output"),
    "owners": LongRig(1600, "turns"),
    "disk": LongRig(24, "scenarios"),
    "texts": LongRig(20, "sessions"),
    "steps": LongRig(100_000, "places and ways to fail, each at the most once"),
    "images": LongRig(20_000, "power-loss images"),
    "bytes": LongRig(10_000, "mutations"),
    "model": LongRig(5000, "sequences of operations"),
    "clockjumps": LongRig(2000, "sessions whose clock jumps"),
    "soak": LongRig(150, "rounds, unless there is a number of minutes"),
    # Says how much slower a writer is, so nothing else should run.
    "readers": LongRig(10_000, "saves", alone=True),
}


#: The processes of the rigs.
_running: list[subprocess.Popen[str]] = []


def main(words: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    unknown = [name for name in arguments.rigs if name not in RIGS]
    if unknown:
        print(f"no rig {', '.join(unknown)}; there are {', '.join(RIGS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if arguments.single:
        return _run_single(arguments)
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    chosen = [name for name in RIGS if not arguments.rigs or name in arguments.rigs]
    missing = [name for name in chosen if importlib.util.find_spec(name) is None]
    if not arguments.json:
        print(f"seed {seed}" + (f"; not there: {', '.join(missing)}" if missing else ""), flush=True)
    found = _run_all([name for name in chosen if name not in missing], arguments, seed)
    _print_total(found, seed, missing, as_json=arguments.json)
    return 0 if found and all(figures.good for figures, _ in found) else 1


def _parser() -> argparse.ArgumentParser:
    rigs = "\n".join(f"  {name:<11} {rig.trials:>7} {rig.what}" for name, rig in RIGS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash",
        description="Long runs of the rigs that kill, fill, cut and flip.",
        epilog=f"rigs and their trials:\n{rigs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rigs", nargs="*", metavar="RIG", help="run only these")
    parser.add_argument("--trials", type=int, metavar="N", help="so many trials in each rig")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="let the soak go on for so long (10 with 'soak' alone and no --trials)",
    )
    parser.add_argument("--seed", type=int, metavar="S", help="repeat the run that has printed this seed")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument("--single", metavar="DIRECTORY", type=Path, help=argparse.SUPPRESS)
    return parser


def _run_single(arguments: argparse.Namespace) -> int:
    """Run one rig in this process and print its figures as JSON."""
    [name] = arguments.rigs
    module = importlib.import_module(name)
    extra = {"minutes": arguments.minutes} if "minutes" in inspect.signature(module.run).parameters else {}
    trials = arguments.trials if arguments.trials is not None else RIGS[name].trials
    arguments.single.mkdir()
    # What the store warns of is what the rig does to it.
    logging.getLogger("plainbox").setLevel(logging.CRITICAL)
    figures = module.run(trials=trials, seed=arguments.seed, base=arguments.single, **extra)
    print(json.dumps(attrs.asdict(figures)))
    return 0


def _run_all(names: Sequence[str], arguments: argparse.Namespace, seed: int) -> list[tuple[Figures, float]]:
    together = [name for name in names if not RIGS[name].alone]
    base = Path(tempfile.mkdtemp(prefix="plainbox-crash-"))
    if arguments.minutes is None and arguments.trials is None and arguments.rigs == ["soak"]:
        arguments.minutes = 10.0

    def run(name: str) -> tuple[Figures, float]:
        began = time.monotonic()
        figures = _run_apart(name, arguments, seed, base / name)
        took_s = time.monotonic() - began
        if not arguments.json:
            print(f"{figures.line()}  ({took_s:.0f} s)", flush=True)
        return figures, took_s

    try:
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                found = list(pool.map(run, together))
            except BaseException:
                # Whoever ends this ends the rigs: they have mounts and processes of their own to clear away.
                pool.shutdown(wait=False, cancel_futures=True)
                for process in _running:
                    process.terminate()
                raise
        return found + [run(name) for name in names if RIGS[name].alone]
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _run_apart(name: str, arguments: argparse.Namespace, seed: int, base: Path) -> Figures:
    """Run a rig in a process of its own; a rig that falls over is not good either."""
    words = [sys.executable, str(_HERE / "__main__.py"), name, "--seed", str(seed), "--single", str(base)]
    for option in ("trials", "minutes"):
        value = getattr(arguments, option)
        words += [] if value is None else [f"--{option}", str(value)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _running.append(process)
        stdout, stderr = process.communicate()
    try:
        figures = json.loads(stdout.splitlines()[-1])
        return Figures(**{**figures, "violations": tuple(figures["violations"])})
    except (IndexError, ValueError, TypeError):
        last = stderr.strip().splitlines()[-1:] or [f"exit {process.returncode}"]
        return Figures(name, 0, violations=(f"the rig fell over: {last[0]}",))


def _print_total(found: Sequence[tuple[Figures, float]], seed: int, missing: Sequence[str], *, as_json: bool) -> None:
    by_name = {figures.name: figures.trials for figures, _ in found}
    total = {
        "kills": sum(figures.kills for figures, _ in found),
        "images": by_name.get("images", 0),
        "acknowledged": sum(figures.acknowledged for figures, _ in found),
        "lost": sum(figures.lost for figures, _ in found),
        "unreadable": sum(figures.unreadable for figures, _ in found),
    }
    if as_json:
        rigs = [{**attrs.asdict(figures), "good": figures.good, "seconds": round(took, 1)} for figures, took in found]
        document = {"schema": "plainbox.crash/1", "seed": seed, "rigs": rigs, "missing": list(missing), "total": total}
        print(json.dumps(document, indent=2))
        return
    print(
        f"total: {total['kills']} kills, {total['images']} power-loss images, {total['acknowledged']} acknowledged, "
        f"{total['lost']} lost, {total['unreadable']} unreadable"
    )


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The command of the long runs, with few trials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.crash", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_rigs_that_are_good() -> None:
    """The figures of each rig and their total are a document; good rigs are exit code 0."""
    done = _run("owners", "--trials", "16", "--seed", "5", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["seed"] == 5
    assert [(rig["name"], rig["good"]) for rig in document["rigs"]] == [("owners", True)]
    assert document["total"]["acknowledged"] == 16


def test_a_rig_without_trials_is_not_good() -> None:
    """Having tried nothing is exit code 1; the lines say what was tried, and the seed."""
    done = _run("kills", "--trials", "0", "--seed", "5")
    assert done.returncode == 1
    assert done.stdout.startswith("seed 5")
    assert "BAD" in done.stdout
    assert "total: 0 kills" in done.stdout


def test_a_rig_that_is_not_there() -> None:
    """A name that no rig has is refused."""
    done = _run("nosuchrig")
    assert done.returncode == 2
    assert "nosuchrig" in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""Where the scripts of the machine provider are, and what the fixtures that run them look like."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

MACHINE = Path(__file__).resolve().parents[2] / "providers" / "machine"


class RunScript(Protocol):
    """Run a script with an environment that holds next to nothing, the given one on top."""

    def __call__(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]: ...


class MakeRoot(Protocol):
    """Make a directory that stands for ``/``, from paths and the texts of their files."""

    def __call__(self, files: Mapping[str, str] = ..., /) -> str: ...

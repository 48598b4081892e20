# SPDX-License-Identifier: Apache-2.0
"""What jobs leave that is hard to be rid of."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DEPTH", "nested", "ordinary_rights"]

#: Deeper than Python recurses, than a process has descriptors and than a path may be long.
DEPTH = 3000


@contextlib.contextmanager
def nested(top: Path) -> Iterator[None]:
    """Make directories in each other below ``top``, with a file in the last one; remove what is left of it at the end."""
    top.mkdir(parents=True, exist_ok=True)
    here = os.open(top, os.O_RDONLY)
    try:
        for _ in range(DEPTH):
            os.mkdir("d", dir_fd=here)
            child = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = child
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)
    try:
        yield
    finally:
        # The cleaning of temporary directories would stumble over it.
        subprocess.run(["rm", "-rf", "--", str(top)], check=True)


def ordinary_rights() -> list[str]:
    """Return what a command begins with that has no other rights than the modes of files give, also for root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "root needs setpriv for this"
    without = "-dac_override,-dac_read_search"
    return [setpriv, "--bounding-set", without, "--inh-caps", without]

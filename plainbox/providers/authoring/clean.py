# SPDX-License-Identifier: Apache-2.0
"""``clean``: removes what ``build`` has made."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess

from plainbox.errors import ProviderError
from plainbox.providers.authoring.command import Command
from plainbox.units.origin import Origin

__all__ = ["CleanCommand"]


class CleanCommand(Command):
    """remove what build has made

    Removes build/bin, or runs the command that setup() names as clean_cmd: a shell command, run in the directory of the
    provider with PLAINBOX_SRC_DIR=src.
    """

    name = "clean"

    def invoked(self, ns: argparse.Namespace) -> int | None:
        if self.tree.clean_cmd is None:
            self._remove_build()
            return 0
        done = subprocess.run(  # noqa: S602 - the author's own command, which this command is there to run
            self.tree.clean_cmd,
            shell=True,
            cwd=self.tree.base_dir,
            env={**os.environ, "PLAINBOX_SRC_DIR": "src"},
            check=False,
        )
        if done.returncode:
            raise ProviderError(
                f"clean_cmd failed with exit code {done.returncode}: {self.tree.clean_cmd}",
                origin=self.definition.origin,
            )
        return 0

    def _remove_build(self) -> None:
        built = self.tree.base_dir / "build" / "bin"
        if not os.path.lexists(built):
            return
        if built.resolve() != self.tree.base_dir.resolve() / "build" / "bin":
            raise ProviderError("leads out of the provider; nothing is removed", origin=Origin(str(built)))
        shutil.rmtree(built)
        self.output.say(f"removed {built}")

# SPDX-License-Identifier: Apache-2.0
"""The scripts of the bundled providers, run as a job runs them, on this machine or on one made of files."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from machine_scripts import MACHINE, MakeRoot, RunScript


@pytest.fixture(scope="session")
def search_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a ``PATH`` on which Python is the running one with nothing but its standard library."""
    folder = tmp_path_factory.mktemp("bin")
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return os.pathsep.join([str(folder), os.defpath])


@pytest.fixture
def run_script(search_path: str) -> RunScript:
    def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = MACHINE / "bin" / name if "/" not in name else Path(name)
        return subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env={"PATH": search_path, **environment},
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def make_root(tmp_path: Path) -> MakeRoot:
    def make(files: Mapping[str, str] = types.MappingProxyType({}), /) -> str:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return str(root)

    return make


@pytest.fixture
def altered_script(tmp_path: Path) -> Callable[..., str]:
    """Return the path of a copy in which one thing is different: the way to have a machine that is broken."""

    def alter(name: str, text: str, replacement: str) -> str:
        folder = tmp_path / "altered"
        folder.mkdir(exist_ok=True)
        resource = folder / "machine-resource"
        if not resource.exists():
            resource.symlink_to(MACHINE / "bin" / "machine-resource")
        source = (MACHINE / "bin" / name).read_text(encoding="utf-8")
        assert source.count(text) == 1, f"{name} no longer holds this once: {text}"
        path = folder / name
        path.write_text(source.replace(text, replacement), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return alter


@pytest.fixture
def script_module() -> Callable[[str], types.ModuleType]:
    """Return the code of a script as a module, without running it or leaving compiled code beside it."""

    def load(name: str) -> types.ModuleType:
        path = MACHINE / "bin" / name
        module = types.ModuleType(name.replace("-", "_"))
        module.__file__ = str(path)
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
        return module

    return load

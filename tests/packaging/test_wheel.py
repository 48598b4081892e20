# SPDX-License-Identifier: Apache-2.0
"""What is built from the tree works where the tree is not: the wheel, and the source archive with the wheel made of it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Building and installing asks pip's index for what is not there yet.
pytestmark = pytest.mark.timeout(600)

_NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    ".venv",
    "build",
    "dist",
    "_build",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "plainbox-report.html",
)


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def checked(*command: str | Path, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_of_the_tree(target: Path) -> Path:
    """Copy what belongs to the repository: what git knows or would not ignore, or without git all but what is made."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    if listed.returncode != 0:
        return shutil.copytree(ROOT, target, symlinks=True, ignore=_NOT_SOURCE)
    for name in filter(None, listed.stdout.split("\0")):
        if os.path.lexists(ROOT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def built_wheel(source: Path, target: Path) -> Path:
    # Without isolation nothing has to be fetched; setuptools before 70 builds wheels with the help of another package.
    can_build = importlib.util.find_spec("setuptools") is not None and (
        importlib.util.find_spec("setuptools.command.bdist_wheel") is not None
        or importlib.util.find_spec("wheel") is not None
    )
    here = ["--no-build-isolation"] if can_build else []
    checked(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *here, "-w", target, source, cwd=target.parent)
    [wheel] = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_tree(tmp_path_factory.mktemp("tree") / "plainbox")


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def source_archive(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(target)!r})"
    checked(sys.executable, "-c", build, cwd=tree)
    [archive] = target.glob("*.tar.gz")
    return archive


def contents(wheel: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and the bytes of each file of the package."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            item.filename: (item.external_attr >> 16, archive.read(item))
            for item in archive.infolist()
            if ".dist-info/" not in item.filename
        }


def provider_files(tree: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(tree / "providers")): path for path in (tree / "providers").rglob("*") if path.is_file()
    }


def test_wheel_carries_the_bundled_providers(wheel: Path, tree: Path) -> None:
    """Each file of the bundled providers is in the wheel, the same, and executable where it is in the tree."""
    packed = contents(wheel)
    expected = provider_files(tree)
    assert len(expected) > 10
    assert {name for name in packed if name.startswith("plainbox/bundled/")} == {
        f"plainbox/bundled/{name}" for name in expected
    }
    for name, path in expected.items():
        mode, data = packed[f"plainbox/bundled/{name}"]
        assert data == path.read_bytes()
        assert bool(mode & stat.S_IXUSR) == os.access(path, os.X_OK), name


def test_wheel_carries_the_package(wheel: Path, tree: Path) -> None:
    """Every module, template and data file and the marker for type checkers are in the wheel, and nothing else."""
    packed = {name for name in contents(wheel) if not name.startswith("plainbox/bundled/")}
    modules = {str(path.relative_to(tree)) for path in (tree / "plainbox").rglob("*.py") if "bundled" not in path.parts}
    data = {
        str(path.relative_to(tree))
        for folder in ("exporters/templates", "data")
        for path in (tree / "plainbox" / folder).iterdir()
    }
    assert any(name.endswith(".service") for name in data)
    assert packed == modules | data | {"plainbox/py.typed"}


def test_wheel_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed with what it requires, the command runs the bundled checks from another directory and reports."""
    checked(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    checked(sys.executable, "-m", "pip", "--python", python, "install", "-q", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plainbox = tmp_path / "venv" / "bin" / "plainbox"
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": ""}
    plans = run(plainbox, "list", "plans", cwd=elsewhere, **home)
    assert "org.plainbox::machine-automated" in plans.stdout, plans.stderr
    done = run(plainbox, "run", "--no-input", "machine-quick", "-o", "html:x.html", cwd=elsewhere, **home)
    # A machine with a defect is no defect of the wheel.
    assert done.returncode in (0, 1), done.stderr
    assert (elsewhere / "x.html").read_text(encoding="utf-8").startswith("<!")
    shown = json.loads(run(plainbox, "session", "show", "--json", cwd=elsewhere, **home).stdout)
    outcomes = {job["id"]: job["outcome"] for job in shown["jobs"]}
    assert outcomes["org.plainbox::cpu"] == "pass"
    assert outcomes["org.plainbox::kernel/entropy"] == "pass"


def test_source_archive_is_complete(source_archive: Path, tree: Path) -> None:
    """The source archive holds every file of the repository but those that only git needs."""
    with tarfile.open(source_archive) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and "bundled" not in path.parts}
    built_here = {name for name in files if name.startswith(("plainbox.egg-info/", "build/"))}
    assert files - packed - built_here == {".gitignore"} & files


def test_source_archive_builds_the_same_wheel(source_archive: Path, wheel: Path, tmp_path: Path) -> None:
    """The wheel made of the source archive has the same files, with the same rights, as the one made of the tree."""
    for name in ("source", "wheels"):
        (tmp_path / name).mkdir()
    checked("tar", "-xzf", source_archive, "-C", tmp_path / "source", cwd=tmp_path)
    [source] = (tmp_path / "source").iterdir()
    again = built_wheel(source, tmp_path / "wheels")
    assert contents(again) == contents(wheel)

# SPDX-License-Identifier: Apache-2.0
"""Archives of what travels: the same bytes for the same sources, complete whenever somebody looks."""

from __future__ import annotations

import importlib
import os
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from far_rig import interpreter

from plainbox.errors import ChainError
from plainbox.tasks import Configuration
from plainbox.tasks.distribution import MOST_ARCHIVES, DistributionArchive, get_distribution_archive, keep


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with everything that belongs into an archive, and much that does not."""
    top = tmp_path / "src" / "sample_far"
    (top / "sub" / "deep").mkdir(parents=True)
    for name in ("__init__.py", "sub/__init__.py", "sub/deep/__init__.py", "data.txt", "sub/one.py", "sub/two.py"):
        (top / name).write_text(f"NAME = {name!r}\n")
    for name in ("secret.pem", "id.KEY", "cached.pyc", "old.py~", ".hidden", "sub/.netrc"):
        (top / name).write_text("secret")
    for name in ("__pycache__", ".git", ".svn", "CVS"):
        (top / name).mkdir()
        (top / name / "file.py").write_text("no")
    with open(top / "large.bin", "wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    (top / "link.py").symlink_to("/etc/passwd")
    (top / "link").symlink_to("/etc")
    monkeypatch.syspath_prepend(top.parent)
    importlib.invalidate_caches()
    yield top
    for name in [name for name in sys.modules if name.startswith("sample_far")]:
        del sys.modules[name]


def names(archive):
    with zipfile.ZipFile(archive.path) as file:
        return {name for name in file.namelist() if not name.startswith("plainbox/")}


def test_content(tmp_path, package):
    """A package is there with its data; caches, bytecode, links, dotfiles, keys and large files are not."""
    assert names(DistributionArchive(tmp_path / "a", "sample_far")) == {
        "__main__.py",
        "sample_far/__init__.py",
        "sample_far/data.txt",
        "sample_far/sub/__init__.py",
        "sample_far/sub/deep/__init__.py",
        "sample_far/sub/one.py",
        "sample_far/sub/two.py",
    }


def test_submodule(tmp_path, package):
    """A submodule is there under its packages, without its neighbours."""
    assert names(DistributionArchive(tmp_path / "a", "sample_far.sub.one")) == {
        "__main__.py",
        "sample_far/__init__.py",
        "sample_far/sub/__init__.py",
        "sample_far/sub/one.py",
    }


def test_absent_until_asked_for(tmp_path):
    """The archive is made when its path is read, under the digest of its bytes, for the user alone."""
    directory = tmp_path / "a"
    archive = DistributionArchive(directory)
    assert not directory.exists()
    path = archive.path
    assert path.name == f"{archive.digest}.pyz"
    assert path.read_bytes() == archive.data
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert os.listdir(directory) == [path.name]


def test_same_sources_same_bytes(tmp_path, package):
    """The same sources make the same archive, in another process and with other times of its files."""
    first = DistributionArchive(tmp_path / "a", "sample_far")
    before = first.path
    for path in package.rglob("*.py"):
        if not path.is_symlink():
            os.utime(path, (0, 0))
            path.chmod(0o600)
    code = (
        "import sys; from pathlib import Path; from plainbox.tasks.distribution import DistributionArchive;"
        "sys.path.insert(0, sys.argv[2]); print(DistributionArchive(Path(sys.argv[1]), 'sample_far').path)"
    )
    other = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path / "b"), str(package.parent)],
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert Path(other.strip()).read_bytes() == before.read_bytes()
    assert Path(other.strip()).name == before.name


def test_edit_makes_another(tmp_path, package):
    """An edit makes another file, in the same process and with the same object; the old one stays."""
    archive = DistributionArchive(tmp_path / "a", "sample_far")
    before = archive.path
    (package / "sub" / "one.py").write_text("NAME = 'other'\n")
    assert archive.path != before
    assert before.exists()
    assert archive.path.exists()


def test_removed_file(tmp_path, package):
    """A file that is gone is gone from the next archive."""
    archive = DistributionArchive(tmp_path / "a", "sample_far")
    assert "sample_far/data.txt" in names(archive)
    (package / "data.txt").unlink()
    assert "sample_far/data.txt" not in names(archive)


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_runs_as_a_program(tmp_path, version):
    """The archive shows its help under a plain Python, isolated from what is installed."""
    path = DistributionArchive(tmp_path / "a").path
    python = interpreter(version) or sys.executable
    done = subprocess.run([python, "-I", "-S", path, "-h"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--input" in done.stdout


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_too_old_a_python(tmp_path, version):
    """A Python that is too old says so in one line."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    done = subprocess.run([python, DistributionArchive(tmp_path / "a").path, "-h"], capture_output=True, check=False)
    assert done.returncode == 78
    assert done.stderr.startswith(b"plainbox needs Python 3.8")
    assert done.stderr.count(b"\n") == 1


def test_imports_from_it(tmp_path, package):
    """What was sent along is imported from the archive."""
    path = DistributionArchive(tmp_path / "a", "sample_far.sub.one").path
    code = "import sys; sys.path.insert(0, sys.argv[1]); import sample_far.sub.one as one; print(one.__file__)"
    shown = subprocess.check_output([sys.executable, "-I", "-c", code, str(path)], text=True)
    assert shown.strip() == f"{path}/sample_far/sub/one.py"


def test_archive_of_an_archive(tmp_path):
    """A process that runs from an archive makes the same one for the next."""
    path = DistributionArchive(tmp_path / "a").path
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from plainbox.tasks.distribution import DistributionArchive; print(DistributionArchive(Path(sys.argv[2])).path)"
    )
    shown = subprocess.check_output([sys.executable, "-I", "-c", code, str(path), str(tmp_path / "b")], text=True)
    assert Path(shown.strip()).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["no_such_module", "sample_far.none", "sample_far.sub.one.x", "", ".", "a b"])
def test_missing_module(tmp_path, package, name):
    """A module that does not exist is an error that names it and who has asked for it, before anything is written."""
    archive = DistributionArchive(tmp_path / "a", name, wanted_by="the option frob")
    with pytest.raises(ChainError, match=r"there is no module .*, which the option frob names"):
        _ = archive.path
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["sys", "math"])
def test_no_source(tmp_path, name):
    """A module without source cannot travel."""
    with pytest.raises(ChainError, match="has no source that could travel"):
        _ = DistributionArchive(tmp_path / "a", name).path


def test_equality():
    """Archives are equal when their modules are; modules may be given themselves."""
    import json

    assert DistributionArchive(None, json) == DistributionArchive(Path("/x"), "json", "json")
    assert len({DistributionArchive(None, "json"), DistributionArchive(None, json), DistributionArchive(None)}) == 2


def test_of_a_configuration(package):
    """A configuration has one archive, until other modules are to go along."""
    configuration = Configuration()
    first = get_distribution_archive(configuration)
    assert get_distribution_archive(configuration) is first
    configuration.add_modules_for_distribution("sample_far")
    second = get_distribution_archive(configuration)
    assert second.modules == ("sample_far",)
    assert get_distribution_archive(Configuration()) is not first
    configuration.add_modules_for_distribution("missing_far")
    with pytest.raises(ChainError, match=r"'missing_far', which Configuration\.add_modules_for_distribution names"):
        _ = get_distribution_archive(configuration).digest


def test_readers_never_see_a_part(tmp_path):
    """While many write one archive, and it is taken away and damaged, a reader finds it whole or not at all."""
    data = os.urandom(3_000_000)
    directory, seen, over = tmp_path / "a", [], threading.Event()

    def write():
        for _ in range(15):
            keep(directory, "0" * 64, data)
            (directory / ("0" * 64 + ".pyz")).unlink(missing_ok=True)

    def read():
        while not over.is_set():
            try:
                found = (directory / ("0" * 64 + ".pyz")).read_bytes()
            except FileNotFoundError:
                continue
            seen.append(found == data)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    keep(directory, "0" * 64, data)
    over.set()
    reader.join()
    assert all(seen)
    assert os.listdir(directory) == ["0" * 64 + ".pyz"]


@pytest.mark.parametrize("mode", [0o770, 0o1777])
def test_directory_in_which_others_can_write(tmp_path, mode):
    """Code is not kept where somebody else could put some."""
    (tmp_path / "a").mkdir()
    path = DistributionArchive(tmp_path / "a").path
    (tmp_path / "a").chmod(mode)
    with pytest.raises(ChainError, match="others can write to it"):
        DistributionArchive(tmp_path / "a").path  # noqa: B018
    assert path.exists()


def test_damaged_archive_is_replaced(tmp_path):
    """An archive that is not what its name says is made anew."""
    archive = DistributionArchive(tmp_path / "a")
    path = archive.path
    path.chmod(0o600)
    path.write_bytes(archive.data[:-1])
    assert archive.path.read_bytes() == archive.data


def test_old_archives_are_forgotten(tmp_path):
    """Only the archives that were used last are kept; files that are none stay."""
    (tmp_path / "other").write_text("mine")
    for number in range(MOST_ARCHIVES + 5):
        path = keep(tmp_path, f"{number:064x}", b"x")
        if path.exists():
            os.utime(path, (number, number))
    assert (tmp_path / "other").exists()
    assert sorted(int(path.stem, 16) for path in tmp_path.glob("*.pyz"))[0] >= 4
    assert len(list(tmp_path.glob("*.pyz"))) == MOST_ARCHIVES

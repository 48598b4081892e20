# SPDX-License-Identifier: Apache-2.0
"""``install``: every layout is loaded and run from where it was put."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from authoring_rig import MANAGE, invoke, write_tree

from plainbox.errors import ProviderError, UsageError
from plainbox.providers import Provider
from plainbox.providers.authoring.install import InstallCommand
from plainbox.providers.discovery import named_providers

DEFINITION = "share/plainbox-providers-1/org.example.camera.provider"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    built = {"build/bin/camera-built": "#!/bin/sh\n", "build/mo/de/LC_MESSAGES/org_example_camera.mo": "mo"}
    directory = write_tree(tmp_path / "camera", **built, **{"data/deep/picture": "x", "jobs/old.txt": "", "po/x": ""})
    (directory / "build" / "bin" / "camera.o").write_text("object")
    (directory / "bin" / "module.py").write_text("")
    (directory / "units" / "__pycache__").mkdir()
    return directory


def loaded(definition: Path) -> Provider:
    [provider] = named_providers(definition)
    assert [unit.id for unit in provider.unit_list] == ["org.example::check", "org.example::all"]
    assert [path.name for path in provider.executable_list] == ["camera-built", "camera-check"]
    assert (provider.name, provider.version) == ("org.example:camera", "1.2")
    assert (provider.description, provider.gettext_domain) == ("Checks of the camera", "org_example_camera")
    return provider


def test_flat(directory: Path, tmp_path: Path) -> None:
    """All of the provider is in one directory below lib."""
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p")[0] == 0
    provider = loaded(tmp_path / "p" / DEFINITION)
    top = tmp_path / "p" / "lib" / "plainbox-providers-1" / "org.example:camera"
    assert provider.base_dir == top
    assert sorted(path.name for path in top.iterdir()) == ["bin", "data", "jobs", "locale", "units"]
    assert (top / "locale" / "de" / "LC_MESSAGES" / "org_example_camera.mo").read_text() == "mo"
    assert (top / "data" / "deep" / "picture").read_text() == "x"
    assert not os.access(top / "bin" / "module.py", os.X_OK)
    assert not (top / "units" / "__pycache__").exists()


def test_unix(directory: Path, tmp_path: Path) -> None:
    """The directories are where those of their kind are, and the definition names each."""
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=unix")[0] == 0
    provider = loaded(tmp_path / "p" / DEFINITION)
    assert provider.bin_dir == tmp_path / "p" / "lib" / "org.example:camera" / "bin"
    assert provider.units_dir == tmp_path / "p" / "share" / "org.example:camera" / "units"
    assert provider.data_dir == tmp_path / "p" / "share" / "org.example:camera" / "data"
    assert provider.locale_dir == tmp_path / "p" / "share" / "locale"


def test_relocatable(directory: Path, tmp_path: Path) -> None:
    """The prefix is the directory of the provider, which may be moved."""
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=relocatable")[0] == 0
    (tmp_path / "p").rename(tmp_path / "q")
    provider = loaded(tmp_path / "q" / "org.example.camera.provider")
    assert provider.bin_dir == tmp_path / "q" / "bin"


def test_root(directory: Path, tmp_path: Path) -> None:
    """Below a root the definition names the paths without it."""
    code, said = invoke(InstallCommand, directory, f"--root={tmp_path}/root", "--prefix=/usr", "--layout=unix")
    assert code == 0
    text = (tmp_path / "root" / "usr" / DEFINITION).read_text()
    assert "units_dir = /usr/share/org.example:camera/units\n" in text
    assert "bin_dir = /usr/lib/org.example:camera/bin\n" in text
    assert str(tmp_path) not in text
    assert len(said.talk) == 1


def test_programs_that_were_built_are_enough_for_a_bin(tmp_path: Path) -> None:
    """A provider without bin of its own has one when something was built."""
    directory = write_tree(tmp_path / "camera", **{"build/bin/x": "#!/bin/sh\n"})
    (directory / "bin" / "camera-check").unlink()
    (directory / "bin").rmdir()
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=unix")[0] == 0
    [provider] = named_providers(tmp_path / "p" / DEFINITION)
    assert [path.name for path in provider.executable_list] == ["x"]


@pytest.mark.parametrize("layout", ["flat", "unix", "relocatable"])
def test_an_older_version_is_replaced(directory: Path, tmp_path: Path, layout: str) -> None:
    """What the new version does not have is gone; catalogues of other programs stay."""
    words = (f"--prefix={tmp_path}/p", f"--layout={layout}")
    other = tmp_path / "p" / "share" / "locale" / "other.mo"
    other.parent.mkdir(parents=True)
    other.write_text("theirs")
    (directory / "units" / "old.pxu").write_text("id: old\nflags: simple\ncommand: true\n")
    assert invoke(InstallCommand, directory, *words)[0] == 0
    (directory / "units" / "old.pxu").unlink()
    assert invoke(InstallCommand, directory, *words)[0] == 0
    loaded(tmp_path / "p" / ("" if layout == "relocatable" else DEFINITION))
    assert other.read_text() == "theirs"


def test_a_relocatable_prefix_is_one_provider(directory: Path, tmp_path: Path) -> None:
    """What is another provider, or has a directory that no install made, is refused as it is, with the path."""
    words = (f"--prefix={tmp_path}/p", "--layout=relocatable")
    theirs = tmp_path / "p" / "bin" / "theirs"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(UsageError, match="not from an earlier install") as caught:
        invoke(InstallCommand, directory, *words)
    assert str(caught.value.origin) == str(theirs.parent)
    definition = tmp_path / "p" / "org.example.other.provider"
    definition.write_text("[PlainBox Provider]\nname = org.example:other\nversion = 1\nrelocatable = True\n")
    with pytest.raises(UsageError, match="another provider") as caught:
        invoke(InstallCommand, directory, *words)
    assert str(caught.value.origin) == str(definition)
    assert sorted(path.name for path in (tmp_path / "p").rglob("*")) == ["bin", "org.example.other.provider", "theirs"]


@pytest.mark.parametrize(
    ("layout", "link"),
    [
        ("flat", "lib/plainbox-providers-1/org.example:camera"),
        ("flat", "lib/plainbox-providers-1/org.example:camera/bin"),
        ("unix", "share/org.example:camera"),
        ("unix", "lib/org.example:camera/bin"),
        ("unix", "share/locale"),
    ],
)
def test_links_in_the_place_of_directories(directory: Path, tmp_path: Path, layout: str, link: str) -> None:
    """A link where a directory is to be, and a file too, is refused with its path before anything is written."""
    (tmp_path / "elsewhere" / "units").mkdir(parents=True)
    path = tmp_path / "p" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="a link where a directory is to be") as caught:
        invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", f"--layout={layout}")
    assert str(caught.value.origin) == str(path)
    path.unlink()
    path.write_text("")
    with pytest.raises(UsageError, match="a file where a directory is to be"):
        invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", f"--layout={layout}")
    assert [file for file in (tmp_path / "p").rglob("*") if file.is_file()] == [path]
    assert (tmp_path / "elsewhere" / "units").is_dir()


def test_a_link_in_the_place_of_a_file(directory: Path, tmp_path: Path) -> None:
    """Catalogues of others stay, and a link in the place of one of ours is replaced, not followed."""
    place = tmp_path / "p" / "share" / "locale" / "de" / "LC_MESSAGES" / "org_example_camera.mo"
    place.parent.mkdir(parents=True)
    (tmp_path / "precious").write_text("mine")
    place.symlink_to(tmp_path / "precious")
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=unix")[0] == 0
    assert place.read_text() == "mo"
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "nowhere"])
def test_links_out_of_the_tree(directory: Path, tmp_path: Path, target: str) -> None:
    """A link that leads out of the provider, or nowhere, is refused before anything is written."""
    (tmp_path / "secret").write_text("secret")
    (directory / "data" / "link").symlink_to(target)
    with pytest.raises(ProviderError, match="which is not in the provider"):
        invoke(InstallCommand, directory, f"--prefix={tmp_path}/p")
    assert not (tmp_path / "p").exists()


def test_links_within_the_tree(directory: Path, tmp_path: Path) -> None:
    """A link to a file of the provider is installed as a file; one to a directory is refused."""
    (directory / "data" / "link").symlink_to("../bin/camera-check")
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=relocatable")[0] == 0
    copy = tmp_path / "p" / "data" / "link"
    assert copy.read_text() == (directory / "bin" / "camera-check").read_text()
    assert not copy.is_symlink()
    (directory / "data" / "round").symlink_to(".")
    with pytest.raises(ProviderError, match="a link to a directory"):
        invoke(InstallCommand, directory, f"--prefix={tmp_path}/p")


def test_what_is_no_file(directory: Path, tmp_path: Path) -> None:
    """A pipe is refused, not waited for."""
    os.mkfifo(directory / "data" / "pipe")
    with pytest.raises(ProviderError, match="neither a file nor a directory"):
        invoke(InstallCommand, directory, f"--prefix={tmp_path}/p")


def test_over_its_own_sources(directory: Path) -> None:
    """A provider is not installed onto itself, and its sources stay."""
    with pytest.raises(UsageError, match="over its sources"):
        invoke(InstallCommand, directory, f"--prefix={directory}", "--layout=relocatable")
    assert (directory / "units" / "units.pxu").is_file()


def test_over_a_place_that_holds_the_sources(directory: Path, tmp_path: Path) -> None:
    """An install that would remove what an earlier one put there is refused when the sources are in it."""
    prefix = tmp_path / "prefix"
    invoke(InstallCommand, directory, f"--prefix={prefix}", "--layout=relocatable")
    moved = prefix / "data" / "sources"
    shutil.copytree(directory, moved)
    with pytest.raises(UsageError, match="over its sources"):
        invoke(InstallCommand, moved, f"--prefix={prefix}", "--layout=relocatable")
    assert (moved / "manage.py").is_file()


def test_nothing_to_install(tmp_path: Path) -> None:
    """A tree without any of the directories is refused."""
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera" / "manage.py").write_text(MANAGE)
    with pytest.raises(ProviderError, match="nothing to install"):
        invoke(InstallCommand, tmp_path / "camera", f"--prefix={tmp_path}/p")


def test_bad_use(directory: Path, tmp_path: Path) -> None:
    """A prefix that is empty, or relative below a root, is refused."""
    with pytest.raises(UsageError, match="absolute"):
        invoke(InstallCommand, directory, f"--root={tmp_path}/root", "--prefix=usr")
    for words in ([], [f"--root={tmp_path}/root"]):
        with pytest.raises(UsageError, match="empty"):
            invoke(InstallCommand, directory, "--prefix=", *words)


def test_a_relative_prefix(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a root a prefix may be relative to where the command is typed; the definition names absolute paths."""
    monkeypatch.chdir(tmp_path)
    assert invoke(InstallCommand, directory, "--prefix=p")[0] == 0
    assert loaded(tmp_path / "p" / DEFINITION).base_dir.is_relative_to(tmp_path / "p")

# SPDX-License-Identifier: Apache-2.0
"""``install``: every layout is loaded and run from where it was put."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("layout", ["flat", "unix"])
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
    loaded(tmp_path / "p" / DEFINITION)
    assert other.read_text() == "theirs"


def test_a_relocatable_prefix_is_shared(directory: Path, tmp_path: Path) -> None:
    """Whatever else is below the prefix stays; a link in the place of a file is replaced, not followed."""
    (tmp_path / "p" / "bin").mkdir(parents=True)
    (tmp_path / "p" / "bin" / "theirs").write_text("theirs")
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "p" / "bin" / "camera-check").symlink_to(tmp_path / "precious")
    assert invoke(InstallCommand, directory, f"--prefix={tmp_path}/p", "--layout=relocatable")[0] == 0
    assert (tmp_path / "p" / "bin" / "theirs").read_text() == "theirs"
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


def test_nothing_to_install(tmp_path: Path) -> None:
    """A tree without any of the directories is refused."""
    (tmp_path / "camera").mkdir()
    (tmp_path / "camera" / "manage.py").write_text(MANAGE)
    with pytest.raises(ProviderError, match="nothing to install"):
        invoke(InstallCommand, tmp_path / "camera", f"--prefix={tmp_path}/p")


def test_bad_use(directory: Path, tmp_path: Path) -> None:
    """A relative prefix below a root, and a name that would lead elsewhere, are refused."""
    with pytest.raises(UsageError, match="absolute"):
        invoke(InstallCommand, directory, f"--root={tmp_path}/root", "--prefix=usr")
    manage = MANAGE.replace("org.example:camera", "..").replace("version=", "namespace='a.b', version=")
    with pytest.raises(ProviderError, match="no name of a directory"):
        invoke(InstallCommand, write_tree(tmp_path / "dots", manage=manage), f"--prefix={tmp_path}/p")

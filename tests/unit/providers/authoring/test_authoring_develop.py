# SPDX-License-Identifier: Apache-2.0
"""``develop``: a source tree that is found where it is."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from authoring_rig import MANAGE, invoke, write_tree

from plainbox.errors import ProviderError, UsageError
from plainbox.providers import Catalogue
from plainbox.providers.authoring.develop import DevelopCommand


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "camera")


def found() -> list[str]:
    return [str(provider.base_dir) for provider in Catalogue.load().providers if provider.name.endswith("camera")]


def test_the_tree_is_found_and_lost_again(directory: Path) -> None:
    """After develop the provider is loaded from its own place, after --uninstall no more, and again is no error."""
    assert found() == []
    assert invoke(DevelopCommand, directory)[0] == 0
    assert found() == [str(directory)]
    assert invoke(DevelopCommand, directory, "--uninstall")[0] == 0
    assert found() == []
    assert invoke(DevelopCommand, directory, "-u")[0] == 0


def test_an_existing_definition_is_kept(directory: Path, home: Path) -> None:
    """Without --force a definition that is there stays, and the exit code is 1; with it, it is replaced."""
    assert invoke(DevelopCommand, directory)[0] == 0
    path = home / "data" / "plainbox-providers-1" / "org.example.camera.provider"
    path.write_text("mine")
    code, said = invoke(DevelopCommand, directory)
    assert code == 1
    assert said.warnings == [f"{path} exists; nothing is done"]
    assert path.read_text() == "mine"
    assert invoke(DevelopCommand, directory, "--force")[0] == 0
    assert found() == [str(directory)]


def test_a_link_is_replaced_and_not_followed(directory: Path, home: Path) -> None:
    """--force writes a new file in the place of a link, and leaves alone what the link means."""
    (home / "precious").write_text("mine")
    path = home / "data" / "plainbox-providers-1" / "org.example.camera.provider"
    path.parent.mkdir(parents=True)
    path.symlink_to(home / "precious")
    assert invoke(DevelopCommand, directory)[0] == 1
    assert invoke(DevelopCommand, directory, "-f")[0] == 0
    assert (home / "precious").read_text() == "mine"


def test_provider_path(directory: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first directory of PROVIDERPATH is used when it is set; one that is empty is an error."""
    monkeypatch.setenv("PROVIDERPATH", f"{home}/one:{home}/two")
    assert invoke(DevelopCommand, directory)[0] == 0
    assert [path.name for path in (home / "one").iterdir()] == ["org.example.camera.provider"]
    monkeypatch.setenv("PROVIDERPATH", "")
    with pytest.raises(UsageError, match="names no directory"):
        invoke(DevelopCommand, directory)


@pytest.mark.parametrize("option", ["-d", "--directory"])
def test_another_directory(directory: Path, home: Path, option: str) -> None:
    """The directory can be named; that Plainbox does not look there is told."""
    code, said = invoke(DevelopCommand, directory, option, str(home / "there"))
    assert code == 0
    assert said.warnings == [f"plainbox does not look into {home / 'there'}"]
    assert [path.name for path in (home / "there").iterdir()] == ["org.example.camera.provider"]


def test_programs_that_extend_it_know_the_directory(directory: Path, home: Path) -> None:
    """The directory of the definition is a text that can be joined, named or not."""
    seen = []

    class Extended(DevelopCommand):
        def invoked(self, ns: argparse.Namespace) -> int | None:
            seen.append(ns.directory + "/x")
            return super().invoked(ns)

    invoke(Extended, directory)
    invoke(Extended, directory, "--directory", str(home / "there"))
    assert seen == [f"{home}/data/plainbox-providers-1/x", f"{home}/there/x"]


def test_what_a_definition_says(home: Path) -> None:
    """A name without a namespace has it in a key of its own; texts stay in one line."""
    manage = MANAGE.replace("org.example:camera", "camera-provider").replace("Checks of", "Checks\\n[x]\\nof")
    directory = write_tree(home / "x", manage=manage.replace("version=", "namespace='a.b', version="))
    assert invoke(DevelopCommand, directory)[0] == 0
    text = (home / "data" / "plainbox-providers-1" / "camera-provider.provider").read_text()
    assert text == (
        "[PlainBox Provider]\nname = camera-provider\nnamespace = a.b\nversion = 1.2\n"
        "description = Checks [x] of the camera\n"
        f"gettext_domain = org_example_camera\nlocation = {directory}\n"
    )


def test_control_characters_are_shown_not_written(home: Path) -> None:
    """Whatever a description holds, its definition is plain text of one line."""
    manage = MANAGE.replace("Checks of", "\\x1b[31m\\x00Checks\\t\\u2028of\\ud800")
    assert invoke(DevelopCommand, write_tree(home / "x", manage=manage))[0] == 0
    text = (home / "data" / "plainbox-providers-1" / "org.example.camera.provider").read_text()
    assert "description = \\x1b[31m\\x00Checks of\\xd800 the camera\n" in text
    assert found() == [str(home / "x")]


def test_a_place_that_no_definition_can_name(home: Path) -> None:
    """A directory with a line feed in its path is refused."""
    with pytest.raises(ProviderError, match="control characters"):
        invoke(DevelopCommand, write_tree(home / "a\nb"))

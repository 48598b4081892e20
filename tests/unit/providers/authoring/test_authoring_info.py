# SPDX-License-Identifier: Apache-2.0
"""``info`` and ``clean``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from authoring_rig import MANAGE, UNITS, invoke, write_tree

from plainbox.errors import ProviderError
from plainbox.providers.authoring.clean import CleanCommand
from plainbox.providers.authoring.info import InfoCommand

# -- info


def test_text(tmp_path: Path) -> None:
    """The name, the units by kind and the programs, with places relative to the provider."""
    _, said = invoke(InfoCommand, write_tree(tmp_path))
    assert said.data == [
        "name:           org.example:camera",
        "namespace:      org.example",
        "version:        1.2",
        "description:    Checks of the camera",
        "gettext domain: org_example_camera",
        f"directory:      {tmp_path}",
        "\njob (1)",
        "  org.example::check  units/units.pxu:1-5",
        "\ntest plan (1)",
        "  org.example::all  units/units.pxu:7-10",
        "\nexecutable (1)",
        "  camera-check  bin/camera-check",
    ]


def test_json(tmp_path: Path) -> None:
    """The same as one document."""
    _, said = invoke(InfoCommand, write_tree(tmp_path), "--json")
    document = json.loads("\n".join(said.data))
    assert document["schema"] == "plainbox.provider-info/1"
    assert document["provider"]["name"] == "org.example:camera"
    assert document["units"][0] == {"kind": "job", "id": "org.example::check", "origin": "units/units.pxu:1-5"}
    assert document["executables"] == ["bin/camera-check"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A bad record is a warning, and everything else is shown; nothing reaches the terminal as a control character."""
    directory = write_tree(tmp_path, units=f"no field\n\n{UNITS}", manage=MANAGE.replace("Checks", "\\x1b[31mChecks"))
    code, said = invoke(InfoCommand, directory)
    assert code == 0
    assert [warning for warning in said.warnings if "units.pxu:1" in warning]
    assert "  org.example::check  units/units.pxu:3-7" in said.data
    assert "\x1b" not in "".join(said.data)


# -- clean


def test_clean(tmp_path: Path) -> None:
    """build/bin is removed and nothing else; where there is none, nothing happens."""
    directory = write_tree(tmp_path, **{"build/bin/x": "", "build/mo/x": ""})
    assert invoke(CleanCommand, directory)[0] == 0
    assert [path.name for path in (directory / "build").iterdir()] == ["mo"]
    assert invoke(CleanCommand, directory)[0] == 0


@pytest.mark.parametrize("link", ["build", "build/bin"])
def test_clean_follows_no_link(tmp_path: Path, link: str) -> None:
    """A link in the place of build or build/bin is not followed to what it means."""
    (tmp_path / "precious" / "bin").mkdir(parents=True)
    directory = write_tree(tmp_path / "tree")
    (directory / link).parent.mkdir(exist_ok=True)
    (directory / link).symlink_to(tmp_path / "precious")
    with pytest.raises(ProviderError, match="leads out of the provider"):
        invoke(CleanCommand, directory)
    assert (tmp_path / "precious" / "bin").is_dir()


def test_a_command_of_its_own(tmp_path: Path) -> None:
    """clean_cmd runs in the directory of the provider and knows where the sources are; its failure is an error."""
    manage = MANAGE.replace("version=", "clean_cmd='echo $PLAINBOX_SRC_DIR > cleaned', version=")
    directory = write_tree(tmp_path, manage=manage, **{"build/bin/x": ""})
    assert invoke(CleanCommand, directory)[0] == 0
    assert (directory / "cleaned").read_text() == "src\n"
    assert (directory / "build" / "bin" / "x").exists()
    (directory / "manage.py").write_text(MANAGE.replace("version=", "clean_cmd='exit 3', version="))
    with pytest.raises(ProviderError, match=r"clean_cmd failed with exit code 3: exit 3") as caught:
        invoke(CleanCommand, directory)
    assert str(caught.value.origin).endswith("manage.py:4")

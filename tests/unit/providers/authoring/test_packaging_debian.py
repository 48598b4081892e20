# SPDX-License-Identifier: Apache-2.0
"""The relations of a provider reach Debian's packaging tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from workshop_rig import Workshop

from plainbox.errors import ProviderError

CONTROL = """\
# A comment
Source: demo
Section: misc
Priority: optional
Maintainer: A Person <a@example.org>
X-Plainbox-Provider: yes
Standards-Version: 4.6.2

Package: demo-provider
Architecture: all
# Another comment
x-plainbox-provider: Yes
Depends: ${plainbox:Depends},
 ${misc:Depends}
Recommends: ${plainbox:Recommends}
Suggests: ${plainbox:Suggests}
Description: A demo
 X-Plainbox-Provider: yes
 .
 Really.

Package: demo-doc
Architecture: all
Description: Its documentation
X-Plainbox-Provider: no

Package: demo-extra
Architecture: all
X-Plainbox-Provider: yes
Description: More of it
"""
CHANGELOG = """\
demo (1.0) unstable; urgency=low

  * New.

 -- A Person <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""
UNITS = """\
unit: packaging meta-data
os-id: debian
Depends:
 python3 (>= 3.11),
 fswebcam | cheese,
Suggests: tree

unit: packaging meta-data
os-id: ubuntu
os-version-id: >=22.04
Depends: python3 (>= 3.11), v4l-utils
Recommends: mesa-utils

unit: packaging meta-data
os-id: fedora
Depends: python3-libs
"""
DEBIAN = 'ID=debian\nVERSION_ID="12"\n'
UBUNTU = 'NAME="Ubuntu \\"LTS\\""\nID=ubuntu\nID_LIKE="debian"\n# comment\nVERSION_ID=\'24.04\'\n'


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path / "tree")
    workshop.manage()
    workshop.file("units/packaging.pxu", UNITS)
    workshop.file("debian/control", CONTROL)
    return workshop


def run(workshop: Workshop, system: str) -> int:
    return workshop.run("packaging", "--os-release", str(workshop.file("../os-release", system)))


def test_debian(workshop: Workshop) -> None:
    """Each marked package gets the relations of the units for the system; others get none."""
    assert run(workshop, DEBIAN) == 0
    expected = "plainbox:Depends=python3 (>= 3.11), fswebcam | cheese\nplainbox:Recommends=\nplainbox:Suggests=tree\n"
    assert workshop.text("debian/demo-provider.substvars") == expected
    assert workshop.text("debian/demo-extra.substvars") == expected
    assert workshop.said == ["wrote debian/demo-provider.substvars", "wrote debian/demo-extra.substvars"]
    assert len(list((workshop.directory / "debian").iterdir())) == 3


def test_system_like_debian(workshop: Workshop) -> None:
    """A system that is like Debian takes the relations for Debian and its own, each once."""
    assert run(workshop, UBUNTU) == 0
    assert workshop.text("debian/demo-provider.substvars") == (
        "plainbox:Depends=python3 (>= 3.11), fswebcam | cheese, v4l-utils\n"
        "plainbox:Recommends=mesa-utils\nplainbox:Suggests=tree\n"
    )


def test_second_run_replaces(workshop: Workshop) -> None:
    """What an earlier run has written is replaced, what others have written stays."""
    run(workshop, UBUNTU)
    path = workshop.directory / "debian" / "demo-provider.substvars"
    path.write_text("misc:Depends=a\nplainbox:Other=b\n" + path.read_text() + "shlibs:Depends=c")
    run(workshop, DEBIAN)
    assert path.read_text() == (
        "misc:Depends=a\nplainbox:Other=b\nshlibs:Depends=c\n"
        "plainbox:Depends=python3 (>= 3.11), fswebcam | cheese\nplainbox:Recommends=\nplainbox:Suggests=tree\n"
    )


def test_debian_tool_fills_it_in(workshop: Workshop) -> None:
    """Debian's own tool takes the variables over into the package, on a machine that has it."""
    run(workshop, DEBIAN)
    tool = shutil.which("dpkg-gencontrol")
    if tool is None:
        assert not Path("/usr/bin/dpkg-buildpackage").exists()
        return
    workshop.file("debian/changelog", CHANGELOG)
    done = subprocess.run(
        [tool, "-pdemo-provider", "-Tdebian/demo-provider.substvars", "-O"],
        cwd=workshop.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Depends: python3 (>= 3.11), fswebcam | cheese\n" in done.stdout
    assert "Suggests: tree\n" in done.stdout
    assert "unknown substitution variable ${plainbox" not in done.stderr


def test_other_system(workshop: Workshop) -> None:
    """On a system whose packages are made otherwise nothing is written, and that is told."""
    assert run(workshop, "ID=fedora\nVERSION_ID=40\n") == 0
    assert "'fedora'" in workshop.warned[0]
    assert [path.name for path in (workshop.directory / "debian").iterdir()] == ["control"]


def test_this_machine(workshop: Workshop) -> None:
    """Without an option the machine that the command runs on counts."""
    assert workshop.run("packaging") == 0
    assert workshop.said or workshop.warned


def test_no_marked_package(workshop: Workshop) -> None:
    """Where no package is marked, the line that marks one is told."""
    workshop.file("debian/control", "Package: demo\n")
    assert run(workshop, DEBIAN) == 0
    assert "X-Plainbox-Provider: yes" in workshop.warned[0]


def test_mistakes(workshop: Workshop) -> None:
    """A mistake in any of the files ends the command with its place, and nothing is written."""
    with pytest.raises(ProviderError, match=r"os-release:2: the value of ID is not quoted well"):
        run(workshop, 'NAME=x\nID="debian\n')
    workshop.file("units/packaging.pxu", UNITS.replace(">=22.04", "from 22.04 on"))
    with pytest.raises(ProviderError, match=r"packaging\.pxu:10: field 'os-version-id'"):
        run(workshop, DEBIAN)
    workshop.file("units/packaging.pxu", UNITS)
    workshop.file("debian/control", CONTROL.replace("demo-extra", "../../extra"))
    with pytest.raises(ProviderError, match=r"control:27: '../../extra' is not the name of a package"):
        run(workshop, DEBIAN)
    (workshop.directory / "debian" / "control").unlink()
    with pytest.raises(ProviderError, match="control: cannot be read"):
        run(workshop, DEBIAN)
    assert list((workshop.directory / "debian").iterdir()) == []

# SPDX-License-Identifier: Apache-2.0
"""Programs are built from the sources of a provider, by real tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from workshop_rig import Workshop

from plainbox.errors import ProviderError

C = '#include <stdio.h>\nint main(void) { puts("built"); return 0; }\n'
MAKEFILE = "hello: hello.c\n\t$(CC) -o $@ $<\n"
CONFIGURE = "#!/bin/sh\nset -e\necho configured\nprintf 'all:\\n\\techo made > tool; chmod +x tool\\n' > Makefile\n"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    # A place that a shell command has to quote.
    workshop = Workshop(tmp_path / "a tree; exit 3")
    workshop.manage()
    return workshop


def output(workshop: Workshop, program: str) -> str:
    path = workshop.directory / "build" / "bin" / program
    return subprocess.run([path], capture_output=True, text=True, check=True).stdout


def test_make(workshop: Workshop) -> None:
    """A Makefile in src builds programs in build/bin, and src stays as it is."""
    workshop.file("src/Makefile", MAKEFILE)
    workshop.file("src/hello.c", C)
    assert workshop.run("build") == 0
    assert workshop.said == [
        "in build/bin: VPATH=../../src make -f ../../src/Makefile",
        "built build/bin/hello",
    ]
    assert output(workshop, "hello") == "built\n"
    assert sorted(path.name for path in (workshop.directory / "src").iterdir()) == ["Makefile", "hello.c"]


def test_autotools(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    """A configure script comes before a Makefile that lies beside it; what the tools say comes through."""
    workshop.file("src/configure", CONFIGURE, 0o755)
    workshop.file("src/Makefile", "all:\n\tfalse\n")
    assert workshop.run("build") == 0
    assert workshop.said[-1] == "built build/bin/tool"
    assert "configured" in capfd.readouterr().out


def test_go(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go files are given to go build; a Makefile beside them comes first."""
    go = Workshop(tmp_path).file("tools/go", '#!/bin/sh\necho "$@" > tool\nchmod +x tool\n', 0o755)
    monkeypatch.setenv("PATH", str(go.parent), prepend=":")
    workshop.file("src/main.go", "package main\n")
    workshop.file("src/more.go", "package main\n")
    assert workshop.run("build") == 0
    assert workshop.text("build/bin/tool") == "build ../../src/main.go ../../src/more.go\n"
    workshop.file("src/Makefile", "all:\n\ttouch made\n")
    workshop.run("build")
    assert (workshop.directory / "build" / "bin" / "made").exists()


def test_own_command(workshop: Workshop) -> None:
    """build_cmd is a shell command; it is run in build/bin and knows where src is."""
    workshop.manage(', build_cmd="cp $PLAINBOX_SRC_DIR/tool . && chmod +x tool && pwd > place"')
    workshop.file("src/Makefile", "all:\n\tfalse\n")
    workshop.file("src/tool", "#!/bin/sh\necho ours\n")
    assert workshop.run("build") == 0
    assert output(workshop, "tool") == "ours\n"
    assert workshop.text("build/bin/place").strip() == str(workshop.directory / "build" / "bin")


def test_added_build_system(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution can add a build system; the one that fits best is used."""
    site = Workshop(tmp_path / "site")
    site.file(
        "touching.py",
        "class Touch:\n"
        "    def probe(self, src_dir):\n        return 95\n"
        "    def get_build_command(self, src_dir, build_dir):\n        return 'touch touched'\n",
    )
    site.file("touching-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: touching\nVersion: 1.0\n")
    site.file("touching-1.0.dist-info/entry_points.txt", "[plainbox.buildsystem]\ntouch = touching:Touch\n")
    monkeypatch.syspath_prepend(str(site.directory))
    workshop.file("src/Makefile", MAKEFILE)
    assert workshop.run("build") == 0
    assert (workshop.directory / "build" / "bin" / "touched").exists()


def test_failure(workshop: Workshop) -> None:
    """A build that fails is told with its exit code, and with what to do."""
    workshop.file("src/Makefile", "all:\n\texit 7\n")
    with pytest.raises(ProviderError, match=r"the build failed \(exit code 2\): VPATH") as caught:
        workshop.run("build")
    assert "build_cmd" in (caught.value.hint or "")
    workshop.manage(', build_cmd="kill -9 $$"')
    with pytest.raises(ProviderError, match=r"\(signal 9\)"):
        workshop.run("build")


def test_unknown_sources(workshop: Workshop) -> None:
    """Sources that no build system fits are told, with how to build them, and are no failure."""
    workshop.file("src/tool.rs", "")
    assert workshop.run("build") == 0
    assert workshop.said[0].startswith("nothing to build: src has neither")
    assert "build_cmd=" in workshop.said[0]
    assert not (workshop.directory / "build").exists()


def test_nothing_to_build(workshop: Workshop) -> None:
    """A provider without src is built already."""
    assert workshop.run("build") == 0
    assert workshop.said == ["nothing to build: there is no folder src"]


def test_own_command_without_sources(workshop: Workshop) -> None:
    """build_cmd runs also where there is no src."""
    workshop.manage(', build_cmd="touch made"')
    assert workshop.run("build") == 0
    assert (workshop.directory / "build" / "bin" / "made").exists()


def test_listed_programs(workshop: Workshop) -> None:
    """src/EXECUTABLES says which of the results are programs; one that is missing is told with its line."""
    workshop.manage(', build_cmd="touch one two three; chmod +x one two"')
    workshop.file("src/EXECUTABLES", "# ours\n\ntwo\n")
    assert workshop.run("build") == 0
    assert workshop.said[1:] == ["built build/bin/two"]
    for name in ("three", "four", "../bin/one"):
        listing = workshop.file("src/EXECUTABLES", f"one\n{name}\n")
        with pytest.raises(ProviderError, match="has not made") as caught:
            workshop.run("build")
        assert str(caught.value.origin) == f"{listing}:2"

# SPDX-License-Identifier: Apache-2.0
"""``plainbox lint`` as a user has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BAD = "id: a\nflags: simple preserve_cwd\ncommand: true\ndepends: b\n_summary: A\n"
GOOD = "id: a\nflags: simple\ncommand: true\n_summary: A\n"

Run = Callable[..., Any]
Write = Callable[..., Path]


def test_findings(run: Run, provider: Write, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Each finding is a line with a path relative to the current directory; the summary is talk."""
    monkeypatch.chdir(home)
    ran = run("lint", provider(BAD))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        (
            "provider-demo/units/units.pxu:2: PB109 warning: org.example::a: field 'flags': no such flag: 'preserve_cwd'"
            " (did you mean 'preserve-cwd'?)"
        ),
        "provider-demo/units/units.pxu:4: PB201 error: org.example::a: field 'depends': no job 'org.example::b'",
    ]
    assert ran.err == "1 error, 1 warning\n"


def test_parameters_of_advices(run: Run, provider: Write, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """What a unit says about advices is looked at, whatever chain its job gets."""
    monkeypatch.chdir(home)
    lines = "".join(
        f" {line}\n"
        for line in (
            "retry.attempts: 3",
            "timeout.limt: 3s",
            "retry.attempts: many",
            "cache.directory: /x",
            "retyr.on: fail",
        )
    )
    template = (
        "\nunit: template\ntemplate-resource: a\nid: b-{x}\nflags: simple\ncommand: true\n_summary: B\n"
        "advice-parameters:\n timeout.limit: {x}\n timeout.scope: {x}\n timeout.skope: total\n"
    )
    ran = run("lint", provider(f"{GOOD}advice-parameters:\n{lines}{template}"))
    told = [line.partition(":")[2] for line in ran.out.splitlines() if "advice-parameters" in line]
    assert [line.partition(" ")[0] for line in told] == ["7:", "8:", "9:", "10:", "21:"]
    for line, part in zip(
        told,
        ("unknown parameter of timeout 'limt'", "'many' is no whole", "only configuration", "warning", "'skope'"),
        strict=True,
    ):
        assert part in line


def test_clean(run: Run, provider: Write) -> None:
    """A clean provider is exit code 0 and no output."""
    ran = run("lint", provider(GOOD))
    assert (ran.code, ran.out, ran.err) == (0, "", "nothing is wrong\n")


def test_here(run: Run, provider: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the provider of the current directory is meant, also from inside of it."""
    directory = provider(BAD)
    for place, path in ((directory, "units/units.pxu"), (directory / "units", "units.pxu")):
        monkeypatch.chdir(place)
        assert run("lint").out.startswith(f"{path}:2: PB109")


def test_source_tree(run: Run, home: Path) -> None:
    """A source tree is read from its manage.py, which is not run."""
    (home / "tree" / "units").mkdir(parents=True)
    (home / "tree" / "manage.py").write_text(
        "from plainbox.provider_manager import setup\n"
        "setup(name='org.example:tree', version='1.0')\nopen('ran', 'w').close()\n"
    )
    (home / "tree" / "units" / "x.pxu").write_text(BAD)
    assert run("lint", home / "tree").code == 1
    assert not (home / "tree" / "ran").exists()


def test_one_file(run: Run, provider: Write) -> None:
    """Of a file or a directory inside of a provider only its own findings are told, seen with all units."""
    directory = provider(BAD)
    (directory / "units" / "other.pxu").write_text(BAD.replace("id: a", "id: b").replace("depends: b", "depends: c"))
    ran = run("lint", directory / "units" / "other.pxu")
    assert [line.split(": ")[0].rpartition("/")[2] for line in ran.out.splitlines()] == ["other.pxu:2", "other.pxu:4"]
    assert len(run("lint", directory / "units").out.splitlines()) == 3
    assert run("lint", directory / "demo.provider").out == run("lint", directory).out


def test_several(run: Run, provider: Write) -> None:
    """Several providers are linted together and may refer to each other."""
    one, two = provider(BAD), provider(GOOD.replace("id: a", "id: b"), "two")
    assert [line.split()[1] for line in run("lint", one, two).out.splitlines()] == ["PB109"]


def test_other_provider(run: Run, provider: Write) -> None:
    """What another provider has can be referred to; its own findings are not told."""
    one, two = provider(BAD), provider("id: b\nflags: nonsense simple\ncommand: true\n", "two")
    assert [line.split()[1] for line in run("lint", one, "--provider", two).out.splitlines()] == ["PB109"]


def test_same_name(run: Run, provider: Write, home: Path) -> None:
    """Of two providers with one name the second cannot be linted beside the first, which is said."""
    one = provider(GOOD)
    (home / "copy").mkdir()
    (home / "copy" / "demo.provider").write_text((one / "demo.provider").read_text())
    ran = run("lint", one, home / "copy")
    assert ran.code == 2
    assert "copy' is left out" in ran.err


def test_strict(run: Run, provider: Write) -> None:
    """Warnings fail only when asked for; advice never does."""
    directory = provider("id: a\nflags: simple preserve_cwd\ncommand: true\n")
    assert run("lint", directory).code == 0
    assert run("lint", "--strict", directory).code == 1
    directory = provider("name: a\nflags: simple\ncommand: true\n_summary: A\n")
    assert run("lint", "--strict", directory).code == 0
    assert run("lint", directory).err == "1 advice\n"
    ran = run("lint", "--no-advice", directory)
    assert (ran.out, ran.err) == ("", "nothing is wrong\n")


def test_no_cache(run: Run, provider: Write) -> None:
    """The unit files can be read anew, whatever was remembered of them."""
    directory = provider(BAD)
    assert run("lint", "--no-cache", directory).out == run("lint", directory).out != ""


def test_ignore(run: Run, provider: Write) -> None:
    """Codes that are ignored are silenced and counted; an unknown code is a mistake of the caller."""
    directory = provider(BAD)
    ran = run("lint", "--ignore", "PB109,pb201", directory)
    assert (ran.code, ran.out, ran.err) == (0, "", "nothing is wrong (2 silenced)\n")
    ran = run("lint", "--ignore", "PB1099", directory)
    assert ran.code == 2
    assert "did you mean 'PB109'?" in ran.err


def test_json(run: Run, provider: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document has all of a finding, and the counts."""
    monkeypatch.chdir(provider(BAD))
    ran = run("lint", "--json", "--ignore", "PB109")
    assert ran.code == 1
    assert ran.json == {
        "schema": "plainbox.lint/1",
        "issues": [
            {
                "code": "PB201",
                "severity": "error",
                "path": "units/units.pxu",
                "line": 4,
                "unit": "org.example::a",
                "field": "depends",
                "message": "no job 'org.example::b'",
                "hint": None,
            }
        ],
        "counts": {"error": 1, "warning": 0, "advice": 0, "silenced": 1},
    }


def test_explain(run: Run) -> None:
    """A code is explained with an example."""
    ran = run("lint", "--explain", "pb109")
    assert ran.code == 0
    assert ran.out.startswith("PB109 (warning)\n\nNo flag of this name is known")
    assert "    flags: preserve_locale\n" in ran.out
    assert run("lint", "--explain", "PB777").code == 2


@pytest.mark.parametrize("path", [".", "nothing"])
def test_no_provider(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    """A place without a provider is a usage error that says what is wanted."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    ran = run("lint", path)
    assert (ran.code, ran.out) == (2, "")
    assert "is no provider" in ran.err or "is not there" in ran.err


def test_hostile_text(run: Run, provider: Write) -> None:
    """What a unit says cannot do anything to a terminal."""
    ran = run("lint", provider("id: a\nflags: simple\ncommand: true\nfoo\x1b[2Jbar: x\n"))
    assert "\x1b" not in ran.out
    assert "\\x1b[2J" in ran.out

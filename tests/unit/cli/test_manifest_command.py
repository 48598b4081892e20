# SPDX-License-Identifier: Apache-2.0
"""``plainbox manifest``: entries and answers shown, given, asked for, taken over and forgotten."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plainbox.runner.manifest import changed_manifest, load_manifest

UNITS = """
unit: manifest entry
id: has_wifi
_name: Wi-Fi
value-type: bool

unit: manifest entry
id: disks
_name: Disks
value-type: natural
value-unit: pieces
_prompt: How many disks are there?

unit: manifest entry
id: _secret
_name: A hidden one
value-type: bool
hidden-reason: set by the laboratory

unit: setup job
id: prepare
flags: simple
requires_manifest: has_wifi
command: true

id: count
flags: simple
imports: from com.canonical.plainbox import manifest
requires: manifest.disks == '2'
command: true

unit: test plan
id: both
_name: Both
setup_include: prepare
include: count

unit: test plan
id: one
_name: One
include: count
"""


@pytest.fixture
def demo(provider) -> Path:
    return provider(UNITS)


def stored(home: Path) -> dict[str, bool | int]:
    return load_manifest(home / "state" / "plainbox" / "machine-manifest.json")


def test_show(run, demo: Path) -> None:
    """Each entry with its answer, a dash where nobody has answered, and that a hidden one has none."""
    run("manifest", "set", "--provider", demo, "has_wifi=yes")
    shown = run("manifest", "show", "--provider", demo)
    rows = [line.split(maxsplit=2) for line in shown.out.splitlines() if "org.example" in line]
    assert rows == [
        ["org.example::has_wifi", "yes", "Wi-Fi"],
        ["org.example::disks", "-", "Disks"],
        ["org.example::_secret", "(hidden)", "A hidden one"],
    ]


def test_show_json(run, demo: Path) -> None:
    """The document says what jobs see and whether a person has said so."""
    run("manifest", "set", "--provider", demo, "org.example::disks=2")
    entries = {entry["id"]: entry for entry in run("manifest", "show", "--provider", demo, "--json").json["entries"]}
    disks, wifi = entries["org.example::disks"], entries["org.example::has_wifi"]
    assert (disks["value"], disks["answered"], disks["value_unit"]) == (2, True, "pieces")
    assert disks["prompt"] == "How many disks are there?"
    assert (wifi["value"], wifi["answered"], wifi["hidden"]) == (False, False, False)
    assert entries["org.example::_secret"]["hidden_reason"] == "set by the laboratory"


@pytest.mark.parametrize(("plan", "expected"), [("one", ["disks"]), ("both", ["disks", "has_wifi"])])
def test_of_a_plan(run, demo: Path, plan: str, expected: list[str]) -> None:
    """With a plan only what its jobs and setup jobs ask for is shown."""
    entries = run("manifest", "show", plan, "--provider", demo, "--json").json["entries"]
    assert [entry["id"] for entry in entries] == [f"org.example::{name}" for name in expected]


def test_answers_reach_the_run(run, demo: Path) -> None:
    """What was set is what jobs and setup jobs of the next run find."""
    run("manifest", "set", "--provider", demo, "has_wifi=y", "disks=2")
    assert run("run", "--provider", demo, "both").code == 0
    shown = run("session", "show", "--json", "--provider", demo).json
    assert {job["outcome"] for job in shown["jobs"]} == {"pass"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("has_wifi", "no answer"),
        ("has_wifi=perhaps", "neither yes nor no"),
        ("disks=-1", "natural number"),
        ("disks=two", "natural number"),
        ("has_wifii=yes", "has_wifi"),
        ("_secret=yes", "hidden"),
    ],
)
def test_bad_answers(run, demo: Path, home: Path, word: str, message: str) -> None:
    """An answer that is none is refused with the reason, and nothing of the same command is stored."""
    ran = run("manifest", "set", "--provider", demo, "disks=1", word)
    assert ran.code == 2
    assert message in ran.err
    assert stored(home) == {}


def test_unset(run, demo: Path, home: Path) -> None:
    """An answer is forgotten, also when its entry is no more."""
    run("manifest", "set", "--provider", demo, "has_wifi=yes", "disks=1")
    assert run("manifest", "unset", "--provider", demo, "disks").code == 0
    assert stored(home) == {"org.example::has_wifi": True}
    assert run("manifest", "unset", "org.example::has_wifi").code == 0
    assert stored(home) == {}
    assert run("manifest", "unset", "org.example::nothing").code == 2


def test_import(run, demo: Path, home: Path, tmp_path: Path) -> None:
    """The answers of another file are added to those there are; what is no answer is told and left out."""
    file = tmp_path / "other.json"
    content = {"has_wifi": "yes", "disks": 3, "_secret": True}
    strange = {"org.other::has_lte": True, "org.other::odd": "text", "org.other::half": 0.5}
    file.write_text(json.dumps({f"org.example::{name}": value for name, value in content.items()} | strange))
    ran = run("manifest", "import", file, "--provider", demo)
    assert ran.code == 0
    kept = {"org.example::has_wifi": True, "org.example::disks": 3, "org.other::has_lte": True}
    assert stored(home) == kept
    for name in ("org.example::_secret", "org.other::odd", "org.other::half"):
        assert f"{name} is left out" in ran.err
    file.write_text('{"org.example::disks": true}')
    assert "yes is not a natural number" in run("manifest", "import", file, "--provider", demo).err
    assert run("manifest", "import", tmp_path / "none.json").code == 2
    file.write_text("{")
    assert str(file) in run("manifest", "import", file).err
    assert stored(home) == kept


def test_nobody_to_ask(run, demo: Path) -> None:
    """Without a terminal nothing is asked."""
    ran = run("manifest", "ask", "--provider", demo)
    assert ran.code == 2
    assert "manifest set" in ran.err


def test_ask(demo: Path, home: Path) -> None:
    """A person at a terminal is asked for each entry without an answer, again after a slip, and never for hidden ones."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "plainbox.cli.main", "manifest", "ask", "--provider", str(demo)],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(child)
    os.write(parent, b"yes\nmany\n4\n")
    said = b""
    try:
        while piece := os.read(parent, 4096):
            said += piece
    except OSError:  # the other end is closed
        pass
    assert process.wait(timeout=60) == 0, said
    os.close(parent)
    assert stored(home) == {"org.example::has_wifi": True, "org.example::disks": 4}
    assert b"How many disks are there?" in said
    assert b"hidden one" not in said


def test_concurrent_changes(tmp_path: Path) -> None:
    """Two who change the file at the same time lose nothing of each other."""
    path = tmp_path / "manifest.json"

    def change(number: int) -> None:
        for index in range(20):
            with changed_manifest(path) as content:
                content[f"{number}-{index}"] = index

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_manifest(path)) == 80
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_a_change_that_fails(tmp_path: Path) -> None:
    """When the change raises, the file is as it was."""
    path = tmp_path / "manifest.json"
    with changed_manifest(path) as content:
        content["a"] = True

    def fail() -> None:
        with changed_manifest(path) as content:
            content["b"] = True
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert load_manifest(path) == {"a": True}

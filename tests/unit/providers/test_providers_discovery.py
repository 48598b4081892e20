# SPDX-License-Identifier: Apache-2.0
"""Where providers are found: named by the user, installed, bundled."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.errors import PlainboxError, ProviderError
from plainbox.providers import Provider
from plainbox.providers.discovery import bundled_providers, installed_providers, named_providers

GOOD = "[PlainBox Provider]\nname = org.example:{name}\nversion = 1.0\nrelocatable = True\n"


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Path]:
    """Make a directory with definitions and return it."""

    def make(directory: str, *names: str, text: str = GOOD) -> Path:
        path = tmp_path / directory
        path.mkdir(parents=True, exist_ok=True)
        for name in names:
            (path / f"{name}.provider").write_text(text.format(name=name))
        return path

    return make


def names(providers: list[Provider]) -> list[str]:
    return [provider.name for provider in providers]


# -- named


def test_a_directory_with_a_definition(place: Callable[..., Path]) -> None:
    """The provider in it, or all of them, sorted."""
    assert names(named_providers(place("a", "x"))) == ["org.example:x"]
    assert names(named_providers(place("a", "x", "b"))) == ["org.example:b", "org.example:x"]


def test_a_definition_may_be_named_itself(place: Callable[..., Path]) -> None:
    """Then the others beside it do not count."""
    assert names(named_providers(place("a", "x", "y") / "y.provider")) == ["org.example:y"]


def test_a_source_tree_may_be_named(tmp_path: Path) -> None:
    """A definition beside manage.py wins."""
    (tmp_path / "manage.py").write_text(
        "from plainbox.provider_manager import setup\nsetup(name='org.example:src', version='1')\n"
    )
    assert names(named_providers(tmp_path)) == ["org.example:src"]
    (tmp_path / "x.provider").write_text(GOOD.format(name="x"))
    assert names(named_providers(tmp_path)) == ["org.example:x"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nosuch", "no such provider directory"),
        ("nosuch.provider", "no such provider directory"),
        ("file.txt", "no such provider directory"),
        ("empty", "no provider in it: neither a .provider file nor a manage.py"),
        ("x" * 5000, "no such provider directory"),
        ("nul\0", "no such provider directory"),
        ("loop", "no such provider directory"),
    ],
)
def test_a_directory_without_a_provider(tmp_path: Path, path: str, message: str) -> None:
    """The error names the place, whatever the system thinks of it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ProviderError) as caught:
        named_providers(tmp_path / path)
    assert str(caught.value) == f"{tmp_path / path}: {message}"
    assert caught.value.exit_code == 2


def test_a_named_provider_with_a_bad_definition_raises(place: Callable[..., Path]) -> None:
    """What the user asked for by name is not left out silently."""
    with pytest.raises(ProviderError, match=r"x\.provider: the section"):
        named_providers(place("a", "x", text=""))


# -- installed


def installed(monkeypatch: pytest.MonkeyPatch, path: str) -> tuple[list[str], list[str]]:
    monkeypatch.setenv("PROVIDERPATH", path)
    problems: list[PlainboxError] = []
    found = names(list(installed_providers(problems)))
    return found, [str(problem) for problem in problems]


def test_the_provider_path_is_searched_in_its_order(
    place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of each directory are sorted by name, empty items count nothing."""
    path = f"{place('b', 'z', 'y')}::{place('a', 'x')}"
    assert installed(monkeypatch, path) == (["org.example:y", "org.example:z", "org.example:x"], [])


def test_a_directory_of_the_provider_path_that_is_missing_is_a_problem(
    place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others are searched."""
    found, problems = installed(monkeypatch, f"{tmp_path / 'nosuch'}:{place('a', 'x')}")
    assert (found, problems) == (["org.example:x"], [f"{tmp_path / 'nosuch'}: no such directory (from PROVIDERPATH)"])


def test_a_bad_definition_is_a_problem_and_no_more(place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is skipped, those beside it are not."""
    place("a", "bad", text="nonsense")
    found, [problem] = installed(monkeypatch, str(place("a", "good")))
    assert found == ["org.example:good"]
    assert "bad.provider:1: not a provider definition" in problem


def test_an_empty_provider_path_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It replaces the usual places all the same."""
    assert installed(monkeypatch, "") == ([], [])


def test_without_a_provider_path_the_data_directories_are_searched(
    place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those of the user first; that one of them is missing is no problem."""
    place("home/plainbox-providers-1", "mine")
    place("system/plainbox-providers-1", "theirs")
    monkeypatch.delenv("PROVIDERPATH", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_DIRS", f"{tmp_path / 'nosuch'}{os.pathsep}{tmp_path / 'system'}")
    problems: list[PlainboxError] = []
    assert names(list(installed_providers(problems))) == ["org.example:mine", "org.example:theirs"]
    assert problems == []


# -- bundled


def test_the_bundled_providers_are_good() -> None:
    """They load without a problem, and no unit of theirs has an error or a warning."""
    problems: list[PlainboxError] = []
    found = list(bundled_providers(problems))
    assert "com.canonical.plainbox:plainbox" in names(found)
    assert [
        str(issue)
        for provider in found
        for unit in provider.unit_list
        for issue in unit.issues
        if issue.severity != "advice"
    ] == []
    assert [
        str(problem) for problem in (*problems, *(item for provider in found for item in provider.problem_list))
    ] == []

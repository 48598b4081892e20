# SPDX-License-Identifier: Apache-2.0
"""The settings: which files count, which of them wins, and what is wrong with one that cannot be understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from plainbox.config import load_settings
from plainbox.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing() -> None:
    """Without any file there are defaults."""
    settings = load_settings()
    assert settings.environment == {}
    assert settings.strict_template_expansion


def test_precedence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's file wins over that of the machine, plainbox.conf over checkbox.conf, a variable over all files."""
    places = [
        "second/checkbox.conf",
        "first/checkbox.conf",
        "first/plainbox.conf",
        "first/plainbox/checkbox.conf",
        "home/checkbox.conf",
        "home/plainbox/plainbox.conf",
    ]
    for number, place in enumerate(places):
        later = "".join(f"V{index} = {place}\n" for index in range(number, len(places)))
        write(home / place, f"[environment]\n{later}")
    monkeypatch.setenv("PLAINBOX_CONF_ENVIRONMENT__V0", "variable")
    assert load_settings().environment == {
        "V0": "variable",
        **{f"V{number}": place for number, place in enumerate(places) if number},
    }


def test_texts_mean_themselves(home: Path) -> None:
    """Percent signs, colons, upper case and odd sections are just text."""
    write(home / "home" / "plainbox.conf", "[a:b:c]\nx = 1\n[environment]\nURL = http://x/%20y%\nlower = a = b\n")
    assert load_settings().environment == {"URL": "http://x/%20y%", "lower": "a = b"}


@pytest.mark.parametrize(("text", "strict"), [("no", False), ("False", False), ("yes", True), ("1", True)])
def test_strict_template_expansion(home: Path, text: str, strict: bool) -> None:
    """The switch is a word for yes or no."""
    write(home / "home" / "checkbox.conf", f"[features]\nstrict_template_expansion = {text}\n")
    assert load_settings().strict_template_expansion is strict


@pytest.mark.parametrize("text", ["no section", "[environment]\na\n", "[environment]\na = 1\na = 2\n", "[", "\xff"])
def test_bad_file(home: Path, text: str) -> None:
    """A file that is none is an error that names it."""
    path = home / "home" / "plainbox.conf"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"plainbox\.conf"):
        load_settings()


def test_bad_value(home: Path) -> None:
    """A switch that is neither on nor off is an error that names the place."""
    write(home / "home" / "plainbox.conf", "[features]\nstrict_template_expansion = perhaps\n")
    with pytest.raises(UsageError, match=r"plainbox\.conf.*strict_template_expansion.*perhaps"):
        load_settings()

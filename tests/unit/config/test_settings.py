# SPDX-License-Identifier: Apache-2.0
"""The settings: which files count, which of them wins, and what is wrong with one that cannot be understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from plainbox.config import declared_settings, load_settings
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


def test_sessions(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of sessions have types of their own; nothing is kept or removed unless somebody says so."""
    before = load_settings()
    assert (before.keep, before.keep_days, before.max_log_bytes) == (None, None, None)
    assert (before.durability, before.on_crash) == ("full", "crash")
    write(
        home / "home" / "plainbox.conf",
        "[sessions]\nkeep = 20\nkeep_days = 0.5\nmax_log_bytes = 16 MiB\ndurability = relaxed\non_crash = retry\n",
    )
    settings = load_settings()
    assert (settings.keep, settings.keep_days, settings.max_log_bytes) == (20, 0.5, 16 * 1024**2)
    assert (settings.durability, settings.on_crash) == ("relaxed", "retry")
    monkeypatch.setenv("PLAINBOX_CONF_SESSIONS__KEEP", "3")
    assert load_settings().keep == 3


def test_empty_value(home: Path) -> None:
    """An empty value takes back what a weaker file has set."""
    write(home / "first" / "plainbox.conf", "[sessions]\nkeep = 20\ndurability = relaxed\n")
    write(home / "home" / "plainbox.conf", "[sessions]\nkeep =\ndurability =\n")
    settings = load_settings()
    assert (settings.keep, settings.durability) == (None, "full")


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("keep = ten", "keep: 'ten' is no whole number from 1 on", None),
        ("keep = 0", "keep: '0' is no whole number", None),
        ("keep = -1", "keep: '-1'", None),
        ("keep = ٣", "keep: ", None),
        ("keep_days = 0", "keep_days: '0' is no number of days above 0", None),
        ("keep_days = nan", "keep_days: 'nan'", None),
        ("keep_days = 1e999", "keep_days: '1e999'", None),
        ("max_log_bytes = 0", "max_log_bytes: '0'", None),
        ("max_log_bytes = 5 parsecs", "max_log_bytes: '5 parsecs'", None),
        ("durability = fulll", "durability: 'fulll' is none of full, relaxed", "did you mean 'full'?"),
        ("on_crash = Retry", "on_crash: 'Retry'", "did you mean 'retry'?"),
        ("keep_day = 3", "[sessions] keep_day is no setting", "did you mean 'keep_days'?"),
        ("zzz = 3", "[sessions] zzz is no setting", "known are keep, "),
    ],
)
def test_wrong_value_of_sessions(home: Path, line: str, message: str, hint: str | None) -> None:
    """A wrong value is told with file, line and what may be meant."""
    path = home / "home" / "plainbox.conf"
    write(path, f"# keep = 1\n[other]\n{line}\n\n[sessions]\n{line}\n")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{path}:6: [sessions] ")
    assert message in str(caught.value)
    assert hint is None or (caught.value.hint or "").startswith(hint)


def test_wrong_value_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value of a variable is told with its name."""
    monkeypatch.setenv("PLAINBOX_CONF_SESSIONS__KEEP", "all")
    with pytest.raises(UsageError, match=r"PLAINBOX_CONF_SESSIONS__KEEP.*'all'"):
        load_settings()


def test_every_setting_is_described() -> None:
    """Each setting has a section, a key and a sentence, and its default is one of its values."""
    names = [(setting.section, setting.key) for setting in declared_settings()]
    assert len(names) == len(set(names)) > 5
    for setting in declared_settings():
        assert setting.doc.endswith(".")
        if setting.kind.words and isinstance(setting.default, str):
            assert setting.kind.read(setting.default) == setting.default

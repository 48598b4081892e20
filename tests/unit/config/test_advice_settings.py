# SPDX-License-Identifier: Apache-2.0
"""The sections about advice: what they say, where, and which file wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from plainbox.config import load_advice_settings
from plainbox.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "machine"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing() -> None:
    """Without any file there is nothing."""
    settings = load_advice_settings()
    assert (settings.layers, dict(settings.remotes), settings.rules) == ((), {}, ())


def test_layers(home: Path) -> None:
    """Each file is a layer of its own, the weakest first, and a text knows its line."""
    write(home / "machine" / "plainbox.conf", "[advice-chain:default]\nadvices = log\n")
    write(home / "home" / "plainbox.conf", "# mine\n[advice-chain:default]\n\nadvices = inherit,\n  retry\n")
    machine, user = load_advice_settings().layers
    assert (machine["default"].text, machine["default"].line) == ("log", 2)
    assert (user["default"].text, user["default"].line) == ("inherit,\nretry", 4)
    assert user["default"].source == str(home / "home" / "plainbox.conf")


def test_remote_is_replaced_as_a_whole(home: Path) -> None:
    """A remote of a stronger file has no key of the weaker one."""
    write(home / "machine" / "plainbox.conf", "[remote:bench]\nhost = a\nkey_file = k\n")
    write(home / "home" / "plainbox.conf", "[remote:bench]\nhost = b\n[remote:empty]\n")
    remotes = load_advice_settings().remotes
    assert {name: dict(remote.values) for name, remote in remotes.items()} == {"bench": {"host": "b"}}
    assert (remotes["bench"].source, remotes["bench"].line) == (str(home / "home" / "plainbox.conf"), 2)


def test_rules(home: Path) -> None:
    """The rules of a stronger file come first, those of one file in their order; a pattern may have colons."""
    write(home / "machine" / "plainbox.conf", "[advice-rules]\n.* = weak\n")
    write(home / "home" / "plainbox.conf", "[advice-rules]\norg.example::stress/.* = dut\n.*::x = other\n")
    rules = load_advice_settings().rules
    assert [(pattern, text.text, text.line) for pattern, text in rules] == [
        ("org.example::stress/.*", "dut", 2),
        (".*::x", "other", 3),
        (".*", "weak", 2),
    ]


def test_variables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable defines a chain or a remote, with ``_`` for ``-`` in its name, and wins over all files."""
    write(home / "home" / "plainbox.conf", "[advice-chain:on-dut]\nadvices = log\n")
    monkeypatch.setenv("PLAINBOX_CONF_ADVICE_CHAIN_ON_DUT__ADVICES", "retry")
    monkeypatch.setenv("PLAINBOX_CONF_REMOTE_BENCH_3__HOST", "b3")
    settings = load_advice_settings()
    assert [layer["on-dut"].text for layer in settings.layers] == ["log", "retry"]
    assert settings.layers[-1]["on-dut"].source == "the variable PLAINBOX_CONF_ADVICE_CHAIN_ON_DUT__ADVICES"
    assert dict(settings.remotes["bench-3"].values) == {"host": "b3"}


@pytest.mark.parametrize(
    ("section", "meant"),
    [
        ("advice-chains:x", "advice-chain:x"),
        ("advice_chain:on-dut", "advice-chain:on-dut"),
        ("Advice-Chain:x", "advice-chain:x"),
        ("advice-chain x", "advice-chain:x"),
        ("advice-chain", "advice-chain:NAME"),
        ("advice_rules", "advice-rules"),
        ("advice-rule", "advice-rules"),
        ("remotes:bench", "remote:bench"),
        ("remote-bench", "remote:bench"),
        ("remote:", "remote:NAME"),
    ],
)
def test_section_that_is_nearly_one(home: Path, section: str, meant: str) -> None:
    """A section that nobody reads and that is nearly one of these is no silent nothing."""
    write(home / "home" / "plainbox.conf", f"[{section}]\nadvices = log\n")
    with pytest.raises(UsageError, match=r"plainbox\.conf: \[.*\] is no section") as caught:
        load_advice_settings()
    assert caught.value.hint == f"did you mean [{meant}]?"


def test_other_sections(home: Path) -> None:
    """Sections of others are none of ours."""
    others = ("environment", "test plan", "manifest", "report:x", "transport:c3", "exporter:html", "restart", "ui")
    write(home / "home" / "plainbox.conf", "".join(f"[{section}]\nkey = 1\n" for section in others))
    assert load_advice_settings().layers == ()


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("ADVICE_CHAINS_ON_DUT__ADVICES", "did you mean PLAINBOX_CONF_ADVICE_CHAIN_ON_DUT__ADVICES?"),
        ("REMOTES_BENCH__HOST", "did you mean PLAINBOX_CONF_REMOTE_BENCH__KEY?"),
        ("REMOTE__HOST", "did you mean PLAINBOX_CONF_REMOTE_NAME__KEY?"),
        ("ADVICE_RULES__X", "[advice-rules] stands in configuration files"),
    ],
)
def test_variable_that_is_nearly_one(monkeypatch: pytest.MonkeyPatch, variable: str, hint: str) -> None:
    """The same holds for variables."""
    monkeypatch.setenv(f"PLAINBOX_CONF_{variable}", "x")
    with pytest.raises(UsageError, match=f"the variable PLAINBOX_CONF_{variable} sets nothing") as caught:
        load_advice_settings()
    assert caught.value.hint == hint


def test_unknown_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section of a chain has one key."""
    write(home / "home" / "plainbox.conf", "[advice-chain:x]\nadvices = log\nretry = 2\n")
    with pytest.raises(UsageError, match=r"plainbox\.conf:3: \[advice-chain:x\] retry is no setting"):
        load_advice_settings()
    (home / "home" / "plainbox.conf").unlink()
    monkeypatch.setenv("PLAINBOX_CONF_ADVICE_CHAIN_X__RETRY", "2")
    with pytest.raises(UsageError, match="a chain has no 'retry'"):
        load_advice_settings()

# SPDX-License-Identifier: Apache-2.0
"""Texts of providers in the reader's language."""

from __future__ import annotations

import io
import logging
import random
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from plainbox import i18n


def compiled(**translations: str) -> bytes:
    catalogue = Catalog(locale="de")
    for message, translation in translations.items():
        catalogue.add(message, translation)
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def install(directory: Path, language: str, content: bytes) -> Path:
    path = directory / language / "LC_MESSAGES" / "demo.mo"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de:fr")
    i18n._catalogue.cache_clear()


def test_reader_has_several_languages(tmp_path: Path) -> None:
    """What the first language lacks comes from the second, and what none has stays as it is."""
    install(tmp_path, "de", compiled(yes="ja"))
    install(tmp_path, "fr", compiled(yes="oui", no="non"))
    found = [i18n.provider_text("demo", tmp_path, message) for message in ("yes", "no", "perhaps")]
    assert found == ["ja", "non", "perhaps"]


@pytest.mark.parametrize(
    "content", [b"", b"text", compiled(yes="ja")[:40], compiled(yes="ja").replace(b"utf-8", b"xyz-8")]
)
def test_damaged_catalogue_is_told_and_passed_over(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A catalogue that cannot be read costs its own translations only; a warning names it."""
    path = install(tmp_path, "de", content)
    install(tmp_path, "fr", compiled(yes="oui"))
    with caplog.at_level(logging.WARNING):
        assert i18n.provider_text("demo", tmp_path, "yes") == "oui"
    assert str(path) in caplog.text


def test_any_damage(tmp_path: Path) -> None:
    """Whatever bytes of a catalogue change, texts come out."""
    good = compiled(yes="ja", no="nein")
    chance = random.Random(1)
    for _ in range(500):
        content = bytearray(good)
        for _ in range(chance.choice((1, 2, 8))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        install(tmp_path, "de", bytes(content))
        i18n._catalogue.cache_clear()
        assert isinstance(i18n.provider_text("demo", tmp_path, "yes"), str)

# SPDX-License-Identifier: Apache-2.0
"""The answers about the machine: read from their file, shown to jobs as records of a resource."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plainbox.errors import UsageError
from plainbox.runner.manifest import load_manifest, manifest_records
from plainbox.session.resources import records_of
from plainbox.session.result import MemoryJobResult
from plainbox.units import ManifestEntryUnit


class Provider:
    version = "1"
    gettext_domain = units_dir = jobs_dir = data_dir = bin_dir = locale_dir = None
    base_dir = Path("/nowhere")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.name = f"{namespace}:p"


def entry(partial_id: str, provider: Provider, **fields: str) -> ManifestEntryUnit:
    data = {"id": partial_id, "name": partial_id, "value-type": "bool", **fields}
    return ManifestEntryUnit(data, provider=provider)


def test_no_file(tmp_path: Path) -> None:
    """No file means no answers."""
    assert load_manifest(tmp_path / "none.json") == {}


def test_file(tmp_path: Path) -> None:
    """Answers are yes, no and numbers; anything else is left out."""
    path = tmp_path / "manifest.json"
    path.write_text('{"a::b": true, "a::c": 3, "a::d": "text", "a::e": null, "a::f": [1]}')
    assert load_manifest(path) == {"a::b": True, "a::c": 3}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff"])
def test_bad_file(tmp_path: Path, content: bytes) -> None:
    """A file that is none is told with its place; nobody runs with answers that were not understood."""
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        load_manifest(path)
    assert str(path) in str(raised.value)


def test_directory_in_its_place(tmp_path: Path) -> None:
    """Something else than a file is told too."""
    os.mkdir(tmp_path / "manifest.json")
    with pytest.raises(UsageError):
        load_manifest(tmp_path / "manifest.json")


def test_records() -> None:
    """Each provider with entries has one record; what is not answered is a no, and nobody answers for hidden ones."""
    one, two = Provider("org.one"), Provider("org.two")
    entries = [
        entry("has-x", one),
        entry("has-y", one),
        entry("count", two, **{"value-type": "natural"}),
        entry("_hidden", one, **{"hidden-reason": "it is always so"}),
    ]
    text = manifest_records(entries, {"org.one::has-x": True, "org.two::count": 4, "org.one::_hidden": True})
    found = records_of(MemoryJobResult({"outcome": "pass", "io_log": [(0.0, "stdout", text.encode())]}), "m")
    assert [(record["ns"], record["name"]) for record in found] == [("org.one", "org.one:p"), ("org.two", "org.two:p")]
    assert found[0]["has-x"] == "True"
    assert found[0]["has-y"] == "False"
    assert found[1]["count"] == "4"
    assert found[0]["_hidden"] == "False"


def test_no_entries() -> None:
    """Without entries there are no records."""
    assert manifest_records([], {}) == ""

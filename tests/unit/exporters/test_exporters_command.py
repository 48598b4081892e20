# SPDX-License-Identifier: Apache-2.0
"""How the command writes the reports that were asked for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import BinaryIO

import pytest

from plainbox.cli import running
from plainbox.cli.reports import Report
from plainbox.exporters import Exporter
from plainbox.exporters import Report as View
from plainbox.exporters.json import JsonExporter
from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.units.exporter import ExporterUnitSupport


class _Broken(Exporter):
    def dump(self, data: View, stream: BinaryIO) -> None:
        raise RuntimeError("a fault of this exporter")


def test_exporter_with_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of one exporter is told with the name of the format; the other reports are written, the exit code is 4."""
    provider = tmp_path / "provider"
    (provider / "units").mkdir(parents=True)
    (provider / "x.provider").write_text("[PlainBox Provider]\nname = org.example:x\nversion = 1\nrelocatable = True\n")
    (provider / "units" / "x.pxu").write_text("id: a\nplugin: shell\ncommand: true\n")
    monkeypatch.setattr(
        ExporterUnitSupport,
        "exporter_cls",
        property(lambda support: _Broken if support.file_extension == "html" else JsonExporter),
        raising=True,
    )
    target = tmp_path / "report.json"
    arguments = argparse.Namespace(
        quiet=True,
        verbose=False,
        no_input=True,
        session_timeout=None,
        jobs=1,
        reports=[Report("html", str(tmp_path / "x")), Report("json", str(target))],
    )
    with SessionRun.start(
        Catalogue.load([provider]),
        Selection(patterns=("org.example::a",)),
        repository=SessionStorageRepository(tmp_path / "sessions"),
    ) as run:
        assert running.carry_through(run, arguments) == running.EXIT_REPORT
    assert json.loads(target.read_text())["results"]
    told = capsys.readouterr().err
    assert "no html report: RuntimeError: a fault of this exporter" in told
    assert not (tmp_path / "x").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []

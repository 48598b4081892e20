# SPDX-License-Identifier: Apache-2.0
"""What jobs tell of themselves, in every report."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from exporter_samples import EXPORTERS, HOSTILE, job, manager_of, result
from lxml import etree, html

from plainbox.exporters.html import HtmlExporter
from plainbox.exporters.json import JsonExporter
from plainbox.exporters.junit import JUnitExporter
from plainbox.exporters.text import TextExporter
from plainbox.exporters.xlsx import XlsxExporter
from plainbox.session.manager import SessionManager
from plainbox.session.result import DiskJobResult

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[2] / "data" / "junit.xsd"))
SUBTESTS = [
    {"name": "left", "outcome": "pass"},
    {"name": "right <b>", "outcome": "fail", "comment": "no sound\nat all"},
]
MEASUREMENTS = [
    {"name": "volume", "value": 12.5, "unit": "dB", "lower": 10, "upper": 20, "verdict": "pass"},
    {"name": "noise", "value": 9, "upper": 3, "verdict": "fail"},
    {"name": "codec", "value": "flac"},
    {"name": "shape", "value": {"a": [1, None]}},
]
CONTENT = b"<script>alert(1)</script>\n"


def _attached(manager: SessionManager, data: bytes, name: str = "a <i>.html") -> dict[str, object]:
    path = Path(manager.storage.location, "attachments", "x.1", "page.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"name": name, "path": "attachments/x.1/page.html", "size": len(data), "sha256": "0" * 64}


@pytest.fixture
def told(tmp_path: Path) -> SessionManager:
    """A session with a job that has told everything, and one that has told nothing."""
    manager = manager_of(tmp_path, {job("audio/volume"): [], job("audio/other"): [result("pass")]})
    state = manager.state
    assert state is not None
    item = next(job_state.job for job_state in state.job_state_map.values() if job_state.job.id == "audio/volume")
    data = {
        "outcome": "fail",
        "subtests": SUBTESTS,
        "measurements": MEASUREMENTS,
        "attachments": [_attached(manager, CONTENT)],
        "log": {"path": "io-logs/none", "frames": 0},
    }
    state.update_job_result(item, DiskJobResult(data, manager.storage.location))
    return manager


def test_json(told: SessionManager, export: Callable[..., bytes]) -> None:
    """The submission has it as it was told, under keys of its own; paths are those in the session."""
    results = {item["id"]: item for item in json.loads(export(JsonExporter(), told))["results"]}
    found = results["audio/volume"]
    assert found["subtests"] == SUBTESTS
    assert found["measurements"] == MEASUREMENTS
    assert [item["path"] for item in found["attachments"]] == ["attachments/x.1/page.html"]
    assert not {"subtests", "measurements", "attachments"} & results["audio/other"].keys()


def test_html(told: SessionManager, export: Callable[..., bytes]) -> None:
    """The page has tables, and the file in a link that saves it and never shows it."""
    page = html.document_fromstring(export(HtmlExporter(), told).decode())
    [body] = [item for item in page.find_class("job") if "audio/volume" in item.text_content()]
    rows = [[cell.text_content() for cell in row.iter("td")] for row in body.iter("tr")]
    assert [row for row in rows if row] == [
        ["left", "Passed", ""],
        ["right <b>", "Failed", "no sound\nat all"],
        ["volume", "12.5 dB", "10 to 20", "Passed"],
        ["noise", "9", "at most 3", "Failed"],
        ["codec", "flac", "", ""],
        ["shape", '{"a": [1, null]}', "", ""],
    ]
    [link] = [item for item in body.iter("a") if item.get("download")]
    assert link.get("download") == "a <i>.html"
    kind, _, data = link.get("href").partition(",")
    assert kind == "data:application/octet-stream;base64"
    assert base64.b64decode(data) == CONTENT


@pytest.mark.parametrize("trouble", ["large", "gone", "link", "changed"])
def test_files_that_are_not_in_the_page(told: SessionManager, export: Callable[..., bytes], trouble: str) -> None:
    """A file that is too large, not there, or not what it was is named and not in the page."""
    path = Path(told.storage.location, "attachments", "x.1", "page.html")
    path.unlink()
    if trouble == "link":
        path.symlink_to("/etc/passwd")
    elif trouble == "changed":
        path.write_bytes(b"other")
    elif trouble == "large":
        assert told.state is not None
        [state] = [item for item in told.state.job_state_map.values() if item.job.id == "audio/volume"]
        data = {**state.result.as_dict(), "attachments": [_attached(told, bytes(300_000))]}
        told.state.update_job_result(state.job, DiskJobResult(data, told.storage.location))
    text = export(HtmlExporter(), told).decode()
    assert "data:" not in text
    assert "kept in the session as" in text
    assert told.storage.location not in text


def test_junit(told: SessionManager, export: Callable[..., bytes]) -> None:
    """The case has it in its output, in a form that consumers check."""
    data = export(JUnitExporter(), told)
    document = etree.fromstring(data)
    SCHEMA.assertValid(document)
    [case] = document.xpath("//testcase[@name='audio/volume']")
    assert case.find("system-out").text.splitlines() == [
        "left: pass",
        "right <b>: fail: no sound",
        "at all",
        "volume: 12.5 dB (10 to 20, good)",
        "noise: 9 (at most 3, NOT GOOD)",
        "codec: flac",
        'shape: {"a": [1, null]}',
        "attached: attachments/x.1/page.html",
    ]


def test_text(told: SessionManager, export: Callable[..., bytes]) -> None:
    """The text has a line for each, below the job."""
    lines = [line.strip() for line in export(TextExporter(), told).decode().splitlines()]
    for line in ("left: pass", "right <b>: fail (no sound)", "noise: 9 (at most 3, NOT GOOD)"):
        assert line in lines


def test_xlsx(told: SessionManager, export: Callable[..., bytes]) -> None:
    """The spreadsheet has a sheet of measurements, numbers as numbers, and one of parts."""
    book = openpyxl.load_workbook(io.BytesIO(export(XlsxExporter(), told)))
    assert book.sheetnames == ["Summary", "Test Results", "Measurements", "Parts", "Resources"]
    rows = [row[1:7] for row in book["Measurements"].iter_rows(min_row=2, values_only=True)]
    assert rows == [
        ("volume", 12.5, "dB", 10, 20, "pass"),
        ("noise", 9, None, None, 3, "fail"),
        ("codec", "flac", None, None, None, None),
        ("shape", '{"a": [1, null]}', None, None, None, None),
    ]
    assert [row[1:4] for row in book["Parts"].iter_rows(min_row=2, values_only=True)] == [
        ("left", "pass", None),
        ("right <b>", "fail", "no sound\nat all"),
    ]


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(tmp_path: Path, export: Callable[..., bytes], name: str, text: str) -> None:
    """Whatever was told, each report can be read by who reads it."""
    told = {
        "subtests": [{"name": text, "outcome": "pass", "comment": text}, {"name": 3, "outcome": text}, {}],
        "measurements": [{"name": text, "value": text, "unit": text, "lower": text, "verdict": text}, {}],
        "attachments": [{"name": text, "path": "attachments/x", "size": text, "media_type": text}],
    }
    data = export(EXPORTERS[name](), manager_of(tmp_path, {job("a"): [result("pass", **told)]}))
    if name == "html":
        assert len(html.document_fromstring(data.decode()).xpath("//script")) == 1
    elif name == "junit":
        SCHEMA.assertValid(etree.fromstring(data))
    elif name == "json":
        assert json.loads(data)["results"]
    elif name == "xlsx":
        openpyxl.load_workbook(io.BytesIO(data))
    else:
        assert not set(data.decode()) & set("\x00\x07\x0b\x1b")

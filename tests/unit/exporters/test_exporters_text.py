# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exporter_samples import job, manager_of, result

from plainbox.exporters.text import TextExporter
from plainbox.session.manager import SessionManager
from plainbox.units import CategoryUnit


def _small(tmp_path: Path) -> SessionManager:
    return manager_of(
        tmp_path,
        {
            job("a", _summary="First\ncheck", category_id="cpu"): [
                result("pass", execution_duration=1.5, comments="fine", io_log=[(0.0, "stdout", b"one\ntwo")])
            ],
            job("b", _summary="Zweite Prüfung", category_id="cpu"): [result("skipped-resource", comments="no CPU")],
            job("r", plugin="resource"): [result("pass")],
        },
        [CategoryUnit({"id": "cpu", "_name": "CPU tests"})],
    )


def _body(text: str) -> list[str]:
    return text.splitlines()[2:]


def test_lines(tmp_path: Path, export: Callable[..., bytes]) -> None:
    """Categories are headings, each job has one line and its reason the next, sums come last."""
    assert _body(export(TextExporter(), _small(tmp_path)).decode()) == [
        "",
        "CPU tests",
        "  ☑ passed                       First check (1.50 s)",
        "  ☐ skipped (unmet resource)     Zweite Prüfung",
        "                                 no CPU",
        "",
        "Resources and attachments",
        "  ☑ passed                       r",
        "",
        "2 tests: 1 passed, 1 skipped (unmet resource)",
        "1 resource: 1 passed",
        "Passed",
    ]


def test_ascii(tmp_path: Path, export: Callable[..., bytes]) -> None:
    """With the option nothing but ASCII is written."""
    text = export(TextExporter(["ascii"]), _small(tmp_path)).decode("ascii")
    assert "  + passed                       First check" in text
    assert "  o skipped (unmet resource)     Zweite Pr\\xfcfung" in text


def test_comments_logs_and_status_on_request(tmp_path: Path, export: Callable[..., bytes]) -> None:
    """Options add comments, logs and the certification status."""
    options = ["with-comments", "with-io-log", "with-certification-status"]
    lines = _body(export(TextExporter(options), _small(tmp_path)).decode())
    margin = " " * 33
    assert lines[2:6] == [
        "  ☑ passed                       First check [non-blocker] (1.50 s)",
        margin + "fine",
        margin + "| one",
        margin + "| two",
    ]


def test_options_of_old_launchers_are_accepted() -> None:
    """Options that launchers give to the text report do not keep it from being made."""
    TextExporter(["with-io-log", "flatten-io-log", "with-run-list", "with-category-map", "with-job-hash"])

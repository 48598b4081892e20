# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_samples import job, manager_of, result

from plainbox.exporters import Exporter, Report
from plainbox.exporters.facts import machine_facts
from plainbox.exporters.phrases import duration, moment, reflowed, verdict
from plainbox.exporters.record import return_code_text
from plainbox.exporters.report import by_category, counts
from plainbox.session.manager import SessionManager
from plainbox.session.result import MemoryJobResult
from plainbox.session.storage import SessionStorage
from plainbox.session.suspend import SessionSuspendHelper
from plainbox.units import CategoryUnit


def test_exporting_changes_nothing(
    session: SessionManager, exporter_class: type[Exporter], export: Callable[..., bytes]
) -> None:
    """What would be stored is the same byte for byte before and after a report."""
    state = session.state
    assert state is not None
    state.system_information = None
    before = SessionSuspendHelper().suspend(state, session.storage.location)
    assert export(exporter_class(), session)
    assert SessionSuspendHelper().suspend(state, session.storage.location) == before


def test_two_reports_are_the_same(
    session: SessionManager, exporter_class: type[Exporter], export: Callable[..., bytes]
) -> None:
    """A report depends on the session alone, not on when it is made."""
    exporter = exporter_class()
    assert export(exporter, session) == export(exporter, session)


def test_session_without_a_device(tmp_path: Path, exporter_class: type[Exporter], export: Callable[..., bytes]) -> None:
    """A session that has nothing yet gives an empty report."""
    manager = SessionManager([], SessionStorage.create(str(tmp_path)))
    assert export(exporter_class(), manager)


def test_jobs_of_the_run_list_then_others(tmp_path: Path) -> None:
    """The run list comes in its order, whether run or not; then jobs that have an outcome beside it."""
    first, second, setup = job("b"), job("a"), job("setup")
    manager = manager_of(tmp_path, {first: [result("pass")], second: []}, [setup])
    state = manager.state
    assert state is not None
    state.update_job_result(setup, result("pass"))
    report = Report.of(manager)
    assert [(record.number, record.id, record.outcome) for record in report.jobs] == [
        (1, "b", "pass"),
        (2, "a", None),
        (3, "setup", "pass"),
    ]


@pytest.mark.parametrize(
    ("outcomes", "expected", "sentence"),
    [
        (["pass", "skip"], "passed", "Passed"),
        (["pass", "fail", "crash"], "failed", "Failed: 1 job failed, 1 job crashed"),
        (["pass", "undecided"], "incomplete", "Incomplete: 1 job without a verdict"),
        (["pass", None], "incomplete", "Incomplete: 1 job without a verdict"),
        (["skip", "not-supported"], "nothing ran", "Nothing ran"),
        ([], "nothing ran", "Nothing ran"),
    ],
)
def test_verdict(tmp_path: Path, outcomes: list[str | None], expected: str, sentence: str) -> None:
    """The worst that happened is the verdict; without a single pass nothing ran."""
    report = Report.of(
        manager_of(tmp_path, {job(f"j{n}"): [result(value)] if value else [] for n, value in enumerate(outcomes)})
    )
    assert report.verdict == expected
    assert verdict(report) == sentence


def test_tests_and_collecting_jobs(tmp_path: Path) -> None:
    """Resource and attachment jobs are no tests, unless they failed."""
    manager = manager_of(
        tmp_path,
        {
            job("r1", plugin="resource"): [result("pass")],
            job("r2", plugin="resource"): [result("crash")],
            job("a1", plugin="attachment"): [result("pass")],
            job("t1"): [result("pass")],
        },
    )
    report = Report.of(manager)
    assert [record.id for record in report.tests] == ["r2", "t1"]
    assert [record.id for record in report.supporting] == ["r1", "a1"]
    assert counts(report.tests) == {"crash": 1, "pass": 1}


def test_categories_by_name(tmp_path: Path) -> None:
    """Categories are sorted by name; one that no provider defines is named by its id."""
    jobs = {job(name, category_id=name): [result("pass")] for name in ("zz", "known", "no::power-management")}
    jobs[job("unrun", category_id="known2")] = []
    extra = [CategoryUnit({"id": "known", "_name": "Known\nthings"}), CategoryUnit({"id": "known2", "_name": "Äpfel"})]
    found = by_category(Report.of(manager_of(tmp_path, jobs, list(extra))).jobs)
    assert [category.name for category in found] == ["Known things", "Power management", "Zz", "Äpfel"]


def test_explanation_of_each_outcome(session: SessionManager) -> None:
    """Every job that neither passed nor was skipped without words has an explanation."""
    explained = {record.id: record.explanation for record in Report.of(session).jobs}
    assert explained["graphics/vulkan"] == "ended by signal 11 (SIGSEGV)"
    assert explained["networking/wwan"] == "needs the manifest entry com.canonical.plainbox::has_wwan"
    assert explained["disk/trim"] == "job cannot be started"
    assert explained["networking/iperf"] == ""
    assert explained["audio/check-1"] == ""


def test_rerun_that_is_still_open(tmp_path: Path) -> None:
    """A job that is being run again counts as not started and keeps its history."""
    item = job("a")
    manager = manager_of(tmp_path, {item: [result("fail")]})
    assert manager.state is not None
    manager.state.job_state_map["a"].result = MemoryJobResult({})
    (record,) = Report.of(manager).jobs
    assert record.outcome is None
    assert [attempt.outcome for attempt in record.history] == ["fail"]


def test_facts(session: SessionManager) -> None:
    """The machine is described from resources first, then from the system information."""
    assert dict(machine_facts(Report.of(session))) == {
        "Machine": "Example Systems Workbook 14 G3",
        "Host": "bench-07",
        "System": "Debian GNU/Linux 12 (bookworm)",
        "Kernel": "6.1.0-28-amd64 x86_64",
        "Processor": "16 \N{MULTIPLICATION SIGN} AMD Ryzen 7 PRO 7840U w/ Radeon 780M",
        "Memory": "32 GiB",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0 s"),
        (0.0042, "4 ms"),
        (0.0999, "0.10 s"),
        (9.949, "9.95 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min"),
        (61, "1 min 01 s"),
        (3600, "1 h 00 min"),
        (-3, "0 s"),
        (1e9, "277777 h 46 min"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """Durations read as people say them."""
    assert duration(seconds) == text


def test_reflowed() -> None:
    """Paragraphs flow, lists and short lines stay."""
    long = "word " * 14
    assert reflowed(f"{long}\nand on\nshort\nlines\n\n{long}\n 1. one\n{long}\n- two\n{long}\n2. x") == (
        f"{long.strip()} and on\nshort\nlines\n\n{long}\n 1. one\n{long}\n- two\n{long}\n2. x"
    )


def test_moment_out_of_range() -> None:
    """A time that no calendar has is left out."""
    assert moment(1_790_000_000) == "2026-09-21 14:13:20 UTC"
    assert moment(1e30) == ""


@pytest.mark.parametrize(
    ("code", "text"),
    [(3, "exit status 3"), (-9, "ended by signal 9 (SIGKILL)"), (-12345, "ended by signal 12345")],
)
def test_return_code_text(code: int, text: str) -> None:
    """Negative return codes are signals, known ones by name."""
    assert return_code_text(code) == text

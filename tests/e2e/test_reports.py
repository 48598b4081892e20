# SPDX-License-Identifier: Apache-2.0
"""The five reports of one session that was killed and gone on with, as their readers see them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import openpyxl
import pytest
from lxml import etree

UNITS = """
unit: category
id: first
_name: First things

id: res
plugin: resource
command:
 echo 'name: x'

id: passes
_summary: Passes & <prints>
plugin: shell
category_id: first
command: echo "out <b>&amp;</b>"; echo "err" >&2

id: fails
plugin: shell
certification-status: blocker
command: echo "it is broken"; exit 3

id: skipped
plugin: shell
requires: res.name == 'y'
command: true

id: needs-a-person
plugin: manual
description: Look at it

id: attached
plugin: attachment
command: cat /proc/version

id: interrupted
plugin: shell
command: touch "$STARTED"; echo "half way"; test -e "$STARTED.again" || sleep 60

unit: test plan
id: plan
_name: A plan with everything
include: .*
"""
SCHEMA = Path(__file__).parents[1] / "data" / "junit.xsd"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session that was killed in a job and resumed; its reports are exported by the command."""
    from e2e_support import Plainbox, write_provider

    home = tmp_path_factory.mktemp("reports")
    plainbox = Plainbox(home)
    provider = write_provider(home / "provider", UNITS)
    started = home / "started"
    process = plainbox.start("run", "--no-input", "--provider", provider, "plan", STARTED=str(started))
    deadline = time.monotonic() + 60
    # What the job has printed is to be in its log, which is a moment behind.
    while not any(b"half way" in log.read_bytes() for log in plainbox.sessions.glob("*/io-logs/*interrupted*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    plainbox.run("export", "-f", "json", "-o", home / "killed.json")
    done = plainbox.run("resume", "--no-input", code=1, STARTED=str(started))
    assert "org.example::interrupted was interrupted" in done.stderr
    return plainbox


def export(session, name: str, suffix: str) -> Path:
    path = session.home / f"report.{suffix}"
    session.run("export", "-f", name, "-o", path)
    return path


def test_json(session) -> None:
    """The submission has the keys that consumers of Checkbox's submissions read."""
    document = json.loads(export(session, "json", "json").read_text())
    results = {result["id"]: result for result in document["results"]}
    assert document["title"] == "A plan with everything"
    assert document["testplan_id"] == "org.example::plan"
    assert {result["id"]: result["status"] for result in results.values()} == {
        "res": "pass",
        "passes": "pass",
        "fails": "fail",
        "skipped": "skip",
        "needs-a-person": "skip",
        "interrupted": "fail",
    }
    assert results["interrupted"]["outcome"] == "crash"
    assert "half way" in results["interrupted"]["io_log"]
    assert results["passes"]["name"] == "Passes & <prints>"
    assert results["passes"]["category"] == "First things"
    assert results["skipped"]["skip_reason"]["related_resources"] == ["res.name == 'y'"]
    [attachment] = document["attachment-results"]
    assert attachment["io_log"] == Path("/proc/version").read_text()


def test_json_of_a_killed_session(session) -> None:
    """Before the resume the job that was running is told as such, with what it had printed."""
    document = json.loads((session.home / "killed.json").read_text())
    [result] = [result for result in document["results"] if result["id"] == "interrupted"]
    assert (result["outcome"], result["status"]) == (None, "none")
    assert result["comments"] == "was running when the session ended, attempt 1"
    assert "half way" in result["io_log"]


def test_junit(session) -> None:
    """The JUnit report validates, and skipped jobs are not taken for passed ones."""
    path = export(session, "junit", "xml")
    tree = etree.parse(str(path))
    etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(tree)
    assert len(tree.findall(".//testcase/failure")) == 1
    assert len(tree.findall(".//testcase/error")) == 1
    assert len(tree.findall(".//testcase/skipped")) == 2
    suites = tree.findall("testsuite")
    totals = {name: sum(int(suite.get(name)) for suite in suites) for name in ("failures", "errors", "skipped")}
    assert totals == {"failures": 1, "errors": 1, "skipped": 2}


def test_xlsx(session) -> None:
    """The workbook opens, and has a row for each job."""
    workbook = openpyxl.load_workbook(export(session, "xlsx", "xlsx"))
    text = {
        str(cell.value) for sheet in workbook for row in sheet.iter_rows() for cell in row if cell.value is not None
    }
    assert "Passes & <prints>" in text
    assert any("res.name == 'y'" in cell for cell in text)


def test_text(session) -> None:
    """The text names each job that did not pass, with the reason."""
    text = export(session, "text", "txt").read_text()
    assert "res.name == 'y'" in text
    assert "\x1b" not in text


@pytest.mark.browser
def test_html(session) -> None:
    """The page needs nothing from outside, shows what failed, and its filters work."""
    from playwright.sync_api import sync_playwright

    path = export(session, "html", "html")
    requests: list[str] = []
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(path.as_uri())
        assert page.title()
        assert page.get_by_text("Passes & <prints>").count() >= 1
        assert page.get_by_text("it is broken").count() >= 1
        browser.close()
    assert requests == [path.as_uri()]
    assert problems == []


def test_report_of_a_session_whose_provider_is_gone(session, tmp_path: Path) -> None:
    """The session holds what its reports need: names, categories by id, outcomes and logs."""
    moved = session.home / "provider"
    hidden = session.home / "provider-away"
    moved.rename(hidden)
    try:
        document = json.loads(export(session, "json", "gone.json").read_text())
        shown = session.run("session", "show").stdout
    finally:
        hidden.rename(moved)
    assert {result["name"] for result in document["results"]} >= {"Passes & <prints>"}
    assert "org.example::fails" in shown


def test_standard_output_is_the_report(session) -> None:
    """Without a file the report goes to standard output and nothing else does."""
    done = subprocess.run(
        session.command("export", "-f", "json"), env=session.environment, capture_output=True, check=True
    )
    json.loads(done.stdout)


OVERRIDES = """
unit: category
id: first
_name: First things

unit: category
id: second
_name: Second things

id: has-to-be-there
plugin: shell
command: true

id: asked/by-id
plugin: shell
category_id: first
command: true

id: asked/by-pattern
plugin: shell
command: false

id: not-asked
plugin: shell
command: true

unit: test plan
id: plan
_name: A plan that knows better
include:
 asked/by-id certification-status=blocker
 asked/by-p.* category-id=second
mandatory_include: has-to-be-there certification-status=blocker
nested_part: part

unit: test plan
id: part
_name: A part
include: asked/by-id
category_overrides: apply second to asked/by-id
"""


def test_stored_report_says_what_the_live_one_said(plainbox, provider) -> None:
    """What the test plan says about categories and certification is in every report, at once and later."""
    directory = provider(OVERRIDES)
    live, later = plainbox.home / "live.json", plainbox.home / "later.json"
    plainbox.run(
        "run", "--provider", directory, "-o", f"json:{live}", "--exclude", "not-asked", "org.example::plan", code=1
    )
    done = plainbox.run("export", "-f", "json", "-o", later)
    document = json.loads(live.read_text())
    assert json.loads(later.read_text()) == document
    assert "warning" not in done.stderr
    said = {item["id"]: (item["category"], item["certification_status"]) for item in document["results"]}
    assert said["asked/by-id"] == ("Second things", "blocker")
    assert said["asked/by-pattern"] == ("Second things", "non-blocker")
    assert said["has-to-be-there"][1] == "blocker"


@pytest.mark.parametrize("gone", ["plan", "part"])
def test_report_of_a_session_whose_plan_is_gone(plainbox, provider, gone: str) -> None:
    """What a plan said that is not there any more cannot be told; the report is made, and standard error tells it."""
    directory = provider(OVERRIDES)
    plainbox.run("run", "--provider", directory, "org.example::plan", code=1)
    provider(OVERRIDES.replace(f"id: {gone}\n", "id: other\n"))
    done = plainbox.run("export", "-f", "json")
    assert {item["id"] for item in json.loads(done.stdout)["results"]} == {
        "has-to-be-there",
        "asked/by-id",
        "asked/by-pattern",
    }
    assert f"org.example::{gone}" in done.stderr
    assert "cannot be told" in done.stderr


def test_report_of_a_session_whose_plan_asks_for_more_now(plainbox, provider) -> None:
    """A report is about the jobs that were chosen then, whatever the plan says today."""
    directory = provider(OVERRIDES)
    plainbox.run("run", "--provider", directory, "org.example::plan", code=1)
    before = plainbox.run("export", "-f", "text").stdout
    provider(OVERRIDES.replace("mandatory_include: ", "mandatory_include: not-asked\n "))
    assert plainbox.run("export", "-f", "text").stdout == before


TROUBLE = """
id: without-log
plugin: shell
command:
 echo "it is broken"
 rm -f "$PLAINBOX_SESSION_SHARE"/../io-logs/*
 exit 1

id: ends-a-directory
plugin: shell
command: rm -r "$REPORTS"
"""


def test_job_that_removes_its_log_costs_no_report(plainbox, provider) -> None:
    """The reports are written and the summary is shown; they say that the log is gone."""
    reports = {name: plainbox.home / f"report.{name}" for name in ("json", "html", "junit", "xlsx", "text")}
    wanted = [word for name, path in reports.items() for word in ("-o", f"{name}:{path}")]
    done = plainbox.run("run", "--provider", provider(TROUBLE), *wanted, "org.example::without-log", code=1)
    assert all(path.stat().st_size for path in reports.values())
    assert "the log is gone" in done.stderr
    assert "the log is gone" in reports["html"].read_text()


def test_one_report_that_cannot_be_written(plainbox, provider) -> None:
    """The others are written, the message names the format, and the exit code tells; the summary comes first."""
    folder = plainbox.home / "reports"
    folder.mkdir()
    kept = plainbox.home / "report.json"
    done = plainbox.run(
        *("run", "--provider", provider(TROUBLE), "-o", f"xlsx:{folder / 'report.xlsx'}", "-o", f"json:{kept}"),
        "org.example::ends-a-directory",
        code=4,
        REPORTS=str(folder),
    )
    assert json.loads(kept.read_text())["results"]
    places = [done.stderr.index(text) for text in ("jobs in ", "no xlsx report", f"Report: {kept}", "Session: ")]
    assert places == sorted(places)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path

from exporter_samples import START, job, manager_of, result
from lxml import etree

from plainbox.exporters.junit import JUnitExporter
from plainbox.session.manager import SessionManager

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[2] / "data" / "junit.xsd"))


def _tree(manager: SessionManager, *options: str) -> etree._Element:
    stream = io.BytesIO()
    JUnitExporter(options).dump_from_session_manager(manager, stream)
    tree = etree.fromstring(stream.getvalue(), etree.XMLParser(resolve_entities=False))
    SCHEMA.assertValid(tree)
    return tree


def test_full_session_is_valid_and_adds_up(session: SessionManager) -> None:
    """A session with everything in it is valid, has every job but attachments once, and its sums are right."""
    tree = _tree(session)
    cases = tree.findall("testsuite/testcase")
    expected = [item.id for item in session.state.run_list if item.plugin != "attachment"] if session.state else []
    assert sorted(case.get("name") for case in cases) == sorted(expected)
    for suite in tree:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors")) == len(suite.findall("testcase/error"))
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
        assert suite.get("hostname") == "bench-07"
    assert int(tree.get("tests")) == len(cases)
    assert (tree.get("failures"), tree.get("errors")) == ("1", "1")


def test_elements_of_outcomes(session: SessionManager) -> None:
    """Failures and crashes have their own elements, whatever did not run is skipped with its reason, a pass has none."""
    cases = {case.get("name"): case for case in _tree(session).iter("testcase")}
    failure = cases["memory/pattern"].find("failure")
    assert failure.get("type") == "fail"
    assert failure.get("message") == "Still the same address after the second attempt."
    assert failure.text.endswith("read 0x55555557\n")
    assert "attempt 1: failed\nattempt 2: failed" in cases["memory/pattern"].findtext("system-out")
    error = cases["graphics/vulkan"].find("error")
    assert error.get("message") == "ended by signal 11 (SIGSEGV)"
    skipped = {
        "memory/ecc": "evaluates to false",
        "memory/pattern-hot": "has failed",
        "networking/wwan": "needs the manifest entry com.canonical.plainbox::has_wwan",
        "disk/trim": "job cannot be started",
        "disk/raid": "job is not implemented",
        "audio/microphone": "No microphone here.",
        "audio/speakers": "Nobody was in the room.",
        "networking/iperf": "job didn't run",
    }
    for name, reason in skipped.items():
        assert reason in cases[name].find("skipped").get("message")
    assert len(cases["audio/check-2"]) == 0
    assert len(cases["audio/microphone"]) == 1


def test_times(tmp_path: Path) -> None:
    """Times have three decimals, zero where unknown, and the suite begins with its first case."""
    manager = manager_of(
        tmp_path,
        {
            job("a", category_id="x::cpu"): [result("pass", execution_duration=1.23456, start_time=START + 5)],
            job("b", category_id="x::cpu"): [result("skip", start_time=START)],
        },
    )
    (suite,) = _tree(manager)
    assert suite.get("timestamp") == "2026-09-21T14:13:20"
    assert suite.get("time") == "1.235"
    assert [case.get("time") for case in suite.iter("testcase")] == ["1.235", "0.000"]
    assert {case.get("classname") for case in suite.iter("testcase")} == {"x.cpu"}


def test_long_log_keeps_its_end(tmp_path: Path) -> None:
    """A failure shows the end of its log, as much as is asked for."""
    manager = manager_of(tmp_path, {job("a"): [result("fail", io_log=[(0.0, "stdout", b"a" * 100_000 + b"end")])]})
    text = _tree(manager).findtext("testsuite/testcase/failure")
    assert text.endswith("end")
    assert text.startswith("[... 34467 bytes")
    assert len(_tree(manager, "max-log-bytes=0").findtext("testsuite/testcase/failure")) == 100_003


def test_message_is_short(tmp_path: Path) -> None:
    """A comment of many lines is one shortened line in the message, and whole in the output."""
    comment = "first\n" + "word " * 400
    manager = manager_of(tmp_path, {job("a"): [result("fail", comments=comment)]})
    tree = _tree(manager)
    message = tree.find("testsuite/testcase/failure").get("message")
    assert len(message) <= 500
    assert message.startswith("first word")
    assert comment.strip() in tree.findtext("testsuite/testcase/system-out")

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path

from exporter_samples import HOSTILE, job, manager_of, result
from lxml import html

from plainbox.exporters.html import HtmlExporter
from plainbox.session.manager import SessionManager


def _text(manager: SessionManager, *options: str) -> str:
    stream = io.BytesIO()
    HtmlExporter(options).dump_from_session_manager(manager, stream)
    return stream.getvalue().decode()


def _page(manager: SessionManager, *options: str) -> html.HtmlElement:
    return html.document_fromstring(_text(manager, *options))


def _jobs(page: html.HtmlElement) -> dict[str, html.HtmlElement]:
    return {item.find_class("id")[0].text_content(): item for item in page.find_class("job")}


def test_every_test_has_a_row(session: SessionManager) -> None:
    """Each test is a row with its outcome; chips and bar count them."""
    page = _page(session)
    jobs = _jobs(page)
    assert len(jobs) == 57
    assert jobs["graphics/vulkan"].get("data-outcome") == "crash"
    assert jobs["networking/iperf"].get("data-outcome") == "none"
    assert [chip.text_content() for chip in page.find_class("chip")][:3] == ["All 57", "Failed 1", "Crashed 1"]
    widths = [float(part.get("width")[:-1]) for part in page.find_class("large")[0]]
    assert abs(sum(widths) - 100) < 0.1


def test_what_needs_attention_comes_first(session: SessionManager) -> None:
    """Failures, crashes and open verdicts are cards before the table, with the end of their log and a way to the row."""
    page = _page(session)
    cards = page.find_class("card")
    assert [card.find_class("id")[0].text_content() for card in cards] == [
        "memory/pattern",
        "graphics/vulkan",
        "audio/speakers",
    ]
    assert cards[0].find(".//pre").text_content().split("\n")[-1].startswith("address 0x7f2a9c004000")
    assert len(cards[0].find(".//pre").text_content().split("\n")) == 10
    assert page.get_element_by_id(cards[0].find(".//a").get("href")[1:]) is _jobs(page)["memory/pattern"]


def test_details_of_a_job(session: SessionManager) -> None:
    """A row opens to description, reason, comments, attempts and log, standard error marked."""
    jobs = _jobs(_page(session))
    text = jobs["memory/pattern"].text_content()
    for part in ("A wrong bit is a defect.", "exit status 1", "Output of attempt 1", "pattern 0x55: 1 wrong bit"):
        assert part in text
    assert jobs["memory/pattern"].find_class("err")[0].text_content().startswith("address")
    assert "needs the job memory/pattern" in jobs["memory/pattern-hot"].text_content()
    note = jobs["audio/check-1"].find_class("note")[0].text_content()
    assert note == "[the job left 2 processes behind; they were ended]\n"


def test_colour_codes_are_stripped(session: SessionManager) -> None:
    """Terminal sequences of a log are not in the page, its other text is."""
    log = _jobs(_page(session))["audio/check-1"].find(".//pre").text_content()
    assert log.startswith("ok 1 - memory at 0x1000\nGröße: 12 µm, 温度 42 °C\nwarning: the fan")
    assert "[31m" not in log
    assert "\x1b" not in log


def test_nothing_is_fetched(session: SessionManager) -> None:
    """The page refers to nothing outside of itself, and its policy allows its own style and script only."""
    text = _text(session)
    page = html.document_fromstring(text)
    for attribute in ("src", "href", "action", "data", "srcset"):
        for element in page.xpath(f"//*[@{attribute}]"):
            assert element.get(attribute).startswith("#")
    assert not page.xpath("//*[@style or @onclick or @onload or @onerror]")
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']")[0].get("content")
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "url(" not in text
    assert "@import" not in text


def test_hostile_text_is_text(session: SessionManager) -> None:
    """Markup in names, comments and logs shows as text; no element comes of it."""
    page = _page(session)
    assert len(page.xpath("//script")) == 1
    assert not page.xpath("//img | //b[not(ancestor::ul[@class='legend'])]")
    shown = page.text_content()
    for text in HOSTILE[:2]:
        assert text in shown
    assert "49" not in [element.text_content() for element in page.find_class("name")]


def test_resources_and_attachments(session: SessionManager) -> None:
    """Resources are tables: keys down for one record, across for several; attachments show their output."""
    sections = {item.find("summary").text_content(): item for item in _page(session).find_class("folded")}
    single = next(item for key, item in sections.items() if key.startswith("uname"))
    assert [cell.text_content() for cell in single.iter("th")] == ["nodename", "release", "machine"]
    several = next(item for key, item in sections.items() if key.startswith("mount"))
    assert len(several.findall(".//tbody/tr")) == 8
    assert any("Host bridge" in item.text_content() for item in sections.values())


def test_large_resource_is_cut(tmp_path: Path) -> None:
    """Of a resource with very many records or keys the page has a part, and says how much is missing."""
    manager = manager_of(tmp_path, {job("a"): [result("pass")]})
    assert manager.state is not None
    manager.state.set_resource_list("package", [{f"k{n}": str(i) for n in range(20)} for i in range(500)])
    (section,) = _page(manager).find_class("folded")
    assert len(section.findall(".//tbody/tr")) == 200
    assert "300 more records. 4 more keys." in section.text_content()


def test_limit_of_logs(tmp_path: Path) -> None:
    """A long log is cut with a note, unless all of it is asked for."""
    manager = manager_of(tmp_path, {job("a"): [result("pass", io_log=[(0.0, "stdout", b"x" * 100_000)])]})
    assert "34464 bytes of the log are left out here" in _text(manager)
    assert "x" * 32_769 not in _text(manager)
    assert "x" * 100_000 in _text(manager, "max-log-bytes=0")


def test_description_on_request(session: SessionManager) -> None:
    """The description of the session is shown unless it is switched off."""
    assert "Third unit of the batch." in _text(session)
    assert "Third unit of the batch." not in _text(session, "without-session-desc")


def test_many_failures(tmp_path: Path) -> None:
    """When everything fails the cards end after fifty and the rest is counted."""
    manager = manager_of(tmp_path, {job(f"j{n}"): [result("fail")] for n in range(60)})
    page = _page(manager)
    assert len(page.find_class("card")) == 50
    assert "And 10 more" in page.text_content()


def test_structure_for_readers(session: SessionManager) -> None:
    """The page names its language, has one main heading, unique ids and labels for what has no text."""
    page = _page(session)
    assert page.getroottree().getroot().get("lang") == "en"
    assert len(page.xpath("//h1")) == 1
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    for reference in page.xpath("//@aria-labelledby"):
        assert reference in ids
    assert all(image.get("aria-label") or image.get("aria-hidden") for image in page.xpath("//svg"))
    assert all(region.get("aria-label") for region in page.xpath("//pre"))

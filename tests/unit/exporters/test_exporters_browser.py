# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: what only one can tell."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from exporter_samples import full_session

from plainbox.exporters.html import HtmlExporter

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("page")
    path: Path = directory / "report.html"
    with path.open("wb") as stream:
        HtmlExporter().dump_from_session_manager(full_session(directory), stream)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 360], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, browser: sync_api.Browser, report: str) -> Iterator[sync_api.Page]:
    """The page, which must ask for nothing and complain about nothing."""
    context = browser.new_context(viewport={"width": request.param, "height": 800})
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
    page.on("request", lambda asked: asked.url != report and trouble.append(asked.url))
    page.goto(report)
    yield page
    assert trouble == []
    context.close()


def test_filter_search_and_expand(page: sync_api.Page) -> None:
    """Chips filter by outcome, the search by words of names and ids, and everything opens at once."""
    shown = page.locator(".job:visible")
    page.click(".chip[data-outcome=fail]")
    page.click(".chip[data-outcome=crash]")
    assert page.inner_text("#found") == "Showing 2 of 57"
    assert page.locator(".category:visible").count() == 2
    page.click("#every")
    assert shown.count() == 57
    page.fill("#search", "PATTERN hot")
    assert shown.count() == 1
    page.fill("#search", "no such job")
    assert page.inner_text("#found") == "No job matches."
    page.press("#search", "Escape")
    page.click("#expand")
    assert page.locator(".job[open]").count() == 57
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_card_leads_to_its_row(page: sync_api.Page) -> None:
    """The link of a card opens the row, also when a filter hides it."""
    page.click(".chip[data-outcome=pass]")
    page.click(".card a >> nth=0")
    opened = page.locator(".job[open]")
    opened.wait_for()
    assert opened.count() == 1
    assert "memory/pattern" in opened.inner_text()


def test_without_script(browser: sync_api.Browser, report: str) -> None:
    """Without the script everything is there and rows open; what needs it is not shown."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator(".job:visible").count() == 57
    assert not page.locator(".tools").is_visible()
    page.locator(".job summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".job[open]").count() == 1
    context.close()

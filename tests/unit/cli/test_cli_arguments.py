# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share: which session is meant, which report, which providers."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from plainbox.cli.arguments import find_session, load_catalogue
from plainbox.cli.reports import Report, check_formats, parse_report, write_report
from plainbox.errors import ProviderError, UsageError
from plainbox.providers import Catalogue
from plainbox.session import SessionManager, SessionStorage
from plainbox.units import Unit


@pytest.fixture
def stored(home: Path) -> list[SessionStorage]:
    """Three sessions, the newest first."""
    made = []
    for prefix in ("first-", "second-", "first-again-"):
        with SessionManager.create(prefix=prefix) as manager:
            made.insert(0, manager.storage)
    return made


# -- sessions


def test_no_sessions(home: Path) -> None:
    """Without any session there is none to be meant."""
    with pytest.raises(UsageError, match="no stored session"):
        find_session(None)
    with pytest.raises(UsageError, match="no session 'x'"):
        find_session("x")


def test_newest_session(stored: list[SessionStorage]) -> None:
    """Without a name the newest is meant."""
    assert find_session(None).id == stored[0].id


def test_session_by_name(stored: list[SessionStorage]) -> None:
    """A whole id, its beginning, a part of it and its directory all mean the one session that they fit."""
    second = stored[1]
    for text in (second.id, f"{second.id}.session", "second-", "cond", second.location):
        assert Path(find_session(text).location).name == f"{second.id}.session"


def test_whole_id_wins(stored: list[SessionStorage]) -> None:
    """An id that others begin with means itself."""
    (Path(stored[0].location).parent / "first.session").mkdir()
    assert find_session("first").id == "first"


def test_several_sessions(stored: list[SessionStorage]) -> None:
    """A name that fits several is refused with those that it fits."""
    with pytest.raises(UsageError) as raised:
        find_session("first-")
    assert stored[0].id in str(raised.value)
    assert stored[2].id in str(raised.value)
    assert stored[1].id not in str(raised.value)


def test_empty_name(stored: list[SessionStorage]) -> None:
    """An empty name means no session in particular."""
    with pytest.raises(UsageError):
        find_session("")


def test_directory_that_is_no_session(stored: list[SessionStorage], tmp_path: Path) -> None:
    """A path that is not there is a name like others, and fits nothing."""
    with pytest.raises(UsageError):
        find_session(str(tmp_path / "none"))


# -- reports


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("html:report.html", Report("html", "report.html")),
        ("json:-", Report("json", "-")),
        ("json:/a:b", Report("json", "/a:b")),
        ("com.canonical.plainbox::html:x", None),
    ],
)
def test_report(text: str, report: Report | None) -> None:
    """A report is a format and a file, divided by the first colon."""
    if report is not None:
        assert parse_report(text) == report


@pytest.mark.parametrize("text", ["html", "html:", ":file", "", ":"])
def test_bad_report(text: str) -> None:
    """Anything less is a mistake in usage."""
    with pytest.raises(argparse.ArgumentTypeError, match="FORMAT:FILE"):
        parse_report(text)


class Exporter:
    """Writes something, or fails in the middle of it."""

    supported_option_list = ("known",)

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def dump_from_session_manager(self, manager: object, stream) -> None:
        stream.write(b"new report")
        if self.fails:
            raise RuntimeError("half way")


class Manager:
    """As much of a manager as reports need."""

    exporter_map = {"text": object(), "com.canonical.plainbox::text": object()}
    fails = False

    def create_exporter(self, name: str, options: tuple[str, ...] = ()) -> Exporter:
        if any(option not in Exporter.supported_option_list for option in options):
            raise ValueError(f"unknown option {options[0]!r}")
        return Exporter(self.fails)


def test_report_appears_when_it_is_complete(tmp_path: Path) -> None:
    """A report replaces a former one only when it is complete; nothing else is left in its directory."""
    path = tmp_path / "report.txt"
    path.write_text("old report")
    manager = Manager()
    manager.fails = True
    with pytest.raises(RuntimeError):
        write_report(manager, Report("text", str(path)))
    assert path.read_text() == "old report"
    manager.fails = False
    write_report(manager, Report("text", str(path)))
    assert path.read_text() == "new report"
    assert list(tmp_path.iterdir()) == [path]


def test_rights_of_a_report(tmp_path: Path) -> None:
    """A report has the rights of any file that the user makes."""
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_report(Manager(), Report("text", str(tmp_path / "report")))
    assert (tmp_path / "report").stat().st_mode == ordinary.stat().st_mode


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    """The units of the bundled providers, exporters among them."""
    return Catalogue.load(installed=False).units


def test_unknown_format(units: list[Unit]) -> None:
    """A format that is not known is answered with the short names of those that are."""
    with pytest.raises(UsageError, match="no report format 'pdf'") as raised:
        check_formats(units, [Report("pdf", "-")])
    assert raised.value.hint == "known are html, json, junit, text, xlsx"


def test_unknown_option(units: list[Unit]) -> None:
    """An option that the format does not have is told before anything runs."""
    with pytest.raises(UsageError, match="unsupported option"):
        check_formats(units, [Report("text", "-", ("other",))])


def test_place_that_cannot_be_written_to(units: list[Unit], tmp_path: Path) -> None:
    """A report that could not be written in the end is refused in the beginning."""
    with pytest.raises(UsageError, match="cannot write"):
        check_formats(units, [Report("text", str(tmp_path / "none" / "report"))])


# -- providers


def test_problems_of_providers(provider, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with a provider is told with its place, and does not stop anything; it can be kept quiet."""
    directory = provider("id: a\nplugin: shell\ncommand: true\n\nunit: nonsense\nid: b\n")
    assert load_catalogue([directory]).units
    said = capsys.readouterr()
    assert "units.pxu:5: " in said.err
    assert said.out == ""
    load_catalogue([directory], quiet=True)
    assert capsys.readouterr().err == ""


def test_provider_that_is_not_there(tmp_path: Path) -> None:
    """A provider that is named has to be there."""
    with pytest.raises(ProviderError, match="none"):
        load_catalogue([tmp_path / "none"])

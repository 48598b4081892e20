# SPDX-License-Identifier: Apache-2.0
"""Whoever follows a page sees what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from docs_pages import ROOT, Page, all_pages, difference, read_page, run_page

#: What a run of the machine provider prints about one machine only: its disks, whether it has systemd, and the sums.
_OF_ONE_MACHINE = re.compile(
    r"org\.plainbox::(disk|services)/|systemd\.state != 'offline'|^[0-9]+ jobs in |complete +[0-9]+ pass"
)
_COUNTER = re.compile(r"^\[ *[0-9]+/[0-9]+\]")
#: Lines of ``sh`` blocks, which the tests of the packaging and of the repository run.
_FOR_DEVELOPERS = {"make run", "make test", "make check", "make docs", "make bench", "make fuzz", "make clean"}

_PAGES = {page.name: page for page in all_pages()}


@pytest.mark.parametrize("name", [name for name, page in _PAGES.items() if page.steps])
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    """Each command of a page ends with the code that the page states and prints what the page shows."""
    page = _PAGES[name]
    wrong = []
    for command, code, printed in run_page(page, tmp_path):
        place = f"{name}:{command.line}: $ {command.text}"
        if code != command.code:
            wrong.append(f"{place}\nexit code {code}, not {command.code}\n{printed}")
        elif command.shown:
            found = difference(_compared(page, command.shown), _compared(page, printed.split("\n")))
            if found is not None:
                wrong.append(f"{place}\n{found}\n--- all that was printed:\n{printed}")
    assert not wrong, "\n\n".join(wrong)


def _compared(page: Page, lines: Iterable[str]) -> list[str]:
    """Return the lines that every machine prints, on a page that has the machine provider run; else all lines."""
    if not any("machine-quick" in command.text for command in page.commands):
        return list(lines)
    return [_COUNTER.sub("[#]", line) for line in lines if not _OF_ONE_MACHINE.search(line)]


def test_every_command_is_seen() -> None:
    """No line that looks like a command stands outside of the blocks that are run."""
    for page in _PAGES.values():
        written = sum(line.startswith("$ ") for line in page.path.read_text(encoding="utf-8").splitlines())
        assert written == len(page.commands), page.name


def test_commands_for_developers_exist() -> None:
    """What an ``sh`` block tells developers to type is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in _PAGES.values():
        for line in page.for_developers:
            command = line.partition("#")[0].strip()
            if command:
                assert command in _FOR_DEVELOPERS, f"{page.name}: {line}"
                assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE), line


def test_readme_begins_with_what_works_on_a_fresh_machine() -> None:
    """The README names the two commands in its first screen."""
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25]
    assert any(line.startswith("make run") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)


class TestComparing:
    def test_times_and_ids_do_not_count(self) -> None:
        """Durations, times and the ids of sessions may differ from what a page shows."""
        printed = "[1/2] passed  a  (0.3 s)\nSession: pbox-2031-01-02T03.04.05.678901\n"
        shown = ["[1/2] passed a (11.0 s)", "Session: pbox-2026-01-02T03.04.05.678901"]
        assert difference(shown, printed.split("\n")) is None

    @pytest.mark.parametrize(
        ("shown", "printed"),
        [
            (["passed"], "failed"),
            (["one"], "one\ntwo"),
            (["one", "two"], "one"),
            (["...", "two"], "one\nthree"),
            (["one", "...", "four"], "one\ntwo\nfour\nfive"),
        ],
    )
    def test_other_lines_count(self, shown: list[str], printed: str) -> None:
        """A line that was not printed, or is not shown, is a difference."""
        assert difference(shown, printed.split("\n")) is not None

    def test_dots_stand_for_any_lines(self) -> None:
        """A line of dots stands for no line, or for several."""
        assert difference(["one", "...", "four", "..."], ["one", "two", "three", "four"]) is None
        assert difference(["one", "...", "two"], ["one", "two"]) is None


def test_page_is_a_shell_session(tmp_path: Path) -> None:
    """Files, directories and exit codes of a page carry over from block to block."""
    path = tmp_path / "page.md"
    path.write_text(
        "```ini sub/file\nhello\n```\n```console\n$ cd sub\n$ cat file\nhello\n```\n"
        "```console\n$ false\n$ echo $?\n1\n```\n"
    )
    page = read_page(path)
    done = run_page(page, tmp_path)
    assert [(command.text, code, printed) for command, code, printed in done] == [
        ("cd sub", 0, ""),
        ("cat file", 0, "hello\n"),
        ("false", 1, ""),
        ("echo $?", 0, "1\n"),
    ]

# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation as their reader follows them: files to write and commands to type, in order.

What counts on a page:

* a fenced block with a path in its caption (``{code-block} yaml`` and ``:caption: path``), or in the README behind the
  language (a fence that begins with the language and the path), is a file;
* a ``console`` block holds commands: lines that begin with ``$ ``, continued by lines that begin with ``> ``. The lines
  below a command are what it prints; a line ``...`` stands for any lines. Without such lines the output does not matter;
* a command ends with code 0, unless the next one is ``echo $?``, below which its code is written;
* an ``sh`` block holds commands for whoever works on Plainbox itself, which the tests of the packaging run.

A page is one shell session in a home of its own, which the page calls ``/home/me``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

__all__ = ["Command", "Page", "PageFile", "all_pages", "difference", "run_page"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<info>[^`]*)$")
_MARK = "--8<-- command"
_LIMIT_S = 50
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}[.:][0-9]{2}[.:][0-9]{2}"
#: What differs from run to run -> what is compared in its place. Columns are as wide as what is in them.
_UNSTABLE = (
    # What a shell says of a killed command is one word for a person, and has more in it in a script.
    (re.compile(r"^.*: line [0-9]+: +[0-9]+ Killed .*$"), "Killed"),
    (re.compile(rf"pbox-{_TIME}\.[0-9]{{6}}"), "pbox-TIME"),
    (re.compile(rf"{_TIME}Z"), "TIME"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2})?"), "TIME"),
    (re.compile(r"\b[0-9]+(\.[0-9]+)? ([KMG]i)?B\b"), "N B"),
    (re.compile(r"\b[0-9]+(\.[0-9]+)? m?s\b"), "N s"),
    (re.compile(r"\bbyte [0-9]+\b"), "byte N"),
    (re.compile(r"^([oen]) [0-9]+ ([0-9]+) [0-9a-f]{8}$"), r"\1 N \2 SUM"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "HEX"),
    (re.compile(r"[ \t]+"), " "),
)


@attrs.frozen
class PageFile:
    path: str
    text: str


@attrs.frozen
class Command:
    """``shown`` are the lines below the command; ``code`` is what it should end with, ``line`` its place in the page."""

    text: str
    shown: tuple[str, ...]
    line: int
    code: int = 0


@attrs.frozen
class Page:
    path: Path
    steps: tuple[PageFile | Command, ...]
    #: Lines of ``sh`` blocks.
    for_developers: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def commands(self) -> list[Command]:
        return [step for step in self.steps if isinstance(step, Command)]


@attrs.frozen
class Block:
    info: str
    lines: tuple[str, ...]
    line: int


def all_pages() -> list[Page]:
    """Return the pages that hold anything to do."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    pages = [read_page(path) for path in paths if "_build" not in path.parts]
    return [page for page in pages if page.steps or page.for_developers]


def read_page(path: Path) -> Page:
    steps: list[PageFile | Command] = []
    for_developers: list[str] = []
    for block in _blocks(path.read_text(encoding="utf-8")):
        language, _, rest = block.info.strip().partition(" ")
        if language == "console":
            steps += _commands(block, path)
        elif language == "sh":
            for_developers += block.lines
        elif language == "{code-block}":
            options = [line for line in block.lines if line.startswith(":")]
            caption = next((line.removeprefix(":caption:").strip() for line in options if ":caption:" in line), None)
            if caption is not None:
                steps.append(PageFile(caption, _text([line for line in block.lines if line not in options])))
        elif language.isalpha() and rest:
            steps.append(PageFile(rest, _text(block.lines)))
    return Page(path, tuple(steps), tuple(for_developers))


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n"


def _blocks(text: str) -> Iterator[Block]:
    fence, info, start = "", "", 0
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        match = _FENCE.match(line)
        if fence:
            if match and match["fence"] == fence and not match["info"].strip():
                yield Block(info, tuple(lines), start)
                fence = ""
            else:
                lines.append(line)
        elif match and match["info"].strip():
            fence, info, start, lines = match["fence"], match["info"], number, []


def _commands(block: Block, path: Path) -> list[Command]:
    found: list[tuple[list[str], list[str], int]] = []
    for number, line in enumerate(block.lines, block.line + 1):
        if line.startswith("$ "):
            found.append(([line[2:]], [], number))
        elif not found:
            raise ValueError(f"{path}:{number}: a console block begins with a command, not with {line!r}")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    commands = []
    for index, (texts, shown, number) in enumerate(found):
        following = found[index + 1] if index + 1 < len(found) else None
        asked = following is not None and following[0] == ["echo $?"]
        code = int(following[1][0]) if asked and following and following[1] else 0
        commands.append(Command("\n".join(texts), tuple(_without_empty_end(shown)), number, code))
    return commands


def _without_empty_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def run_page(page: Page, directory: Path) -> list[tuple[Command, int, str]]:
    """Follow a page in ``directory/home/me``; return each command with its exit code and what it printed."""
    home = directory / "home" / "me"
    home.mkdir(parents=True)
    script = directory / "page.sh"
    script.write_text("".join(_script(page)), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name in ("LANG", "TMPDIR", "LD_LIBRARY_PATH")}
    environment |= {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "XDG_DATA_DIRS": str(directory / "no-data"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    output = directory / "output"
    with open(output, "wb") as stream:
        subprocess.run(
            ["bash", str(script)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    return list(_results(page, output.read_text(encoding="utf-8", errors="replace").replace(str(home), "/home/me")))


def _script(page: Page) -> Iterator[str]:
    for step in page.steps:
        if isinstance(step, PageFile):
            directory = os.path.dirname(step.path) or "."
            yield f"mkdir -p '{directory}' && cat > '{step.path}' <<'END OF THE FILE'\n{step.text}END OF THE FILE\n"
            continue
        # The code is kept, so that a later $? of the page means what it says.
        yield f"{step.text}\n"
        yield f'page_code=$?; printf "\\n{_MARK} %s\\n" "$page_code"; (exit "$page_code")\n'


def _results(page: Page, output: str) -> Iterator[tuple[Command, int, str]]:
    pieces = re.split(rf"\n{_MARK} ([0-9]+)\n", output)
    for index, command in enumerate(page.commands):
        if 2 * index + 1 >= len(pieces):
            raise AssertionError(f"{page.name}:{command.line}: the page ends before this command\n{output[-2000:]}")
        yield command, int(pieces[2 * index + 1]), pieces[2 * index]


def difference(shown: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first line in which what is shown and what was printed differ, ``None`` when they do not."""
    expected = [_stable(line) for line in shown]
    actual = [_stable(line) for line in _without_empty_end(list(printed))]
    place = 0
    skipping = False
    for line in expected:
        if line == "...":
            skipping = True
            continue
        if skipping:
            while place < len(actual) and actual[place] != line:
                place += 1
        if place >= len(actual):
            return f"not printed: {line!r}"
        if actual[place] != line:
            return f"shown:   {line!r}\nprinted: {actual[place]!r}"
        place += 1
        skipping = False
    if place < len(actual) and not skipping:
        return f"not shown: {actual[place]!r}"
    return None


def _stable(line: str) -> str:
    line = line.rstrip()
    for pattern, replacement in _UNSTABLE:
        line = pattern.sub(replacement, line)
    return line

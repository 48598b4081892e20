# SPDX-License-Identifier: Apache-2.0
"""What a job says about itself while it runs: the lines of its result file, and what they come to.

A job appends JSON objects, one on a line, to the file that ``$PLAINBOX_RESULT`` names; ``t`` says what each is. The place
passes the lines on as they are, and here they are read: bounded, without trust, and a line that is no good costs a remark
and never the job. The task of a job makes one :class:`Collector` for each execution.
"""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Union, cast

from plainbox.tasks.report import OutcomeCandidate

__all__ = [
    "LONGEST_COMMENT",
    "LONGEST_LINE",
    "AttachedFile",
    "AttachmentLine",
    "Collector",
    "JobItem",
    "Measurement",
    "OutcomeLine",
    "Progress",
    "Subtest",
    "is_within",
    "parse_line",
]

LONGEST_LINE = 64 * 1024

LONGEST_NAME = 200
LONGEST_COMMENT = 4000
LONGEST_VALUE = 4096
DEEPEST_VALUE = 8
#: How many of each kind are kept, and how many characters all of them together may have as JSON.
MOST_ITEMS = 1000
MOST_CHARACTERS = 1024 * 1024
PROGRESS_EVERY_S = 0.1

_MOST_REMARKS = 20
_MOST_REASONS = 3
#: What is larger is no exact number for everybody who reads it.
_LARGEST_INTEGER = 2**53
_RANKS = {"pass": 0, "undecided": 1, "skip": 2, "fail": 3, "crash": 4}
_OUTCOMES = ("pass", "fail", "skip", "crash")


@dataclass(frozen=True)
class Subtest:
    """A part of the job with an outcome of its own: ``pass``, ``fail``, ``skip`` or ``crash``."""

    name: str
    outcome: str
    comment: str | None = None


@dataclass(frozen=True)
class Measurement:
    """A value, and the limits that it is to keep, both included. ``verdict`` is ``pass``, ``fail``, or None without
    limits."""

    name: str
    value: object
    unit: str | None = None
    lower: float | None = None
    upper: float | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class AttachmentLine:
    """A file in the working directory that is to be kept; ``path`` is what the job says."""

    name: str
    path: str
    media_type: str | None = None


@dataclass(frozen=True)
class AttachedFile:
    """A file that was kept: ``path`` is relative to the directory of the attachments, ``size`` counts bytes."""

    name: str
    path: str
    size: int
    media_type: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far the job is, or one ``group`` of what it does. It is passed on and not kept."""

    current: float
    total: float | None = None
    text: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class OutcomeLine:
    """What the job itself thinks of the whole; of several the last one counts."""

    outcome: str
    comment: str | None = None


JobItem = Union[Subtest, Measurement, AttachmentLine, AttachedFile, Progress, OutcomeLine]  # noqa: UP007 - Python 3.8 has no other form


def parse_line(line: bytes) -> JobItem:
    """Return what a line says; :class:`ValueError` says why it says nothing."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"it has more than {LONGEST_LINE} bytes")
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except _NoNumber as error:
        raise ValueError(f"{error} is no number") from None
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    fields = _Fields(content)
    kind = content.get("t")
    if kind == "subtest":
        return Subtest(fields.name(), fields.choice("outcome", _OUTCOMES), fields.text("comment"))
    if kind == "measurement":
        return _measurement(fields)
    if kind == "attachment":
        return _attachment(fields)
    if kind == "progress":
        current = fields.number("current")
        if current is None:
            raise ValueError("'current' is missing")
        return Progress(current, fields.number("total"), fields.line("text"), fields.line("group"))
    if kind == "outcome":
        return OutcomeLine(fields.choice("outcome", _OUTCOMES), fields.text("comment"))
    raise ValueError(f"'t' is {_shown(kind)}; known are subtest, measurement, attachment, progress, outcome")


def is_within(value: object, lower: float | None, upper: float | None) -> bool:
    """Tell whether a value keeps the limits, both included; what is no number keeps none."""
    if lower is None and upper is None:
        return True
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return (lower is None or value >= lower) and (upper is None or value <= upper)


class Collector:
    """What one execution says. :meth:`take` is given its lines, ``on_item`` what they mean, ``note`` remarks.

    Progress is passed on ten times a second at most, the last of it in any case.
    """

    def __init__(self, on_item: Callable[[JobItem], None], note: Callable[[str], None]) -> None:
        self._on_item = on_item
        self._note = note
        self._items: list[JobItem] = []
        self._counts: dict[type, int] = {}
        self._characters_left = MOST_CHARACTERS
        self._number = self._bad = self._dropped = self._failed = 0
        self._reasons: list[str] = []
        self._outcome: OutcomeLine | None = None
        self._waiting: Progress | None = None
        self._told_s = float("-inf")
        self._remarks: list[str] = []

    @property
    def is_empty(self) -> bool:
        """Whether the job has said nothing."""
        return self._number == 0

    def take(self, line: bytes) -> None:
        """Take a line as the job has written it."""
        self._number += 1
        try:
            item = parse_line(line)
        except ValueError as error:
            self._bad += 1
            if self._bad <= _MOST_REMARKS:
                self._remark(f"line {self._number} of its result file is no good: {error}")
            return
        if isinstance(item, Progress):
            self._waiting = item
            self.tick()
            return
        if isinstance(item, OutcomeLine):
            self._outcome = item
        else:
            self._judge(item)
            self._keep(item)
        self._on_item(item)

    def tick(self) -> None:
        """Pass on the progress that waits, if it is time."""
        if self._waiting is not None:
            now_s = time.monotonic()
            if now_s >= self._told_s + PROGRESS_EVERY_S:
                self._tell_progress(now_s)

    def items(self, attachments_dir: Path | None) -> tuple[JobItem, ...]:
        """Return what is kept, now that the job is over; ``attachments_dir`` holds the files that were attached."""
        if self._waiting is not None:
            self._tell_progress(time.monotonic())
        lines = [item for item in self._items if isinstance(item, AttachmentLine)]
        found = [] if attachments_dir is None else _files_in(attachments_dir)
        if not lines and not found:
            return tuple(self._items)
        files = self._attached(lines, dict(found), kept=attachments_dir is not None)
        return (*(item for item in self._items if not isinstance(item, AttachmentLine)), *files)

    def judged(self, outcome: OutcomeCandidate) -> tuple[OutcomeCandidate, list[str]]:
        """Return the outcome of a job whose process alone came to ``outcome``, and what there is to say about it.

        What the job says of the whole counts when it is worse. When it says nothing, a failing measurement or subtest
        is a failure.
        """
        comments = []
        said = self._outcome
        if said is not None:
            if _RANKS[said.outcome] > _RANKS[outcome]:
                outcome = cast(OutcomeCandidate, said.outcome)
            if said.comment:
                comments.append(said.comment)
        elif self._failed:
            if _RANKS[outcome] < _RANKS["fail"]:
                outcome = "fail"
            more = self._failed - len(self._reasons)
            comments.append("; ".join(self._reasons) + (f"; and {more} more" if more else ""))
        if self._dropped:
            comments.append(f"{self._dropped} of what it told were too many, and are not kept")
        if self._bad > len(self._remarks):
            self._remarks.append(f"{self._bad} lines of its result file are no good")
        return outcome, comments + self._remarks[:_MOST_REASONS]

    def _tell_progress(self, now_s: float) -> None:
        waiting, self._waiting = self._waiting, None
        self._told_s = now_s
        if waiting is not None:
            self._on_item(waiting)

    def _remark(self, text: str) -> None:
        self._remarks.append(text)
        self._note(text)

    def _judge(self, item: JobItem) -> None:
        """Count what fails, kept or not."""
        reason = None
        if isinstance(item, Subtest) and item.outcome in ("fail", "crash"):
            reason = f"{item.name}: {item.comment or f'{item.outcome}ed'}".partition("\n")[0]
        elif isinstance(item, Measurement) and item.verdict == "fail":
            reason = f"{item.name}: {_explained(item)}"
        if reason is not None:
            self._failed += 1
            if len(self._reasons) < _MOST_REASONS:
                self._reasons.append(reason)

    def _keep(self, item: JobItem) -> None:
        size = len(json.dumps(asdict(item)))
        count = self._counts.get(type(item), 0)
        if count >= MOST_ITEMS or size > self._characters_left:
            self._dropped += 1
            if self._dropped == 1:
                self._note("it tells more than can be kept; what follows only counts")
            return
        self._counts[type(item)] = count + 1
        self._characters_left -= size
        self._items.append(item)

    def _attached(self, lines: list[AttachmentLine], sizes: dict[str, int], *, kept: bool) -> list[AttachedFile]:
        """Return the files that are there, under the names that the job gave them."""
        files = []
        names: set[str] = set()
        named: set[str] = set()
        for line in lines:
            path = _stored_path(line.path, sizes)
            if path is None:
                if kept:
                    self._remark(
                        f"not attached: {line.name}: its working directory has no such file, or it is too large"
                    )
                continue
            files.append(AttachedFile(_unique(line.name, names), path, sizes[path], line.media_type))
            named.add(path)
        rest = sorted(sizes.keys() - named)
        return files + [AttachedFile(_unique(path, names), path, sizes[path]) for path in rest]


def _measurement(fields: _Fields) -> Measurement:
    name, value = fields.name(), fields.value()
    lower, upper = fields.number("lower"), fields.number("upper")
    verdict = fields.optional_choice("verdict", ("pass", "fail"))
    if verdict is None and (lower is not None or upper is not None):
        verdict = "pass" if is_within(value, lower, upper) else "fail"
    return Measurement(name, value, fields.line("unit"), lower, upper, verdict)


def _attachment(fields: _Fields) -> AttachmentLine:
    path = fields.required_text("path")
    if not path.isprintable() or len(path) > LONGEST_VALUE:
        raise ValueError("'path' is no path of a file")
    name = fields.line("name") or os.path.basename(path.rstrip("/"))[:LONGEST_NAME]
    name = "".join(" " if character in "/\\" else character for character in name).strip().lstrip(".")
    return AttachmentLine(name or "attachment", path, fields.line("media_type"))


def _explained(item: Measurement) -> str:
    value = item.value if isinstance(item.value, str) else json.dumps(item.value)
    text = value[:60] + (f" {item.unit}" if item.unit else "")
    if item.lower is not None and item.upper is not None:
        return f"{text} is not within {item.lower:g} to {item.upper:g}"
    if item.lower is not None:
        return f"{text} is not at least {item.lower:g}"
    if item.upper is not None:
        return f"{text} is not at most {item.upper:g}"
    return f"{text} is not good"


def _files_in(directory: Path) -> list[tuple[str, int]]:
    """Return the names, relative to ``directory``, and the sizes of the regular files in it."""
    found = []
    for base, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(base, name)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                found.append((os.path.relpath(path, directory), status.st_size))
    return found


def _stored_path(said: str, stored: Mapping[str, int]) -> str | None:
    """Return which of the stored files a job means, whose working directory may have had any name."""
    path = os.path.normpath(said)
    if path in stored:
        return path
    return max((name for name in stored if os.path.isabs(path) and path.endswith("/" + name)), key=len, default=None)


def _unique(name: str, taken: set[str]) -> str:
    stem, suffix = os.path.splitext(name)
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add(name)
    return name


class _NoNumber(Exception):
    pass


def _no_number(word: str) -> object:
    raise _NoNumber(word)


class _Fields:
    """The members of an object, each read as what it is to be; :class:`ValueError` for those that are not."""

    def __init__(self, content: Mapping[str, object]) -> None:
        self._content = content

    def name(self) -> str:
        name = self.line("name")
        if not name:
            raise ValueError("'name' is missing")
        return name

    def line(self, key: str) -> str | None:
        """Return a short text of one line."""
        text = self.text(key)
        return None if text is None else " ".join(text.split())[:LONGEST_NAME]

    def text(self, key: str) -> str | None:
        value = self._content.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError(f"{key!r} is no text")
        text = _clean(value).strip()
        return text if len(text) <= LONGEST_COMMENT else text[:LONGEST_COMMENT] + " [...]"

    def required_text(self, key: str) -> str:
        text = self.text(key)
        if not text:
            raise ValueError(f"{key!r} is missing")
        return text

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.optional_choice(key, allowed)
        if value is None:
            raise ValueError(f"{key!r} is missing")
        return value

    def optional_choice(self, key: str, allowed: tuple[str, ...]) -> str | None:
        value = self._content.get(key)
        if value is not None and value not in allowed:
            raise ValueError(f"{key!r} is {_shown(value)}; possible are {', '.join(allowed)}")
        return value

    def number(self, key: str) -> float | None:
        value = self._content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{key!r} is {_shown(value)}, which is no number")
        return cast(float, _bounded(value))

    def value(self) -> object:
        if "value" not in self._content:
            raise ValueError("'value' is missing")
        value = _bounded(self._content["value"])
        if len(json.dumps(value)) > LONGEST_VALUE:
            raise ValueError(f"'value' has more than {LONGEST_VALUE} characters")
        return value


def _bounded(value: object, depth: int = 0) -> object:
    """Return a value as it can be stored and shown everywhere."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        try:
            value = float(value)
        except OverflowError:
            raise ValueError("a number is too large") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    if isinstance(value, (list, dict)) and depth >= DEEPEST_VALUE:
        raise ValueError("a value is nested too deeply")
    if isinstance(value, list):
        return [_bounded(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _bounded(item, depth + 1) for key, item in value.items()}
    return value


def _clean(text: str) -> str:
    """Return a text without what is no character and what controls terminals."""
    if text.isprintable():
        return text
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        character if character >= " " or character in "\n\t" else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _shown(value: object) -> str:
    return repr(value)[:40]

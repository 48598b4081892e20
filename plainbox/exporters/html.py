# SPDX-License-Identifier: Apache-2.0
"""The page: one self-contained HTML file to look at, to send and to keep.

Style and script are inside, nothing is fetched, and the content security policy of the page allows exactly these two
texts and nothing else; it works without the script. The template escapes all text, and the page is written as it is
rendered, so that logs pass through a piece at a time.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import attrs

import plainbox
from plainbox.exporters.characters import one_line, readable, shortened
from plainbox.exporters.exporter import MAX_LOG_BYTES, Exporter
from plainbox.exporters.facts import machine_facts
from plainbox.exporters.logtext import LogText, Piece
from plainbox.exporters.phrases import duration, moment, plural, reflowed, verdict
from plainbox.exporters.record import JobRecord, return_code_text
from plainbox.exporters.report import Report, by_category, counts, label_of_sum
from plainbox.exporters.sink import TextSink
from plainbox.exporters.submission import application_data
from plainbox.exporters.told import Embedder
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.result import JobResult

if TYPE_CHECKING:
    import jinja2

__all__ = ["HtmlExporter"]

_TEMPLATES = Path(__file__).parent / "templates"

#: What a card at the top shows of the end of a log.
_GLANCE_BYTES = 2048
_GLANCE_LINES = 10
#: What a resource shows; the rest is counted.
_MAX_RECORDS = 200
_MAX_COLUMNS = 16
_MAX_VALUE_CHARS = 2000
#: Files up to this size, as long as all of them are not more than that, are in the page.
_LARGEST_EMBEDDED, _MOST_EMBEDDED = 256 * 1024, 4 * 1024 * 1024
#: Measurements, and parts, that are shown of one job.
_MOST_ROWS = 200
#: Cards at the top of a page: a run in which everything fails is read in the table below.
_MAX_CARDS = 50
#: Without an outcome is what was running when the session ended.
_ATTENTION_ORDER = ("fail", "crash", None, "undecided")

#: Outcome -> (style, name on badges). Styles have their colours and symbols in the template.
_LOOKS: Mapping[str | None, tuple[str, str]] = {
    "pass": ("pass", "Passed"),
    "fail": ("fail", "Failed"),
    "crash": ("crash", "Crashed"),
    "undecided": ("undecided", "Undecided"),
    "skip": ("skip", "Skipped by hand"),
    "skipped-dependency": ("skip", "Skipped: dependency"),
    "skipped-resource": ("skip", "Skipped: resource"),
    "skipped-manifest": ("skip", "Skipped: manifest"),
    "not-supported": ("skip", "Not supported"),
    "not-implemented": ("skip", "Not implemented"),
    None: ("none", "Not started"),
}
assert set(_LOOKS) == set(OUTCOME_METADATA_MAP)


class HtmlExporter(Exporter):
    """Options: ``without-session-desc`` leaves the description of the session out."""

    supported_option_list = ("without-session-desc", MAX_LOG_BYTES)
    default_max_log_bytes = 64 * 1024

    def dump(self, data: Report, stream: BinaryIO) -> None:
        sink = TextSink(stream)
        template = _environment().get_template("report.html")
        for text in template.stream(self._context(data)):
            sink.write(text)
        sink.flush()

    def _context(self, report: Report) -> dict[str, object]:
        style, script = _asset("report.css"), _asset("report.js")
        tests = report.tests
        attention = [record for record in report.jobs if record.needs_attention]
        description = (
            "" if self.has_option("without-session-desc") else application_data(report.app_blob, []).get("description")
        )
        return {
            "report": report,
            "description": readable(description).strip() if isinstance(description, str) else "",
            "verdict": verdict(report),
            "verdict_look": {"passed": "pass", "failed": "fail"}.get(report.verdict, "undecided"),
            "tests": tests,
            "shares": _shares(tests),
            "categories": [(category, _shares(category.jobs)) for category in by_category(tests)],
            "supporting_count": len(report.supporting),
            "attention": sorted(attention, key=lambda record: _ATTENTION_ORDER.index(record.outcome))[:_MAX_CARDS],
            "attention_count": len(attention),
            "facts": machine_facts(report),
            "resources": [
                _Resource(one_line(key), records) for key, records in sorted(report.resources.items()) if any(records)
            ],
            "rejected": [*(one_line(item) for item in report.rejected_ids)],
            "version": plainbox.__version__,
            "style": style,
            "script": script,
            "policy": _policy(style, script),
            "look": _look,
            "log": self._log,
            "glance": _glance,
            "link": Embedder(_LARGEST_EMBEDDED, _MOST_EMBEDDED).link,
            "most_rows": _MOST_ROWS,
        }

    def _log(self, result: JobResult, *streams: str) -> LogText:
        return LogText(result, self.max_log_bytes, streams=streams or ("stdout", "stderr", "note"))


class _Look(NamedTuple):
    style: str
    label: str


@attrs.frozen
class _Share:
    """A part of a bar: from ``start`` percent of the width, ``width`` percent."""

    outcome: str
    look: _Look
    count: int
    start: float
    width: float


class _Resource:
    """A resource as a table: the keys that its records have, as far as they fit, and the records."""

    def __init__(self, name: str, records: Sequence[Mapping[str, str]]) -> None:
        filled = [record for record in records if record]
        keys = list(dict.fromkeys(key for record in filled[:_MAX_RECORDS] for key in record))
        self.name = name
        self.count = len(filled)
        self.omitted = max(0, len(filled) - _MAX_RECORDS)
        self.omitted_columns = max(0, len(keys) - _MAX_COLUMNS) if len(filled) > 1 else 0
        self.keys = keys if len(filled) == 1 else keys[:_MAX_COLUMNS]
        self._records = filled[:_MAX_RECORDS]

    @property
    def columns(self) -> list[str]:
        return [one_line(key) for key in self.keys]

    def rows(self) -> Iterator[list[str]]:
        for record in self._records:
            yield [shortened(readable(record.get(key, "")), _MAX_VALUE_CHARS) for key in self.keys]


def _look(outcome: str | None) -> _Look:
    return _Look(*_LOOKS[outcome])


def _shares(records: Sequence[JobRecord]) -> list[_Share]:
    found = []
    total = len(records)
    before = 0
    for outcome, count in counts(records).items():
        look = _look(outcome) if outcome is not None else _Look("none", label_of_sum(None, records).capitalize())
        found.append(_Share(outcome or "none", look, count, 100 * before / total, 100 * count / total))
        before += count
    return found


def _glance(record: JobRecord) -> list[Piece]:
    """Return the last lines of a log, for a card."""
    found: list[Piece] = []
    lines = 0
    for piece in reversed(list(LogText(record.result, _GLANCE_BYTES, keep="tail"))):
        text = piece.text if found else piece.text.rstrip("\n")
        *before, _ = parts = text.split("\n")
        lines += len(before)
        if text:
            found.insert(0, Piece(piece.stream, "\n".join(parts[max(0, lines - _GLANCE_LINES + 1) :])))
        if lines >= _GLANCE_LINES:
            break
    return found


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration,
        moment=moment,
        plural=plural,
        reflowed=reflowed,
        one_line=one_line,
        readable=readable,
        percent=_percent,
        return_code=return_code_text,
    )
    return environment


def _percent(value: float) -> str:
    return f"{value:.3f}%"


@functools.cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8").strip()


def _policy(style: str, script: str) -> str:
    """Return a content security policy under which only this style and this script do anything."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
        " base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"

# SPDX-License-Identifier: Apache-2.0
"""One job of a report: what it is, and what became of it in this session.

The view of a session makes the records, exporters show them. A record is a value; what people read of it is fit for any
report already, what programs read is as the session has it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from plainbox.exporters import told
from plainbox.exporters.characters import one_line, readable
from plainbox.exporters.interrupted import InterruptedResult
from plainbox.exporters.logtext import log_note
from plainbox.exporters.told import AttachmentRow, MeasurementRow, SubtestRow
from plainbox.session.outcome import OutcomeMetadata, failed
from plainbox.session.result import JobResult
from plainbox.session.resume import STALE

if TYPE_CHECKING:
    from plainbox.units.job import JobDefinition

__all__ = ["JobRecord", "return_code_text"]

#: Jobs that collect, and test nothing.
_SUPPORTING = ("resource", "attachment")


@attrs.frozen(eq=False)
class JobRecord:
    """A job and what became of it. ``number`` counts the jobs of the report from 1."""

    number: int
    job: JobDefinition
    result: JobResult
    history: tuple[JobResult, ...]
    category_id: str
    category_name: str
    certification_status: str

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def partial_id(self) -> str:
        return self.job.id.rpartition("::")[2]

    @property
    def name(self) -> str:
        """The summary for people, in one line."""
        return one_line(self.job.tr_summary()) or one_line(self.id)

    @property
    def description(self) -> str:
        """The description for people; empty when there is none."""
        return readable(self.job.translated("description") or self.job.description or "").strip()

    @property
    def outcome(self) -> str | None:
        return self.result.outcome

    @property
    def metadata(self) -> OutcomeMetadata:
        return self.result.metadata

    @property
    def is_running(self) -> bool:
        """Whether the job has been started and has no result: the session ended meanwhile, or it is still at it."""
        return isinstance(self.result, InterruptedResult)

    @property
    def is_supporting(self) -> bool:
        """Whether the job collects, rather than tests."""
        return self.job.plugin in _SUPPORTING

    @property
    def is_test(self) -> bool:
        """Whether the job counts among the tests: collecting becomes one where it failed or was interrupted."""
        return self.job.plugin not in _SUPPORTING or failed(self.result.outcome) or self.is_running

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look at it: it failed, crashed, was interrupted, or nobody has decided yet."""
        return self.result.outcome in ("fail", "crash", "undecided") or self.is_running

    @property
    def comments(self) -> str:
        """What was said about the attempt; empty when nothing was."""
        return readable(self.result.comments or "").strip()

    @property
    def host(self) -> str:
        """The other machine that it ran on; empty when it was this one."""
        return one_line(str(self.result.get("host") or ""))

    @property
    def why_skipped(self) -> tuple[str, ...]:
        """What kept the job from starting, a phrase for each."""
        return tuple(_reasons(self.result.skip_reason))

    @property
    def subtests(self) -> list[SubtestRow]:
        """The parts that the job has told of."""
        return list(told.subtests(self.result))

    @property
    def measurements(self) -> list[MeasurementRow]:
        """What the job has measured."""
        return list(told.measurements(self.result))

    @property
    def attachments(self) -> list[AttachmentRow]:
        """The files that the job has attached."""
        return list(told.attachments(self.result))

    @property
    def log_note(self) -> str:
        """What the log of the job lacks; empty when it has everything."""
        return log_note(self.result)

    @property
    def is_stale(self) -> bool:
        """Whether the job is not defined any more as it was when the result came."""
        return bool(self.result.get(STALE))

    @property
    def earlier(self) -> tuple[JobResult, ...]:
        """The attempts that do not count: all but the one that the outcome is of."""
        return tuple(item for item in self.history if item is not self.result)

    @property
    def explanation(self) -> str:
        """Why the job did not simply pass, and what its result lacks, in one line; empty when there is nothing to say."""
        stale = "its definition has changed since" if self.is_stale else ""
        return "; ".join(filter(None, (self._reason, self.log_note, stale)))

    @property
    def _reason(self) -> str:
        if self.outcome == "pass":
            return ""
        if self.comments:
            return one_line(self.comments)
        if self.why_skipped:
            return "; ".join(self.why_skipped)
        if self.result.return_code:
            return return_code_text(self.result.return_code)
        return "" if self.outcome in ("skip", None) else self.metadata.text


def return_code_text(code: int) -> str:
    """Say what a return code means: negative ones are signals."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"ended by signal {-code}"


def _reasons(skip_reason: Mapping[str, object] | None) -> Iterator[str]:
    if skip_reason is None:
        return
    for key, phrase in (
        ("related_dependencies", "needs the job {}"),
        ("related_resources", "needs {}"),
        ("related_manifests", "needs the manifest entry {}"),
    ):
        related = skip_reason.get(key)
        if isinstance(related, (list, tuple)):
            yield from (phrase.format(one_line(str(item))) for item in related)

# SPDX-License-Identifier: Apache-2.0
"""The answer of ``plainbox why`` as lines for people: short sentences, indented below what they explain."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from plainbox.cli.answer import Answer, JobAnswer, TemplateAnswer
from plainbox.cli.output import clean
from plainbox.runner.membership import Cause
from plainbox.session.instances import RecordUse
from plainbox.session.reasons import JobReasons, ManifestAnswer, Reason, ReasonKind
from plainbox.units.explanation import details

__all__ = ["AnswerText"]

_MAX_ITEMS = 10
_MAX_JOBS = 20
_MAX_RECORD_CHARS = 100
_STATES = {"complete": "", "incomplete": ", which is not complete", "running": ", which is running"}


class AnswerText:
    """The text of one answer; commands that it proposes name the ``providers`` that were named."""

    def __init__(self, answer: Answer, providers: Iterable[Path | str] = ()) -> None:
        self._answer = answer
        self._options = "".join(f" --provider {shlex.quote(_place(str(directory)))}" for directory in providers)

    def lines(self) -> Iterator[str]:
        """Yield the lines, safe for a terminal."""
        answer = self._answer
        if answer.template is not None:
            yield from self._of_template(answer.template)
        for number, job in enumerate(answer.jobs[:_MAX_JOBS]):
            if number or answer.template is not None:
                yield ""
            yield from self._of_job(job)
        if len(answer.jobs) > _MAX_JOBS:
            yield f"and {len(answer.jobs) - _MAX_JOBS} more jobs"
        if answer.session is None:
            to_run = answer.id if answer.template is not None else answer.jobs[0].to_run
            yield ""
            yield "No stored session knows it, so there are no values to show." + (" To get them:" if to_run else "")
            yield from _indented([self._run(to_run)] if to_run else [])

    def _run(self, identifier: str) -> str:
        return f"plainbox run {shlex.quote(identifier)}{self._options}"

    # -- a job

    def _of_job(self, job: JobAnswer) -> Iterator[str]:
        reasons = job.reasons
        yield clean(_headline(reasons) if job.membership is not None else reasons.id)
        facts = [job.summary] if job.summary and job.summary != reasons.id.partition("::")[2] else []
        if reasons.origin is not None:
            facts.append(f"defined in {_place(reasons.origin)}")
        yield from _indented(facts)
        if self._answer.template is None:
            yield from self._of_session()
        yield from _section(_title(job), self._why(job))
        yield from self._selected(job)

    def _of_session(self) -> Iterator[str]:
        session = self._answer.session
        if session is not None:
            phase = f": it is in its {session.phase}" if session.phase and session.state != "complete" else ""
            yield from _indented([f"in session {session.id}{_STATES[session.state]}{phase}"])

    def _why(self, job: JobAnswer) -> Iterator[str]:
        reasons = job.reasons
        if reasons.comment and not reasons.reasons:
            yield from reasons.comment.split("\n")
        yield from self._of_reasons(reasons.reasons)
        if job.last_line and not reasons.reasons:
            yield f"it printed last: {job.last_line}"

    def _selected(self, job: JobAnswer) -> Iterator[str]:
        membership, session = job.membership, self._answer.session
        if membership is None or session is None:
            yield from _section("It is part of:", _first(map(_cause_line, job.plans)))
            return
        is_open = job.reasons.outcome is None and session.state != "complete"
        if membership.coming:
            title = "Why it is to run later in the session:"
        elif membership.member:
            title = "Why it is to run:" if is_open else "Why it was to run:"
        else:
            title = "Why it was not to run:"
        yield from _section(title, map(_cause_line, membership.deciding))
        resume = [f"plainbox resume {session.id}"] if session.state == "incomplete" else []
        if is_open and membership.member:
            yield from _section("To go on:", resume)
        elif session.phase == "setup" and job.reasons.outcome in ("fail", "crash"):
            # Nothing but setup jobs has run, and a resume begins with those that failed.
            yield from _section("To try it again:", resume)
        elif not membership.member and job.to_run is not None:
            yield from _section("To run it:", [self._run(job.to_run)])

    # -- reasons

    def _of_reasons(self, reasons: Sequence[Reason]) -> Iterator[str]:
        for reason in reasons[:_MAX_ITEMS]:
            yield reason.message
            yield from _indented(self._behind(reason))
        if len(reasons) > _MAX_ITEMS:
            yield f"and {len(reasons) - _MAX_ITEMS} more"

    def _behind(self, reason: Reason) -> Iterator[str]:
        if reason.explanation is not None:
            yield from details(reason.explanation)
        for answer in reason.manifest:
            yield from self._of_manifest(answer)
        for job in reason.jobs:
            if reason.kind is not ReasonKind.REQUIRES:
                if job.return_code and job.outcome in ("fail", "crash"):
                    yield f"exit code {job.return_code}"
                yield from self._of_other(job)
            elif job.outcome != "pass":
                yield self._resource(job)
                yield from _indented(self._of_other(job))

    def _resource(self, job: JobReasons) -> str:
        """Return the line that tells which resource of a requirement is meant, and what became of it."""
        if job.outcome is not None or job.origin is None:
            return _headline(job)
        if self._answer.session is None:
            return f"{job.id} is a resource (defined in {_place(job.origin)})"
        return f"{_headline(job)} (defined in {_place(job.origin)})"

    def _of_other(self, job: JobReasons) -> Iterator[str]:
        if job.comment and not job.reasons and not job.cut:
            yield job.comment.partition("\n")[0]
        yield from self._of_reasons(job.reasons)
        if job.cut:
            yield f"plainbox why {shlex.quote(job.id)} tells more"

    def _of_manifest(self, answer: ManifestAnswer) -> Iterator[str]:
        if answer.prompt is None:
            yield f"no provider defines the manifest entry {answer.id}"
            return
        wanted = "" if answer.wanted is None else f", and the job wants {_spoken(answer.wanted)}"
        stored = "nobody has answered it" if answer.answer is None else f"the answer is now {_spoken(answer.answer)}"
        yield f"manifest entry {answer.id}: {stored}{wanted}"
        if answer.hidden_reason is not None:
            yield f"  hidden: {answer.hidden_reason}"
            return
        value = "VALUE" if answer.wanted is None else _spoken(answer.wanted)
        yield f"  question: {answer.prompt.partition(chr(10))[0]}"
        yield f"  to answer: plainbox manifest set {answer.id}={value}{self._options}"

    # -- a template

    def _of_template(self, template: TemplateAnswer) -> Iterator[str]:
        yield clean(f"{template.id} is a template")
        if template.origin:
            yield from _indented([f"defined in {_place(template.origin)}"])
        yield from self._of_session()
        yield from _indented(self._facts_of(template))
        yield from _section("What is wrong with it:", map(_place, template.errors))
        if template.records:
            yield from _section("Why the others did not:", _use_lines(template.records))
        elif template.resource is not None and self._answer.session is not None:
            nothing = "gave no records" if template.records is not None else template.resource.became
            lines = [f"its resource {template.resource.id} {nothing}", *self._of_reasons(template.resource.reasons)]
            yield from _section("Why no job was made of it:", lines)

    def _facts_of(self, template: TemplateAnswer) -> Iterator[str]:
        if template.resource is None:
            yield "it is not defined any more; these jobs were made of it"
        elif self._answer.session is None:
            yield f"it makes a job of each record of {template.resource.id}"
            yield from (f"only if {line}" for line in template.filter)
        elif template.records:
            made = sum(use.instance_id is not None for use in template.records)
            records = f"{len(template.records)} record{'s' if len(template.records) > 1 else ''}"
            yield f"its resource {template.resource.id} gave {records}, of which {made} made a job"


def _title(job: JobAnswer) -> str:
    if job.membership is None:
        return "It needs this:"
    match job.reasons.outcome:
        case "pass":
            return "What the session says:"
        case "fail" | "crash" | "undecided":
            return f"Why it {job.reasons.became}:"
        case None:
            return "What keeps it from running:" if job.membership.member else "What would keep it from running:"
    return "Why it did not run:"


def _headline(job: JobReasons) -> str:
    code = f" (exit code {job.return_code})" if job.return_code and job.outcome in ("fail", "crash") else ""
    return f"{job.id} {job.became}{code}"


def _spoken(value: bool | int) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _cause_line(cause: Cause) -> str:
    return cause.message + (f" ({_place(cause.origin)})" if cause.origin is not None else "")


def _use_lines(uses: Sequence[RecordUse]) -> Iterator[str]:
    rejected = [use for use in uses if use.instance_id is None]
    for use in rejected[:_MAX_ITEMS]:
        yield f"{_record(use.record)}: {use.problem or 'the filter rejects it'}"
        for explanation in use.rejected_by:
            yield f"  not true: {explanation.text}"
            yield from _indented(_indented(details(explanation)))
    if len(rejected) > _MAX_ITEMS:
        yield f"and {len(rejected) - _MAX_ITEMS} more records"


def _record(record: Mapping[str, str]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in islice(record.items(), 4))
    return text if len(text) <= _MAX_RECORD_CHARS else f"{text[:_MAX_RECORD_CHARS]}..."


# -- lines


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a title and the lines below it; nothing when there are none."""
    content = list(_indented(lines))
    if content:
        yield clean(title)
        yield from content


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield "\n".join(f"  {part}" for part in clean(line).split("\n"))


def _first(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == _MAX_ITEMS:
            yield "and more"
            return
        yield line


def _place(origin: str) -> str:
    """Return a place in the file system, below the working directory relative to it."""
    try:
        return origin.removeprefix(os.getcwd().rstrip("/") + "/")
    except OSError:
        return origin

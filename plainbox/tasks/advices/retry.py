# SPDX-License-Identifier: Apache-2.0
"""Repeats executions that went wrong in a way that may be different the next time.

All tries of an execution are one attempt of the test session, with one result: that of the last. Its log has the output of
all, a note before each from the second on, and its comments say what became of the others.
"""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plainbox.errors import DeadlineError, RemoteError, SshConnectError, TransportLost
from plainbox.tasks.advice import Advice
from plainbox.tasks.advices.timeout import TimeLimits
from plainbox.tasks.report import JobReport
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainbox.tasks.deadline import Deadline
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.output import OutputSink, StreamName
    from plainbox.tasks.parameters import Count, Duration, Number, Words

__all__ = ["RetryAdvice"]

_MOST_ATTEMPTS = 1000
_LONGEST_PAUSE_S = 3600.0
#: So often it is looked whether somebody has asked to stop.
_LOOK_EVERY_S = 0.1
_IN_MEMORY = 1024 * 1024
#: So many earlier tries the comments of a result tell of.
_MOST_TOLD = 5
_KINDS = ("transport", "timeout", "crash", "fail")
_TRANSPORT = (TransportLost, SshConnectError)
#: What such a job prints is its result: that of one attempt, not of several.
_PRINTS_ITS_RESULT = ("resource", "attachment")
_ONCE = frozenset({"noreturn", "expect-reboot"})


class RetryAdvice(Advice):
    """Has an execution done again, at most ``attempts`` times in all, for the reasons ``on``.

    Reasons are *transport* (the connection to another machine was lost, or there was none), *timeout*, *crash*, *fail*,
    and names of exceptions. Before the second attempt there are ``delay`` seconds, before each further one ``backoff``
    times as many, at most an hour, all of them varied by the part ``jitter`` up or down. There is no attempt after the
    deadline of all of them, and none when somebody has asked to stop. A job that needs a person, and one that is to
    end its test session, runs once.
    """

    placement = "middle"

    def __init__(
        self,
        attempts: Count = 3,
        delay: Duration = 1.0,
        backoff: Number = 2.0,
        jitter: Number = 0.1,
        on: Words = ("transport",),
    ) -> None:
        """Raise ValueError for a number that makes no sense, and for a reason that can be none."""
        if not 1 <= attempts <= _MOST_ATTEMPTS:
            raise ValueError(f"attempts={attempts}: from 1 to {_MOST_ATTEMPTS} are possible")
        if not (delay >= 0 and backoff >= 1 and 0 <= jitter <= 1):
            raise ValueError("a delay is 0 s or longer, a backoff 1 or more, and a jitter goes from 0 to 1")
        self.attempts = attempts
        self.delay = delay
        self.backoff = backoff
        self.jitter = jitter
        self.random = random.Random()  # noqa: S311 - no secret depends on it
        self.on = (on,) if isinstance(on, str) else tuple(on)
        for reason in self.on:
            is_exception = reason.rpartition(".")[2][:1].isupper()
            if not (reason in _KINDS or is_exception):
                raise ValueError(f"on={reason}: known are {', '.join(_KINDS)}, and names of exceptions")

    def before(self, invocation: Invocation) -> None:
        if self.attempts == 1 or not _may_repeat(invocation):
            invocation.proceed()
            return
        limits = TimeLimits.of(invocation)
        done: list[_Attempt] = []
        pause_s = self.delay
        while True:
            number = len(done) + 1
            if done:
                _note(invocation, f"try {number} of {self.attempts}")
            invocation.deadline = limits.deadline()
            with _held_output(invocation, is_last=number == self.attempts) as output:
                result = invocation.run_inner()
                reason = self._reason(invocation, result) if number < self.attempts else None
                wait_s = pause_s * (1 + self.jitter * self.random.uniform(-1, 1))
                repeat = reason is not None and not _is_over(limits.total, wait_s)
                output.release(counts=not repeat)
            done.append(_Attempt.of(result))
            if not repeat:
                break
            _note(invocation, f"try {number} of {self.attempts}: {done[-1]}; the next one in {wait_s:.1f} s")
            if not _wait(invocation, wait_s):
                result = _cancelled(invocation, result)
                break
            if _is_over(limits.total, 0):
                break  # the wait has taken longer than it was to
            pause_s = min(pause_s * self.backoff, _LONGEST_PAUSE_S)
        invocation.deadline = limits.deadline()
        invocation.conclude(_with_attempts(result, done, self.attempts))

    def _reason(self, invocation: Invocation, result: Result) -> str | None:
        """Return why an execution is to be repeated, None when it is not."""
        if invocation.cancelled:
            return None
        report = result.value
        return next((reason for reason in self.on if _fits(reason, result.exception, report)), None)


@dataclass(frozen=True)
class _Attempt:
    """What one attempt came to."""

    outcome: str
    detail: str

    @classmethod
    def of(cls, result: Result) -> _Attempt:
        report = result.value
        if isinstance(report, JobReport):
            code = f"return code {report.return_code}" if report.return_code else ""
            return cls(report.outcome, report.comments or code)
        if result.exception is not None:
            return cls("not carried out", f"{type(result.exception).__name__}: {result.exception}")
        return cls("done", "")

    def __str__(self) -> str:
        return f"{self.outcome} ({self.detail})" if self.detail else self.outcome


def _may_repeat(invocation: Invocation) -> bool:
    job = invocation.job
    return job is None or (job.automated and _ONCE.isdisjoint(job.flags))


def _fits(reason: str, error: BaseException | None, report: object) -> bool:
    if reason == "transport":
        return isinstance(error, _TRANSPORT)
    if reason not in _KINDS:
        return error is not None and reason in _names(error)
    if reason == "timeout" and isinstance(error, DeadlineError):
        return True
    if not isinstance(report, JobReport) or report.cancelled:
        return False
    if reason == "timeout":
        return report.timed_out
    return report.outcome == reason and not report.timed_out


def _names(error: BaseException) -> set[str]:
    """Return the names that an exception and its bases have, with and without their modules."""
    classes = type(error).__mro__
    found = {name for each in classes for name in (each.__name__, f"{each.__module__}.{each.__qualname__}")}
    if isinstance(error, RemoteError):
        from plainbox.tasks.serialization.records import record_of

        record = record_of(error)
        found |= {record.type_name, record.full_name}
    return found


def _is_over(total: Deadline | None, pause_s: float) -> bool:
    return total is not None and time.monotonic() + pause_s >= total.at_s


def _wait(invocation: Invocation, wait_s: float) -> bool:
    """Wait; return False when somebody has asked to stop before the time was over."""
    end_s = time.monotonic() + wait_s
    surroundings = invocation.surroundings
    while not invocation.cancelled:
        if surroundings is not None:
            surroundings.tick()
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return True
        time.sleep(min(left_s, _LOOK_EVERY_S))
    return False


def _cancelled(invocation: Invocation, result: Result) -> Result:
    """Return the result of an execution that somebody has stopped between two attempts: that of no attempt."""
    report = result.value
    if not isinstance(report, JobReport) or invocation.surroundings is None:
        return result
    comment = f"cancelled before its next attempt: {invocation.surroundings.cancel.reason}"
    return Result(replace(report, outcome="crash", comments=comment, cancelled=True))


def _with_attempts(result: Result, done: list[_Attempt], attempts: int) -> Result:
    if len(done) == 1:
        return result
    earlier = [f"try {number}: {attempt}" for number, attempt in enumerate(done[:-1], 1)]
    text = "; ".join((f"this is try {len(done)} of {attempts}", *earlier[-_MOST_TOLD:]))
    report, error = result.value, result.exception
    if isinstance(report, JobReport):
        comments = "\n".join(filter(None, (report.comments, text)))
        return Result(replace(report, comments=comments, tries=len(done)))
    if error is not None and hasattr(error, "add_note"):
        error.add_note(text)
    return result


def _note(invocation: Invocation, text: str) -> None:
    if invocation.surroundings is not None:
        invocation.surroundings.output.note(text)


class _Output:
    """Passes the output of an attempt on as it comes."""

    def release(self, *, counts: bool) -> None:
        """Say whether the attempt is the one that counts."""


class _HeldOutput(_Output):
    """Keeps the standard output of an attempt back until it is known whether it counts; if not, it is standard error."""

    def __init__(self, sink: OutputSink) -> None:
        self._sink = sink
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by release()

    def write(self, stream: StreamName, data: bytes) -> None:
        if stream == "stdout":
            self._file.write(data)
        else:
            self._sink.write(stream, data)

    def note(self, text: str) -> None:
        self._sink.note(text)

    def release(self, *, counts: bool) -> None:
        if self._file.closed:
            return
        with self._file as file:
            file.seek(0)
            while data := file.read(_IN_MEMORY):
                self._sink.write("stdout" if counts else "stderr", data)


@contextmanager
def _held_output(invocation: Invocation, *, is_last: bool) -> Iterator[_Output]:
    """Let the output of a job that prints its result be that of one attempt."""
    outer, job = invocation.surroundings, invocation.job
    if is_last or outer is None or job is None or job.plugin not in _PRINTS_ITS_RESULT:
        yield _Output()
        return
    held = _HeldOutput(outer.output)
    invocation.surroundings = replace(outer, output=held)
    try:
        yield held
    finally:
        invocation.surroundings = outer
        # What was ended from outside has printed something, too.
        held.release(counts=False)

# SPDX-License-Identifier: Apache-2.0
"""Opening a session to go on with it: what was running is ended and judged, in this order, before anything else runs.

Each verdict goes into the journal as a note with the rule and the facts it rests on, in one record with the result.
A request to stop at once holds until the first verdict is noted: what was running then stays as it is, for whoever opens
the session next.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from plainbox.errors import SessionResumeError, StorageFullError, UsageError
from plainbox.runner.interrupted import Circumstances, ResumePolicy, Verdict, judge, must_say_why, read_left_result
from plainbox.runner.leftovers import end_leftovers
from plainbox.runner.space import with_space
from plainbox.runner.stop import StopRequest
from plainbox.runner.watchdog import has_watchdog_mark, take_watchdog_mark
from plainbox.session.boot import boot_identity
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog_seal import seal_log
from plainbox.session.jobs import JobState
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt, SessionMetaData
from plainbox.session.outcome import Outcome
from plainbox.session.result import JobResult, JobResultBuilder, JsonValue
from plainbox.session.suspend import is_stand_in
from plainbox.units import JobDefinition

__all__ = ["DECISION_NOTE", "LEFTOVERS_NOTE", "STUCK_NOTE", "settle_interrupted"]

_log = logging.getLogger(__name__)

#: Kinds of notes in the journal: a verdict about an interrupted attempt, processes of one that could not be ended, and
#: that a session has been given up.
DECISION_NOTE = "resume-decision"
LEFTOVERS_NOTE = "leftovers"
STUCK_NOTE = "stuck"

_STUCK_OPENINGS = 5


class _Stopped(Exception):
    """Somebody has asked to stop at once."""


def settle_interrupted(
    manager: SessionManager,
    policy: ResumePolicy | None = None,
    *,
    stop: StopRequest | None = None,
    afterwards: Callable[[], None] | None = None,
) -> list[tuple[JobDefinition, JobResult]] | None:
    """Give every interrupted attempt its result, durable when this returns; return the jobs and their results.

    ``None`` says that ``stop`` has asked for an end before that: the attempts are still to be judged, and the session is
    not to be gone on with.

    That the session was opened is made durable first, so that a tester which dies in here is counted. Then the processes
    of the attempts that still run on the same boot are ended. A session that was opened five times without a new result
    gets the flag ``stuck``; a verdict that is not to be repeated is such a result, and a decision of a person begins the
    count anew. ``afterwards`` may change the session further before all of it is made durable in one checkpoint. Both
    checkpoints wait for space until ``stop`` asks for an end; its ``tick`` is called between the steps. An opening that
    somebody has stopped in here does not count. A decision that is about nothing, or lacks its reason, raises
    :class:`UsageError` before anything has changed.
    """
    policy = policy or ResumePolicy()
    stop = stop or StopRequest()
    state = manager.state
    assert state is not None
    metadata = state.metadata
    running = {
        job_id: (attempt, state.job_state_map[job_id])
        for job_id, attempt in metadata.running.items()
        if job_id in state.job_state_map
    }
    _check_decision(manager, policy, [job_state for _, job_state in running.values()])
    if stop.cancel.cancelled:
        return None
    try:
        return _settle(manager, running, policy, stop, afterwards)
    except _Stopped:
        metadata.resume_count -= 1
        # Without space it counts after all: that harms less than to wait for space now.
        with contextlib.suppress(StorageFullError):
            manager.checkpoint()
    except StorageFullError:
        if not stop.requested:
            raise
    return None


def _settle(
    manager: SessionManager,
    running: Mapping[str, tuple[RunningAttempt, JobState]],
    policy: ResumePolicy,
    stop: StopRequest,
    afterwards: Callable[[], None] | None,
) -> list[tuple[JobDefinition, JobResult]]:
    """Do all of this; raise :class:`_Stopped` when somebody has asked for it and only the count of openings has changed."""

    def go_on() -> None:
        stop.tick()
        if stop.cancel.cancelled:
            raise _Stopped

    state = manager.state
    assert state is not None
    metadata, clock = state.metadata, manager.storage.clock
    metadata.resume_count += 1
    # One more than a session has that comes to the end of this: its testers have died in here.
    _give_up(manager, metadata, _STUCK_OPENINGS + 1)
    with_space(manager.checkpoint, stop)
    identity = boot_identity()
    share_dir = WellKnownDirsHelper(manager.storage).share_pathname
    for job_id, attempt in metadata.running.items():
        if attempt.boot_id == identity.id:
            left = end_leftovers(job_id, attempt, share_dir, tick=go_on)
            if left:
                processes: list[JsonValue] = [{"pid": process.pid, "name": process.name} for process in left]
                manager.storage.note(LEFTOVERS_NOTE, {"job": job_id, "processes": processes})
    known = Circumstances(
        boot_id=identity.id,
        weak_boot_id=identity.weak,
        now=clock.time(),
        uptime_s=clock.uptime_s(),
        left_result=read_left_result(share_dir),
        decision=policy.decision,
        retry_by_default=policy.retry_by_default,
        noreturn_needs_reboot=policy.noreturn_needs_reboot,
        openings=metadata.resume_count,
        hung=has_watchdog_mark(manager.storage.location),
    )
    verdicts = []
    for attempt, job_state in running.values():
        go_on()
        circumstances = attrs.evolve(known, attempts_left=job_state.attempts, known=not _is_undefined(job_state))
        verdicts.append((circumstances, _verdict(job_state, attempt, circumstances, policy)))
    go_on()
    settled = []
    for (job_id, (attempt, job_state)), (circumstances, verdict) in zip(running.items(), verdicts, strict=True):
        stop.tick()
        manager.storage.note(
            DECISION_NOTE,
            {
                "job": job_id,
                "attempt": attempt.attempt,
                "rule": verdict.rule,
                "outcome": str(verdict.outcome),
                "retry": verdict.retry,
                "evidence": circumstances.evidence(attempt),
            },
        )
        state.update_job_result(job_state.job, _result(manager, attempt, verdict))
        settled.append((job_state.job, job_state.result))
        _count(metadata, verdict)
    if stop.requested and metadata.resume_count:
        # Nothing will run, so this opening says nothing about the session.
        metadata.resume_count -= 1
    _give_up(manager, metadata, _STUCK_OPENINGS)
    metadata.running = {}
    metadata.boot_id = identity.id
    if afterwards is not None:
        afterwards()
        stop.tick()
    with_space(manager.checkpoint, stop)
    # Whoever goes on after a death before this point has to know it, too.
    take_watchdog_mark(manager.storage.location)
    return settled


def _give_up(manager: SessionManager, metadata: SessionMetaData, openings: int) -> None:
    """Mark a session as stuck that was opened so often without a new result."""
    if metadata.resume_count >= openings and "stuck" not in metadata.flags:
        metadata.flags.add("stuck")
        manager.storage.note(STUCK_NOTE, {"openings": metadata.resume_count})


def _check_decision(manager: SessionManager, policy: ResumePolicy, interrupted: list[JobState]) -> None:
    decision = policy.decision
    if decision is None:
        return
    if not interrupted:
        raise UsageError(
            f"no job of session {manager.storage.id} was interrupted, so there is nothing to decide",
            hint="go on without a decision",
        )
    for job_state in interrupted:
        if not decision.comment and must_say_why(job_state, decision.choice):
            raise UsageError(
                f"{job_state.job.id} is a certification blocker: {decision.choice!r} needs a comment that says why"
            )


def _verdict(
    job_state: JobState, attempt: RunningAttempt, circumstances: Circumstances, policy: ResumePolicy
) -> Verdict:
    verdict = judge(job_state.job, attempt, circumstances)
    if verdict.rule != "person" or policy.ask is None:
        return verdict
    decision = policy.ask(job_state, attempt)
    if decision is None:
        return verdict
    return judge(job_state.job, attempt, attrs.evolve(circumstances, decision=decision))


def _count(metadata: SessionMetaData, verdict: Verdict) -> None:
    """Begin the count of openings anew when a verdict is progress, or when a person has looked at the session."""
    if verdict.origin == "operator":
        metadata.flags.discard("stuck")
        metadata.resume_count = 0
    # A setup job that has crashed is tried again: that is no progress, however often it happens.
    elif not verdict.retry and not (metadata.setting_up and verdict.outcome == Outcome.CRASH):
        metadata.resume_count = 0


def _is_undefined(job_state: JobState) -> bool:
    """Tell whether nobody defines the job any more; one whose maker is run again may come back."""
    via = job_state.via_job
    return is_stand_in(job_state.job) and (via is None or is_stand_in(via))


def _result(manager: SessionManager, attempt: RunningAttempt, verdict: Verdict) -> JobResult:
    builder = JobResultBuilder(
        outcome=verdict.outcome,
        comments=verdict.comment,
        origin=verdict.origin,
        start_time=attempt.start_time,
        boot_id=attempt.boot_id,
        **({"retry": True} if verdict.retry else {}),
    )
    if attempt.log is not None:
        builder.log = _sealed(manager, attempt.log, verdict.comment)
    return builder.get_result(manager.storage.location)


def _sealed(manager: SessionManager, path: str, remark: str) -> Mapping[str, Any] | None:
    """End the log of an attempt whose writer has died and return the reference to it: what the job had printed."""
    try:
        return seal_log(manager.storage.location, path, remark, files=manager.storage.files)
    except (OSError, SessionResumeError) as error:
        _log.warning("The log of an interrupted job cannot be used: %s", error)
        return None

# SPDX-License-Identifier: Apache-2.0
"""Opening a session to go on with it: what was running is ended and judged, in this order, before anything else runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from plainbox.errors import SessionResumeError
from plainbox.runner.interrupted import Circumstances, Verdict, judge, read_left_result
from plainbox.runner.leftovers import end_leftovers
from plainbox.session.boot import boot_identity
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog import seal_log
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt
from plainbox.session.outcome import Outcome
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.units import JobDefinition

__all__ = ["settle_interrupted"]

_log = logging.getLogger(__name__)

_STUCK_OPENINGS = 5


def settle_interrupted(
    manager: SessionManager,
    *,
    operator: Verdict | None = None,
    retry_by_default: bool = False,
    afterwards: Callable[[], None] | None = None,
) -> list[tuple[JobDefinition, JobResult]]:
    """Give every interrupted attempt its result, durable when this returns; return the jobs and their results.

    Processes of the attempts that still run on the same boot are ended first. A session that was opened five times
    without a new result gets the flag ``stuck``; a verdict that is not to be repeated is such a result. ``afterwards``
    may change the session further before all of it is made durable in one checkpoint.
    """
    state = manager.state
    assert state is not None
    metadata = state.metadata
    metadata.resume_count += 1
    if metadata.resume_count >= _STUCK_OPENINGS:
        metadata.flags.add("stuck")
    identity = boot_identity()
    share_dir = WellKnownDirsHelper(manager.storage).share_pathname
    running = dict(metadata.running)
    for job_id, attempt in running.items():
        if attempt.boot_id == identity.id:
            end_leftovers(job_id, attempt, share_dir)
    openings = metadata.resume_count
    settled = []
    for job_id, attempt in running.items():
        job_state = state.job_state_map.get(job_id)
        if job_state is None:
            continue
        verdict = judge(
            job_state.job,
            attempt,
            Circumstances(
                boot_id=identity.id,
                weak_boot_id=identity.weak,
                now=time.time(),
                uptime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
                left_result=read_left_result(share_dir),
                operator=operator,
                retry_by_default=retry_by_default,
                attempts_left=job_state.attempts,
                openings=openings,
            ),
        )
        state.update_job_result(job_state.job, _result(manager, attempt, verdict))
        settled.append((job_state.job, job_state.result))
        # A setup job that has crashed is tried again: that is no progress, however often it happens.
        if not verdict.retry and not (metadata.setting_up and verdict.outcome == Outcome.CRASH):
            metadata.resume_count = 0
    metadata.running = {}
    metadata.boot_id = identity.id
    if afterwards is not None:
        afterwards()
    manager.checkpoint()
    return settled


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

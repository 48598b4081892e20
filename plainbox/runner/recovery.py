# SPDX-License-Identifier: Apache-2.0
"""Opening a session to go on with it: what was running is ended and judged, in this order, before anything else runs."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from plainbox.errors import CorruptedSessionError
from plainbox.runner.interrupted import Circumstances, Verdict, judge, read_left_result
from plainbox.session.boot import boot_id, group_alive
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog import seal_log
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.units import JobDefinition

__all__ = ["settle_interrupted"]

_log = logging.getLogger(__name__)

_GRACE_S = 5.0
_KILL_WAIT_S = 30.0
_STUCK_OPENINGS = 5


def settle_interrupted(
    manager: SessionManager, *, operator: Verdict | None = None, retry_by_default: bool = False
) -> list[tuple[JobDefinition, JobResult]]:
    """Give every interrupted attempt its result, durable when this returns; return the jobs and their results.

    Processes of the attempts that still run on the same boot are ended first. A session that was opened five times
    without a new result gets the flag ``stuck``.
    """
    state = manager.state
    assert state is not None
    metadata = state.metadata
    metadata.resume_count += 1
    if metadata.resume_count >= _STUCK_OPENINGS:
        metadata.flags.add("stuck")
    now = boot_id()
    share_dir = WellKnownDirsHelper(manager.storage).share_pathname
    running = dict(metadata.running)
    for job_id, attempt in running.items():
        if attempt.boot_id == now:
            end_leftovers(job_id, attempt)
    settled = []
    for job_id, attempt in running.items():
        job_state = state.job_state_map.get(job_id)
        if job_state is None:
            continue
        verdict = judge(
            job_state.job,
            attempt,
            Circumstances(
                boot_id=now,
                left_result=read_left_result(share_dir),
                operator=operator,
                retry_by_default=retry_by_default,
                attempts_left=job_state.attempts,
                openings=metadata.resume_count,
            ),
        )
        result = _result(manager, job_id, attempt, verdict)
        state.update_job_result(job_state.job, result)
        settled.append((job_state.job, job_state.result))
    metadata.running = {}
    metadata.boot_id = now
    manager.checkpoint()
    return settled


def _result(manager: SessionManager, job_id: str, attempt: RunningAttempt, verdict: Verdict) -> JobResult:
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
    except (OSError, CorruptedSessionError) as error:
        _log.warning("The log of an interrupted job cannot be used: %s", error)
        return None


def end_leftovers(job_id: str, attempt: RunningAttempt) -> None:
    """End the process group of an attempt if it is certain that it is the one: same leader, same start time."""
    group, ticks = attempt.process_group, attempt.start_ticks
    if group is None or ticks is None or not group_alive(group, ticks):
        return
    _log.warning("Ending the processes that %s has left behind", job_id)
    for number, wait_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _KILL_WAIT_S)):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not group_alive(group, ticks):
                return
            time.sleep(0.02)
    _log.warning("The processes of %s cannot be ended", job_id)

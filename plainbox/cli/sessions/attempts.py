# SPDX-License-Identifier: Apache-2.0
"""The jobs of a session and all attempts at them, for ``plainbox session show``."""

from __future__ import annotations

from plainbox.cli.console.progress import first_reason
from plainbox.cli.output import duration
from plainbox.cli.sessions.history import moment
from plainbox.errors import SessionError, UsageError
from plainbox.exporters.jsonstream import plain
from plainbox.session.jobs import JobState
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt
from plainbox.session.result import DiskJobResult, JobResult
from plainbox.session.resume import STALE

__all__ = ["ORIGINS", "find_job", "jobs_of", "tails_of"]

#: Who has decided about an outcome, where it was not the run itself.
ORIGINS = {"resume": "judged on resume", "operator": "decided by the operator", "salvage": "found by a salvage"}

_TAIL_LINES = 20
_TAIL_CHARS = 4000


def jobs_of(manager: SessionManager, *, is_running: bool) -> list[dict[str, object]]:
    """Return what there is to say about the jobs that are to run and those that have results."""
    state = manager.state
    assert state is not None
    listed = {job.id: None for job in state.run_list}
    listed.update((job_id, None) for job_id, job_state in state.job_state_map.items() if job_state.result_history)
    running = state.metadata.running
    return [_job(state.job_state_map[job_id], running.get(job_id), is_running=is_running) for job_id in listed]


def _job(job_state: JobState, running: RunningAttempt | None, *, is_running: bool) -> dict[str, object]:
    job, result = job_state.job, job_state.result
    return {
        "id": job.id,
        "summary": job.summary,
        "outcome": result.outcome,
        "running": is_running and running is not None,
        "interrupted": not is_running and running is not None,
        "duration": result.execution_duration,
        "shown_duration": duration(result.execution_duration),
        "return_code": result.return_code,
        "comments": result.comments,
        "reason": first_reason(result),
        "origin": result.origin,
        "stale_definition": bool(result.get(STALE)),
        "attempt": result.attempt,
        "running_attempt": running.attempt if running is not None else None,
        "attempts": [_attempt(item, counts=item is result) for item in job_state.result_history],
    }


def _attempt(result: JobResult, *, counts: bool) -> dict[str, object]:
    log = result.get("log")
    return {
        "outcome": result.outcome,
        "comments": result.comments,
        "origin": result.origin,
        "attempt": result.attempt,
        "counts": counts,
        "started": moment(result.start_time),
        "duration": result.execution_duration,
        "return_code": result.return_code,
        "boot_id": result.boot_id,
        "stale_definition": bool(result.get(STALE)),
        "log": log.get("path") if log is not None else None,
        **{key: plain(result.get(key)) for key in ("subtests", "measurements", "attachments") if result.get(key)},
    }


def find_job(jobs: list[dict[str, object]], name: str) -> dict[str, object]:
    """Return the job with a full id, or with a partial id that only one has; otherwise raise :class:`UsageError`."""
    matches = [job for job in jobs if job["id"] == name]
    matches = matches or [job for job in jobs if str(job["id"]).partition("::")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{name!r} means several jobs: {', '.join(str(job['id']) for job in matches)}")
    raise UsageError(f"the session has no job {name!r}", hint="without --job all jobs are shown")


def tails_of(manager: SessionManager, job_id: str) -> list[str]:
    """Return the end of the output of each attempt, that of a running one last."""
    state = manager.state
    assert state is not None
    results: list[JobResult] = list(state.job_state_map[job_id].result_history)
    running = state.metadata.running.get(job_id)
    if running is not None:
        reference = {"log": {"path": running.log}} if running.log is not None else {}
        results.append(DiskJobResult(reference, manager.storage.location))
    return [_tail(result) for result in results]


def _tail(result: JobResult) -> str:
    try:
        text = result.tail_text(_TAIL_CHARS)
    except (SessionError, OSError) as error:
        return f"(the log cannot be read: {error})"
    return "\n".join(text.splitlines()[-_TAIL_LINES:])

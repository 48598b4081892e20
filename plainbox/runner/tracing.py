# SPDX-License-Identifier: Apache-2.0
"""The trace of a session: an action for the time of its running, one for each job whose turn has come, and one for each
checkpoint.

The run opens it around its loop; it listens to the runner and to the manager, so nothing of it can reach a result. The
file is in the directory of the session, is written by the owner of the session alone, and a run that goes on with the
session adds to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from plainbox import __version__
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import Outcome
from plainbox.session.result import JobResult
from plainbox.tracing import Action, Tracer, traced
from plainbox.tracing.file import TRACE_NAME
from plainbox.tracing.stored import last_span

if TYPE_CHECKING:
    from plainbox.runner.runner import Runner
    from plainbox.units import JobDefinition

__all__ = ["TracedSessionManager", "traced_session"]

#: A checkpoint that takes longer is worth a line.
SLOW_CHECKPOINT_S = 0.02

_SESSION = "running session"
_SESSION_ID = "plainbox.session.id"


class TracedSessionManager(SessionManager):
    """A manager whose slow checkpoints are seen in the trace; there are two for each job, and most take no time."""

    def _save(self, data: bytes) -> None:
        with traced("writing checkpoint", {"plainbox.checkpoint.bytes": len(data)}, at_least_s=SLOW_CHECKPOINT_S):
            super()._save(data)


@contextmanager
def traced_session(manager: SessionManager, runner: Runner) -> Iterator[None]:
    """Trace what the runner does in this block, with the active tracer or with one for this block."""
    active = Tracer.TRACER
    tracer = active if active is not None else Tracer()
    if not tracer.active:
        yield
        return
    try:
        with _traced(tracer, manager, runner):
            yield
    finally:
        if active is None:
            tracer.close()


@contextmanager
def _traced(tracer: Tracer, manager: SessionManager, runner: Runner) -> Iterator[None]:
    storage = manager.storage
    path = tracer.settings.file or os.path.join(storage.location, TRACE_NAME)
    former = last_span(path, _SESSION, _SESSION_ID, storage.id)
    tracer.set_file(path)
    with Action(_SESSION, parent=Action.maybe_current(), tags=_tags_of(manager)) as action:
        if former is not None:
            action.links.append(former.context)
        tracer.announce(action)
        try:
            with _traced_jobs(manager, runner, action):
                yield
        finally:
            action.set_tags(_counts(manager))


def _tags_of(manager: SessionManager) -> dict[str, object]:
    state = manager.state
    assert state is not None
    return {
        _SESSION_ID: manager.storage.id,
        "plainbox.session.title": state.metadata.title,
        "plainbox.session.resumed": manager.storage.why == "resume",
        "plainbox.plan.id": next(iter(state.metadata.test_plan_ids), None),
        "plainbox.version": __version__,
        "process.pid": os.getpid(),
    }


def _counts(manager: SessionManager) -> dict[str, object]:
    state = manager.state
    assert state is not None
    counts = {f"plainbox.jobs.{outcome}": count for outcome, count in state.get_outcome_stats().items() if count}
    return {"plainbox.jobs.total": len(state.run_list), **counts}


@contextmanager
def _traced_jobs(manager: SessionManager, runner: Runner, session: Action) -> Iterator[None]:
    opened: dict[str, Action] = {}
    state = manager.state
    assert state is not None
    states = state.job_state_map

    def started(job: JobDefinition, number: int, total: int) -> None:
        action = opened[job.id] = Action("running job", parent=session, tags={"plainbox.job.id": job.id})
        if action.tracer is not None:
            # A run that is killed shows what it was at; the line is short, because it comes again.
            action.tracer.announce(action)
        action.set_tags(
            {
                "plainbox.job.plugin": job.plugin,
                "plainbox.job.index": number,
                "plainbox.job.attempt": states[job.id].next_attempt,
            }
        )

    def finished(job: JobDefinition, result: JobResult) -> None:
        action = opened.pop(job.id, None)
        if action is None:
            return
        action.set_tag("plainbox.job.outcome", result.outcome)
        if result.outcome == Outcome.CRASH:
            action.mark_failed("crash")
        action.finish()

    runner.on_job_started.connect(started)
    runner.on_job_finished.connect(finished)
    try:
        yield
    finally:
        runner.on_job_started.disconnect(started)
        runner.on_job_finished.disconnect(finished)
        for action in opened.values():
            # The run was stopped in the middle of it.
            action.set_tag("plainbox.unfinished", True)
            action.finish()

# SPDX-License-Identifier: Apache-2.0
"""``plainbox session show``: one session, its jobs and what became of them. Works while the session runs."""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_providers, add_session, find_session
from plainbox.cli.console.progress import first_reason
from plainbox.cli.output import clean, duration, print_json, print_table, write
from plainbox.cli.sessions.facts import describe
from plainbox.cli.stored import open_stored
from plainbox.session.manager import SessionManager


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    facts = describe(storage)
    with open_stored(storage, arguments.providers) as manager:
        jobs = _jobs(manager, is_running=facts["state"] == "running")
    if arguments.json:
        print_json("plainbox.session/1", **facts, jobs=jobs)
        return 0
    for key in ("id", "title", "state", "created", "directory"):
        if facts.get(key) is not None:
            write(f"{key + ':':<11} {clean(str(facts[key]))}")
    write("")
    print_table(
        (
            (
                _outcome(job),
                str(job["id"]),
                str(job["shown_duration"]),
                str(job["reason"]),
            )
            for job in jobs
        ),
        ("outcome", "job", "duration", "reason"),
    )
    return 0


def _outcome(job: dict[str, object]) -> str:
    words = (job["outcome"], job["running"] and "running", job["interrupted"] and "interrupted")
    return str(next(filter(None, words), "not run"))


def _jobs(manager: SessionManager, *, is_running: bool) -> list[dict[str, object]]:
    state = manager.state
    assert state is not None
    listed = {job.id: None for job in state.run_list}
    listed.update((job_id, None) for job_id, job_state in state.job_state_map.items() if job_state.result_history)
    result: list[dict[str, object]] = []
    for job_id in listed:
        job_state = state.job_state_map[job_id]
        result.append(
            {
                "id": job_id,
                "summary": job_state.job.summary,
                "outcome": job_state.result.outcome,
                "running": is_running and job_id in state.metadata.running,
                "interrupted": not is_running and job_id in state.metadata.running,
                "duration": job_state.result.execution_duration,
                "shown_duration": duration(job_state.result.execution_duration),
                "return_code": job_state.result.return_code,
                "comments": job_state.result.comments,
                "reason": first_reason(job_state.result),
                "attempts": [
                    {"outcome": attempt.outcome, "comments": attempt.comments, "origin": attempt.origin}
                    for attempt in job_state.result_history
                ],
            }
        )
    return result

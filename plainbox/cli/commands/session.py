# SPDX-License-Identifier: Apache-2.0
"""``plainbox session``.

List the stored sessions, newest first, or show one: its jobs, their outcomes and the reasons. Looking changes nothing and
needs no lock, so it works while the session runs.
"""

from __future__ import annotations

import argparse
import time

from plainbox.cli.arguments import add_json, add_providers, add_session, find_session
from plainbox.cli.console.progress import first_reason
from plainbox.cli.output import clean, duration, print_json, print_table, say, write
from plainbox.cli.stored import open_stored
from plainbox.errors import SessionError
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.storage import SessionStorage, SessionStorageRepository


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = commands.add_parser("list", help="list the stored sessions, newest first")
    add_json(listing)
    show = commands.add_parser("show", help="show one session: its jobs and what became of them")
    add_session(show, "the newest")
    add_providers(show)
    add_json(show)


def run(arguments: argparse.Namespace) -> int:
    return _list(arguments) if arguments.action == "list" else _show(arguments)


def _list(arguments: argparse.Namespace) -> int:
    sessions = [_describe(storage) for storage in SessionStorageRepository().get_storage_list()]
    if arguments.json:
        print_json("plainbox.session-list/1", sessions=sessions)
        return 0
    if not sessions:
        say("There are no stored sessions.")
    print_table(
        (
            (str(item["id"]), str(item["state"]), _counts(item["outcomes"]), str(item["title"] or item["reason"] or ""))
            for item in sessions
        ),
        ("session", "state", "outcomes", "title"),
    )
    return 0


def _describe(storage: SessionStorage) -> dict[str, object]:
    """Return the row of a session; one that cannot be read is a row that says why."""
    facts: dict[str, object] = {"id": storage.id, "directory": storage.location, "title": None, "outcomes": {}}
    facts |= {"created": None, "size_bytes": None, "reason": None}
    try:
        info = storage.journal_info()
        facts |= {"created": _stamp(info.created), "size_bytes": info.size_bytes}
        stored = storage.peek_metadata()
        owner = storage.owner()
    except (SessionError, OSError) as error:
        return {**facts, "state": "unreadable", "reason": str(error)}
    meta = stored["meta"]
    facts |= {"title": meta.get("title"), "outcomes": stored["outcomes"]}
    if owner is not None:
        return {**facts, "state": "running", "pid": owner.pid}
    return {**facts, "state": _state(meta)}


def _state(meta: dict[str, object]) -> str:
    flags = meta.get("flags")
    if not meta:
        return "empty"
    return "incomplete" if isinstance(flags, list) and "incomplete" in flags else "complete"


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _counts(outcomes: object) -> str:
    if not isinstance(outcomes, dict):
        return ""
    return ", ".join(f"{outcomes[name]} {name}" for name in OUTCOME_METADATA_MAP if name in outcomes)


def _show(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    facts = _describe(storage)
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

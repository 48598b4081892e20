# SPDX-License-Identifier: Apache-2.0
"""``plainbox session show``: one session, its jobs and what became of them. Works while the session runs."""

from __future__ import annotations

import argparse
from typing import Any

from plainbox.cli.arguments import add_json, add_providers, add_session, find_session
from plainbox.cli.output import clean, duration, print_json, print_table, write
from plainbox.cli.sessions.attempts import ORIGINS, find_job, jobs_of, tails_of
from plainbox.cli.sessions.facts import describe
from plainbox.cli.sessions.history import events_of, openings_of
from plainbox.cli.stored import open_stored, readable_part
from plainbox.exporters.told import attachments, measurements, subtests
from plainbox.session.manager import SessionManager
from plainbox.session.result import MemoryJobResult


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    parser.add_argument("--job", metavar="ID", help="show this job whole: each attempt with the end of its output")
    add_providers(parser)
    parser.add_argument("--partial", action="store_true", help="of a damaged session, show what can be read")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    if arguments.partial:
        storage = readable_part(storage)
    facts = describe(storage)
    with open_stored(storage, arguments.providers) as manager:
        jobs = jobs_of(manager, is_running=facts["state"] == "running")
        if arguments.job is not None:
            jobs = [find_job(jobs, arguments.job)]
            _add_tails(manager, jobs[0])
    records = storage.records()
    facts |= {"generation": storage.journal_info().generation, "openings": openings_of(records)}
    facts["events"] = events_of(records)
    if arguments.json:
        print_json("plainbox.session/1", **facts, jobs=jobs)
    elif arguments.job is not None:
        _show_job(jobs[0])
    else:
        _show_session(facts, jobs)
    return 0


def _show_session(facts: dict[str, object], jobs: list[dict[str, object]]) -> None:
    for key in ("id", "title", "state", "created", "directory"):
        if facts.get(key) is not None:
            write(f"{key + ':':<11} {clean(str(facts[key]))}")
    write("")
    print_table(
        ((_outcome(job), str(job["id"]), str(job["shown_duration"]), _remarks(job)) for job in jobs),
        ("outcome", "job", "duration", "reason"),
    )
    events = facts["events"]
    if isinstance(events, list) and events:
        write("\nWhat happened")
        print_table((str(event["at"] or ""), str(event["text"])) for event in events)
        write(f"The journal is in generation {facts['generation']} and has {facts['size_bytes']} bytes.")


def _outcome(job: dict[str, object]) -> str:
    words = (job["running"] and "running", job["interrupted"] and "interrupted", job["outcome"])
    return str(next(filter(None, words), "not run"))


def _remarks(job: dict[str, object]) -> str:
    """Return why a job has its outcome, which of several attempts that is of, and what to know about it."""
    attempts = job["attempts"]
    count = len(attempts) if isinstance(attempts, list) else 0
    remarks = [
        f"attempt {job['attempt']} of {count}" if count > 1 else "",
        ORIGINS.get(str(job["origin"]), ""),
        "its definition has changed since" if job["stale_definition"] else "",
    ]
    told = ", ".join(filter(None, remarks))
    return " ".join(filter(None, (str(job["reason"]), f"[{told}]" if told else "")))


def _add_tails(manager: SessionManager, job: dict[str, object]) -> None:
    attempts = job["attempts"]
    assert isinstance(attempts, list)
    tails = tails_of(manager, str(job["id"]))
    for attempt, tail in zip(attempts, tails, strict=False):
        attempt["log_tail"] = tail
    job["running_log_tail"] = tails[-1] if len(tails) > len(attempts) else None


def _show_job(job: dict[str, object]) -> None:
    for key in ("id", "summary"):
        if job[key]:
            write(f"{key + ':':<9} {clean(str(job[key]))}")
    write(f"{'outcome:':<9} {_outcome(job)}")
    if _remarks(job):
        write(f"{'':<9} {clean(_remarks(job))}")
    attempts = job["attempts"]
    assert isinstance(attempts, list)
    for attempt in attempts:
        took = duration(attempt["duration"])
        known = (
            str(attempt["outcome"]),
            ORIGINS.get(attempt["origin"], ""),
            f"return code {attempt['return_code']}" if attempt["return_code"] is not None else "",
            f"started {attempt['started']}" if attempt["started"] else "",
            f"took {took}" if took else "",
            "counts" if attempt["counts"] and len(attempts) > 1 else "",
        )
        _show_attempt(f"Attempt {attempt['attempt']}: {', '.join(filter(None, known))}", attempt["comments"])
        _show_told(attempt)
        _show_tail(attempt["log_tail"])
    if job["running_attempt"] is not None:
        _show_attempt(f"Attempt {job['running_attempt']}: {_outcome(job)}", None)
        _show_tail(job["running_log_tail"])


def _show_attempt(heading: str, comments: str | None) -> None:
    write(f"\n{heading}")
    for line in (comments or "").splitlines():
        write(f"  {clean(line)}")


def _show_told(attempt: dict[str, Any]) -> None:
    """Show what an attempt has told of itself."""
    result = MemoryJobResult({key: attempt.get(key) for key in ("subtests", "measurements", "attachments")})
    for part in subtests(result):
        write(f"  {part.name}: {part.outcome or 'unknown'}{f' ({part.comment})' if part.comment else ''}")
    for measurement in measurements(result):
        write(f"  {measurement.text}")
    for attachment in attachments(result):
        write(f"  attached: {attachment.path} ({attachment.size} bytes)")


def _show_tail(tail: object) -> None:
    for line in str(tail or "").splitlines():
        write(f"  | {clean(line)}")

# SPDX-License-Identifier: Apache-2.0
"""Asking a person what became of a job that waited for a person when its tester ended."""

from __future__ import annotations

from plainbox.cli.console.choose import ask
from plainbox.cli.output import clean, say
from plainbox.runner.interrupted import CHOICES, Decision, must_say_why
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt

__all__ = ["ask_what_became"]


def ask_what_became(job_state: JobState, attempt: RunningAttempt) -> Decision | None:
    """Return what a person says of an interrupted attempt; an empty answer, or none at all, leaves it open."""
    job = job_state.job
    summary = f": {clean(job.tr_summary())}" if job.summary else ""
    say(f"{job.id}{summary}")
    say(f"The session was interrupted while attempt {attempt.attempt} at this job was waiting for you.")
    while True:
        answer = ask(f"What became of it? [{'/'.join(CHOICES)}, empty to leave it undecided] ")
        if not answer:
            return None
        choice = next((item for item in CHOICES if item.startswith(answer.lower())), None)
        if choice is None:
            say(f"{answer} is none of them")
            continue
        why = "comment (this job decides about the certification, so say why): "
        comment = ask(why if must_say_why(job_state, choice) else "comment (may be empty): ")
        if comment or not must_say_why(job_state, choice):
            return Decision(choice, comment or None)
        if comment is None:
            return None

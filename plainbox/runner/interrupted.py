# SPDX-License-Identifier: Apache-2.0
"""What becomes of a job that was running when its tester ended.

Called once, when a session is opened to go on with it, for every attempt that was started and has no result. The rules
are tried from top to bottom, the first that applies decides; facts are read (the stored attempt, the boot id, what the
job has left in the session share), nothing is guessed. What a person says comes before all of them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from plainbox.errors import StorageError
from plainbox.session.atomic import open_share, remove_directory, remove_file
from plainbox.session.files import FileOps
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt
from plainbox.session.outcome import Outcome
from plainbox.session.result import JsonValue
from plainbox.units import JobDefinition

__all__ = [
    "CHOICES",
    "MAX_OPENINGS",
    "Circumstances",
    "Decision",
    "Question",
    "ResumePolicy",
    "Verdict",
    "forget_left_result",
    "judge",
    "must_say_why",
    "read_left_result",
]

RESULT_NAME = "__result"
_MAX_READ_BYTES = 1024 * 1024
_MAX_QUOTED = 4096
#: So many openings of a session without a new result mean that the job takes its tester down each time.
MAX_OPENINGS = 3
#: What a person can say of an interrupted job.
CHOICES = ("pass", "fail", "skip", "rerun")


@attrs.frozen
class Decision:
    """What a person says of an interrupted attempt: one of :data:`CHOICES`, and why."""

    choice: str = attrs.field(validator=attrs.validators.in_(CHOICES))
    comment: str | None = None


#: Asks a person what has become of an attempt; ``None`` when nobody answers.
Question: TypeAlias = Callable[[JobState, RunningAttempt], Decision | None]


@attrs.frozen
class ResumePolicy:
    """What whoever goes on with a session brings along, beside the facts.

    ``decision`` is about whatever was running; ``ask`` is called for jobs that were waiting for a person. With
    ``retry_by_default`` every job counts as ``on-crash: retry``, with ``noreturn_needs_reboot`` every ``noreturn`` job
    as ``expect-reboot``.
    """

    decision: Decision | None = None
    ask: Question | None = None
    retry_by_default: bool = False
    noreturn_needs_reboot: bool = False


@attrs.frozen
class Verdict:
    """``outcome`` for the interrupted attempt; ``rule`` is what decided. With ``retry`` the job is then run again."""

    outcome: str
    comment: str
    rule: str
    origin: str = "resume"
    retry: bool = False


@attrs.frozen
class Circumstances:
    """What is known when the session is opened again.

    ``boot_id`` is that of this boot; a ``weak_boot_id`` alone does not prove that the machine was started anew, so the
    machine must then have been up for a shorter time than has passed since the start of the job. ``left_result`` is the
    text of the file that the job may have left in the session share; ``openings`` counts how often the session was
    opened since the last result; ``hung`` says that the tester was ended because it gave no sign of life any more.
    A job that is not ``known`` is no longer defined by anybody.
    """

    boot_id: str
    weak_boot_id: bool = False
    now: float = 0.0
    uptime_s: float = 0.0
    left_result: str | None = None
    decision: Decision | None = None
    retry_by_default: bool = False
    noreturn_needs_reboot: bool = False
    attempts_left: int = 0
    openings: int = 1
    hung: bool = False
    known: bool = True

    def rebooted_since(self, attempt: RunningAttempt) -> bool:
        """Tell whether the machine was started anew since the attempt began."""
        if attempt.boot_id is None or attempt.boot_id == self.boot_id:
            return False
        if not self.weak_boot_id or attempt.start_time is None:
            return True
        return self.uptime_s < self.now - attempt.start_time

    def evidence(self, attempt: RunningAttempt) -> dict[str, JsonValue]:
        """Return the facts that a verdict rests on, for the journal."""
        return {
            "boot_before": attempt.boot_id,
            "boot_now": self.boot_id,
            "rebooted": self.rebooted_since(attempt),
            "hung": self.hung,
            "left_result": None if self.left_result is None else self.left_result[:_MAX_QUOTED],
            "attempts_left": self.attempts_left,
            "openings": self.openings,
        }


def read_left_result(share_dir: str) -> str | None:
    """Return the text of the file in which a job may state its own result, ``None`` when there is none.

    Whatever else the job has put in its place reads as an empty text.
    """
    try:
        with open_share(FileOps(), share_dir) as share:
            fd = os.open(RESULT_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=share)
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    try:
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return os.read(fd, _MAX_READ_BYTES).decode("utf-8", "replace") if regular else ""
    finally:
        os.close(fd)


def forget_left_result(share_dir: str, files: FileOps) -> None:
    """Remove the file, durably, so that one attempt is never judged by what another has left."""
    try:
        with open_share(files, share_dir) as share:
            remove_directory(files, RESULT_NAME, share)
            remove_file(files, RESULT_NAME, dir_fd=share)
    except FileNotFoundError:
        return
    except OSError as error:
        path = os.path.join(share_dir, RESULT_NAME)
        hint = "remove it yourself; the directory that it is in must belong to you"
        raise StorageError(f"{path} cannot be removed", errno=error.errno, hint=hint) from error


def must_say_why(job_state: JobState, choice: str) -> bool:
    """Tell whether a decision needs a comment: a certification must not fail, or be passed over, without a reason."""
    return choice in ("fail", "skip") and job_state.effective_certification_status == "blocker"


def judge(job: JobDefinition, attempt: RunningAttempt, circumstances: Circumstances) -> Verdict:
    """Return what becomes of an interrupted attempt at ``job``."""
    if circumstances.decision is not None:
        return _decided(circumstances.decision, circumstances)
    # Of several that ran at the same time nobody knows whose it is.
    if circumstances.left_result is not None and attempt.alone:
        return _stated(circumstances.left_result)
    if not circumstances.known:
        owner = f"the provider {job.provider.name}" if job.provider is not None else "its provider"
        return Verdict(
            Outcome.NOT_SUPPORTED,
            f"the test session ended while the job was running; {owner} does not define it any more",
            rule="unknown-job",
        )
    if not job.automated:
        return Verdict(
            Outcome.UNDECIDED,
            "the test session ended while the job was waiting for a person; nobody has decided",
            rule="person",
        )
    if "noreturn" in job.flags:
        return _not_returned(job, attempt, circumstances)
    return _crashed(job, attempt, circumstances)


def _decided(decision: Decision, circumstances: Circumstances) -> Verdict:
    if decision.choice != "rerun":
        comment = decision.comment or "decided by the operator after an interruption"
        return Verdict(decision.choice, comment, rule="operator", origin="operator")
    if not circumstances.known:
        again = "it cannot be run again, nobody defines it any more"
    elif circumstances.attempts_left <= 0:
        again = "it is not run again, no attempts are left"
    else:
        again = "the job is run again"
    reason = f": {decision.comment}" if decision.comment else ""
    return Verdict(
        Outcome.CRASH,
        f"interrupted: the operator wants another attempt{reason}; {again}",
        rule="operator",
        origin="operator",
        retry=circumstances.known and circumstances.attempts_left > 0,
    )


def _stated(text: str) -> Verdict:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, Mapping) and content.get("outcome") in ("pass", "fail", "skip"):
        comment = content.get("comments")
        comment = str(comment) if comment else f"stated by the job in {RESULT_NAME}"
        return Verdict(content["outcome"], comment, rule="stated")
    comment = f"the job left a {RESULT_NAME} that makes no sense: {text[:_MAX_QUOTED]}"
    return Verdict(Outcome.CRASH, comment, rule="stated-nonsense")


def _not_returned(job: JobDefinition, attempt: RunningAttempt, circumstances: Circumstances) -> Verdict:
    boots = _boots(attempt, circumstances)
    if circumstances.rebooted_since(attempt):
        return Verdict(Outcome.PASS, f"the machine was started anew, as the job intends ({boots})", rule="rebooted")
    if "expect-reboot" in job.flags or circumstances.noreturn_needs_reboot:
        expected = "the job expects it" if "expect-reboot" in job.flags else "this is expected here of noreturn jobs"
        comment = f"the machine was not started anew although {expected} ({boots})"
        return Verdict(Outcome.CRASH, comment, rule="no-reboot")
    if circumstances.hung:
        return Verdict(Outcome.PASS, f"the job did not return, and {_HUNG} ({boots})", rule="noreturn")
    return Verdict(Outcome.PASS, f"the job ended the test session, as it intends ({boots})", rule="noreturn")


def _crashed(job: JobDefinition, attempt: RunningAttempt, circumstances: Circumstances) -> Verdict:
    if circumstances.rebooted_since(attempt):
        cause = f"the machine was started anew ({_boots(attempt, circumstances)})"
        cause = f"{_HUNG}, then {cause}" if circumstances.hung else cause
    else:
        cause = _HUNG if circumstances.hung else "the test session was killed or lost"
    comment = f"interrupted: {cause} while the job was running"
    if job.on_crash != "retry" and not circumstances.retry_by_default:
        return Verdict(Outcome.CRASH, comment, rule="crash")
    if circumstances.openings >= MAX_OPENINGS:
        why = f"the session was opened {circumstances.openings} times without a new result"
    elif circumstances.attempts_left <= 0:
        why = "no attempts are left"
    else:
        return Verdict(Outcome.CRASH, f"interrupted: {cause}; the job is run again", rule="retry", retry=True)
    return Verdict(Outcome.CRASH, f"{comment}; it is not run again: {why}", rule="crash")


_HUNG = "the test session hung and was ended by its watchdog"


def _boots(attempt: RunningAttempt, circumstances: Circumstances) -> str:
    return f"boot {attempt.boot_id or 'unknown'} before, {circumstances.boot_id} now"

# SPDX-License-Identifier: Apache-2.0
"""What a salvage makes of a damaged session, and what it names as lost; writes nothing.

For :mod:`plainbox.session.salvage`, which carries it out, and for whoever shows a damaged session. What must stay true:
no result appears that was not submitted.
"""

from __future__ import annotations

import attrs

from plainbox.session.codec import JsonObject
from plainbox.session.iolog_reader import LogHead
from plainbox.session.outcome import Outcome
from plainbox.session.repair.attachments import AttachmentProblem
from plainbox.session.repair.inspection import Inspection, LogProblem, LostAttempt, is_resource
from plainbox.session.repair.reconstruction import attempt_number, running_attempts
from plainbox.session.result import is_moment
from plainbox.session.tree import Tree

__all__ = ["Loss", "Plan"]


@attrs.frozen
class Loss:
    """Something that was acknowledged and is not there any more.

    ``kind``: ``checkpoints``, ``result`` (of ``attempt`` at ``job``), ``log`` or ``attachment``. ``file`` is where it was,
    or what is left.
    """

    kind: str
    message: str
    job: str | None = None
    attempt: int | None = None
    file: str | None = None

    def as_dict(self) -> JsonObject:
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}


class Plan:
    """``tree`` is the new state, ``losses`` what it lacks, ``undecided`` the attempts that have lost their result alone."""

    def __init__(self, found: Inspection) -> None:
        assert found.tree is not None
        self.tree: Tree = found.tree
        self.losses: list[Loss] = []
        self.undecided: list[LostAttempt] = []
        #: The paths of the logs and attachments that are not what was recorded.
        self.lost_logs: list[str] = []
        #: Logs of which a copy is to be made that ends with its last good frame: path -> (job id, attempt).
        self.to_close: dict[str, tuple[str, int]] = {}
        if found.error is not None:
            for gap in found.proven.losses:
                self.losses.append(Loss("checkpoints", f"{gap.cost} ({gap.file}, byte {gap.offset})", file=gap.file))
        for item in found.lost:
            self._plan_lost(item)
        for problem in found.log_problems:
            self._plan_log(problem)
        for attachment in found.attachment_problems:
            self._plan_attachment(attachment)
        if found.error is not None:
            _complete(self.tree)

    @property
    def is_resumable(self) -> bool:
        flags, program = self.tree.meta.get("flags"), self.tree.meta.get("app_id")
        return (
            program is not None
            and isinstance(flags, list)
            and bool({"incomplete", "setting_up"}.intersection(map(str, flags)))
        )

    def _plan_lost(self, item: LostAttempt) -> None:
        tree, log = self.tree, item.log
        what = f"the result of attempt {item.attempt} at {item.job_id}"
        known = item.job_id in tree.jobs or item.job_id in tree.want or item.job_id in tree.results
        if log is not None and known:
            after = "; its output is there, and it is undecided now"
            tree.results.setdefault(item.job_id, {})[item.attempt] = _undecided(item, log)
            self.undecided.append(item)
            if not log.finished:
                self.to_close[log.path] = item.job_id, item.attempt
            self._end_running(item)
        elif log is not None:
            after = f"; its output is in {log.path}, and the session does not know the job any more"
        elif max(tree.results.get(item.job_id, ()), default=0) > item.attempt:
            after = "; a later attempt has its result"
        else:
            after = "; nothing is left of its output, and a resume runs it again"
        file = log.path if log is not None else None
        self.losses.append(Loss("result", what + after, job=item.job_id, attempt=item.attempt, file=file))

    def _end_running(self, item: LostAttempt) -> None:
        running = running_attempts(self.tree)
        if item.job_id in running and attempt_number(running[item.job_id]) == item.attempt:
            del running[item.job_id]
            self.tree.meta["running"] = running

    def _plan_log(self, problem: LogProblem) -> None:
        self.lost_logs.append(problem.path)
        what = f"the log of attempt {problem.attempt} at {problem.job_id}: {problem.message}"
        if problem.kind in ("unfinished", "differs") and not is_resource(self.tree, problem.job_id):
            # Half of what a resource job has printed is worse than none: a resume runs it again.
            self.to_close[problem.path] = problem.job_id, problem.attempt
            what += "; what comes before the damage is kept"
        self.losses.append(Loss("log", what, job=problem.job_id, attempt=problem.attempt, file=problem.path))

    def _plan_attachment(self, problem: AttachmentProblem) -> None:
        self.lost_logs.append(problem.path)
        what = f"an attachment of attempt {problem.attempt} at {problem.job_id}: {problem.message}"
        self.losses.append(Loss("attachment", what, job=problem.job_id, attempt=problem.attempt, file=problem.path))


def _undecided(item: LostAttempt, log: LogHead) -> JsonObject:
    result: JsonObject = {
        "attempt": item.attempt,
        "comments": "the result of this attempt was lost; what the job printed is there",
        "origin": "salvage",
        "outcome": Outcome.UNDECIDED.value,
    }
    if log.start_time is not None and is_moment(log.start_time):
        result["start_time"] = log.start_time
    if log.boot_id is not None:
        result["boot_id"] = log.boot_id
    return result


def _complete(tree: Tree) -> None:
    """Give every job that the state speaks of an entry and a definition, however little they say.

    What was lost of them comes back from the providers when the session goes on.
    """
    spoken_of = {*tree.results, *tree.want, *tree.must, *running_attempts(tree)}
    for job_id in spoken_of:
        tree.jobs.setdefault(job_id, {})
        tree.units.setdefault(job_id, {"fields": {}})

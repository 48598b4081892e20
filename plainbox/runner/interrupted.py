# SPDX-License-Identifier: Apache-2.0
"""What becomes of a job that was running when its tester ended.

Called once, when a session is opened to go on with it, for every attempt that was started and has no result. The rules
are tried from top to bottom, the first that applies decides; facts are read (the stored attempt, the boot id, what the
job has left in the session share), nothing is guessed.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping

import attrs

from plainbox.errors import StorageError
from plainbox.session.files import FileOps
from plainbox.session.metadata import RunningAttempt
from plainbox.session.outcome import Outcome
from plainbox.units import JobDefinition

__all__ = ["MAX_OPENINGS", "Circumstances", "Verdict", "forget_left_result", "judge", "read_left_result"]

RESULT_NAME = "__result"
_MAX_READ_BYTES = 1024 * 1024
_MAX_QUOTED = 4096
#: So many openings of a session without a new result mean that the job takes its tester down each time.
MAX_OPENINGS = 3


@attrs.frozen
class Verdict:
    """``outcome`` for the interrupted attempt; with ``retry`` the job is then run again."""

    outcome: str
    comment: str
    origin: str = "resume"
    retry: bool = False


@attrs.frozen
class Circumstances:
    """What is known when the session is opened again.

    ``boot_id`` is that of this boot; a ``weak_boot_id`` alone does not prove that the machine was started anew, so the
    machine must then have been up for a shorter time than has passed since the start of the job. ``left_result`` is the
    text of the file that the job may have left in the session share; ``openings`` counts how often the session was
    opened since the last result.
    """

    boot_id: str
    weak_boot_id: bool = False
    now: float = 0.0
    uptime_s: float = 0.0
    left_result: str | None = None
    operator: Verdict | None = None
    retry_by_default: bool = False
    attempts_left: int = 0
    openings: int = 1

    def rebooted_since(self, attempt: RunningAttempt) -> bool:
        """Tell whether the machine was started anew since the attempt began."""
        if attempt.boot_id is None or attempt.boot_id == self.boot_id:
            return False
        if not self.weak_boot_id or attempt.start_time is None:
            return True
        return self.uptime_s < self.now - attempt.start_time


def read_left_result(share_dir: str) -> str | None:
    """Return the text of the file in which a job may state its own result, ``None`` when there is none.

    Whatever else the job has put in its place reads as an empty text.
    """
    try:
        fd = os.open(os.path.join(share_dir, RESULT_NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
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
    path = os.path.join(share_dir, RESULT_NAME)
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            files.unlink(path)
        files.sync_directory(share_dir)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path} cannot be removed", errno=error.errno) from error


def judge(job: JobDefinition, attempt: RunningAttempt, circumstances: Circumstances) -> Verdict:
    """Return what becomes of an interrupted attempt at ``job``."""
    if circumstances.operator is not None:
        return circumstances.operator
    if circumstances.left_result is not None:
        return _stated(circumstances.left_result)
    if not job.automated:
        return Verdict(
            Outcome.UNDECIDED, "the test session ended while the job was waiting for a person; nobody has decided"
        )
    rebooted = circumstances.rebooted_since(attempt)
    boots = f"boot {attempt.boot_id or 'unknown'} before, {circumstances.boot_id} now"
    if "noreturn" in job.flags:
        if rebooted:
            return Verdict(Outcome.PASS, f"the machine was started anew, as the job intends ({boots})")
        if "expect-reboot" in job.flags:
            return Verdict(Outcome.CRASH, f"the machine was not started anew although the job expects it ({boots})")
        return Verdict(Outcome.PASS, f"the job ended the test session, as it intends ({boots})")
    cause = f"the machine was started anew ({boots})" if rebooted else "the test session was killed or lost"
    wants_retry = job.on_crash == "retry" or circumstances.retry_by_default
    if wants_retry and circumstances.attempts_left > 0 and circumstances.openings < MAX_OPENINGS:
        return Verdict(Outcome.CRASH, f"interrupted: {cause}; the job is run again", retry=True)
    return Verdict(Outcome.CRASH, f"interrupted: {cause} while the job was running")


def _stated(text: str) -> Verdict:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, Mapping) and content.get("outcome") in ("pass", "fail", "skip"):
        comment = content.get("comments")
        return Verdict(content["outcome"], str(comment) if comment else f"stated by the job in {RESULT_NAME}")
    return Verdict(Outcome.CRASH, f"the job left a {RESULT_NAME} that makes no sense: {text[:_MAX_QUOTED]}")

# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of a run: what it came to, what needs attention, where everything is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from plainbox.cli.console.progress import first_reason
from plainbox.cli.output import clean, duration, say
from plainbox.session.jobs import JobState
from plainbox.session.outcome import OUTCOME_METADATA_MAP, failed

__all__ = ["exit_code_of", "print_summary"]

_MOST_SHOWN = 20
_TAIL_BYTES = 2000


def exit_code_of(states: Iterable[JobState]) -> int:
    """Return 1 when some job failed or crashed, else 0."""
    return int(any(failed(state.result.outcome) for state in states))


def print_summary(
    states: list[JobState], took_s: float, *, interrupted: Collection[str] = (), unstored: Collection[str] = ()
) -> None:
    """Write the counts, then the jobs that need attention with the reason.

    ``interrupted`` are the ids of jobs that the session has noted as running, ``unstored`` of those whose result is lost.
    """
    lost = {*interrupted, *unstored}
    cut_short = {
        state.job.id
        for state in states
        # What has begun was noted as running: that is what is stored then.
        if state.job.id in interrupted or (state.job.id in unstored and state.result.start_time is not None)
    }
    counts = Counter(None if state.job.id in lost else state.result.outcome for state in states)
    counts[None] -= len(cut_short)
    parts = [f"{counts[outcome]} {data.label}" for outcome, data in OUTCOME_METADATA_MAP.items() if counts[outcome]]
    if cut_short:
        parts.append(f"{len(cut_short)} interrupted")
    say("")
    noun = "job" if len(states) == 1 else "jobs"
    say(f"{len(states)} {noun} in {duration(took_s)}: {', '.join(parts)}")
    attention = [
        state
        for state in states
        if state.job.id not in lost and (failed(state.result.outcome) or state.result.outcome == "undecided")
    ]
    for state in attention[:_MOST_SHOWN]:
        data = OUTCOME_METADATA_MAP[state.result.outcome]
        reason = first_reason(state.result) or _last_line(state)
        say(f"  {data.sigil} {state.job.id}: {data.label}{f' - {reason}' if reason else ''}")
    if len(attention) > _MOST_SHOWN:
        say(f"  ... and {len(attention) - _MOST_SHOWN} more")


def _last_line(state: JobState) -> str:
    """Return the last line that the job has printed: most say there what is wrong."""
    from plainbox.exporters.logtext import LogText

    pieces = list(LogText(state.result, _TAIL_BYTES, keep="tail"))
    printed = "".join(piece.text for piece in pieces if piece.stream != "note").strip()
    lines = (printed or "".join(piece.text for piece in pieces).strip()).splitlines()
    return clean(lines[-1].strip()[:160]) if lines else ""

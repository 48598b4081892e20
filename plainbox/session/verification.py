# SPDX-License-Identifier: Apache-2.0
"""Tells whether a stored session is what was acknowledged, and what is wrong with it where.

Called by ``plainbox session verify`` and by whoever wants to know before going on. Takes no lock, writes nothing, and
no content makes it raise: whatever is in the files becomes a finding. What must stay true: a session that it calls
``good`` or ``torn`` loads, and one that does not load is never called so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import attrs

from plainbox.errors import CorruptedSessionError, StorageError
from plainbox.session.codec import JsonObject
from plainbox.session.hint import HINT_NAME
from plainbox.session.repair.inspection import Inspection, LostAttempt, inspect
from plainbox.session.repair.reconstruction import Gap
from plainbox.session.repair.survey import GenerationFile
from plainbox.session.storage import SessionStorage

__all__ = ["Finding", "Verification", "verify"]

GOOD: Final = "good"
TORN: Final = "torn"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"


@attrs.frozen
class Finding:
    """Something that is not as it should be.

    ``kind`` names it for programs, ``message`` for people; ``harmful`` findings are damage, the others are only worth
    knowing. ``offset`` is a byte of the file, ``seq`` the record there, ``checkpoints`` and ``jobs`` are affected.
    ``remedy`` is what somebody has to do before the session can be salvaged in its place.
    """

    file: str
    kind: str
    message: str
    harmful: bool = True
    offset: int | None = None
    seq: int | None = None
    checkpoints: tuple[int, ...] = ()
    jobs: tuple[str, ...] = ()
    remedy: str | None = None

    def as_dict(self) -> JsonObject:
        return {**attrs.asdict(self), "checkpoints": list(self.checkpoints), "jobs": list(self.jobs)}


@attrs.frozen
class Verification:
    """What is to be said about a session. ``state`` is the worst of

    ``good``, ``torn`` (the record in flight was cut off, nothing acknowledged is lost), ``damaged`` (something that was
    acknowledged is not as it was) and ``unreadable`` (nothing of it can be used). ``deep``: all logs and
    attachments were read.
    """

    session: str
    directory: str
    state: str
    deep: bool
    findings: tuple[Finding, ...]
    generation: int
    checkpoint: int
    jobs: int
    results: int

    @property
    def is_sound(self) -> bool:
        """Whether the session is what was acknowledged."""
        return self.state in (GOOD, TORN)

    def as_dict(self) -> JsonObject:
        return {**attrs.asdict(self, recurse=False), "findings": [finding.as_dict() for finding in self.findings]}


def verify(storage: SessionStorage, *, deep: bool = False) -> Verification:
    """Look at everything that is stored of a session; with ``deep`` the digests of all its logs and attachments, too.

    :raises StorageGoneError: the directory does not exist.
    :raises StorageError: it cannot be opened.
    """
    return describe(storage, inspect(storage, deep=deep), deep=deep)


def describe(storage: SessionStorage, found: Inspection, *, deep: bool = False) -> Verification:
    """Put into words what a look at a session has found."""
    findings = (*_about_journal(found), *_about_logs(found), *_about_files(found))
    tree = found.tree
    return Verification(
        session=storage.id,
        directory=storage.location,
        state=_state(found, findings),
        deep=deep,
        findings=findings,
        generation=found.survey.files[-1].number if found.survey.files else 0,
        checkpoint=found.proven.number,
        jobs=len(tree.jobs) if tree is not None else 0,
        results=sum(map(len, tree.results.values())) if tree is not None else 0,
    )


def _state(found: Inspection, findings: tuple[Finding, ...]) -> str:
    if found.error is not None and (found.tree is None or not isinstance(found.error, CorruptedSessionError)):
        return UNREADABLE
    if found.error is not None or any(finding.harmful for finding in findings):
        return DAMAGED
    return TORN if found.torn else GOOD


# -- the journal


def _about_journal(found: Inspection) -> Iterator[Finding]:
    files = found.survey.files
    for file in files:
        current = file is files[-1]
        if found.error is None:
            yield from _about_file_of_good_session(found, file, current=current)
        else:
            yield from _about_file(found, file)
    if found.error is None:
        return
    gaps = [gap for gap in found.proven.gaps if gap.cost is not None]
    lost = {(item.job_id, item.attempt) for item in found.lost}
    yield from (_about_gap(gap, lost) for gap in gaps)
    yield from map(_about_lost, found.lost)
    error = found.error
    offset, seq = getattr(error, "offset", None), getattr(error, "seq", None)
    kind = getattr(error, "kind", "invalid") if isinstance(error, CorruptedSessionError) else "unreadable"
    if found.tree is None or not (gaps or any(file.bad or file.strangers or file.problem for file in files)):
        name = files[-1].name if files else "."
        # That it may not be read says nothing about the session; there is something to do about it.
        refused = isinstance(error, StorageError) and error.hint is not None
        remedy = error.hint if refused else None
        yield Finding("." if refused else name, kind, str(error), offset=offset, seq=seq, remedy=remedy)


def _about_file_of_good_session(found: Inspection, file: GenerationFile, *, current: bool) -> Iterator[Finding]:
    """Nothing that is wrong with a file matters to a session that loads; a damaged file that was replaced is told."""
    if current:
        if found.torn:
            bad = file.bad[-1] if file.bad else None
            size = bad.end - bad.offset if bad is not None else 0
            message = f"the last {size} bytes are a record that was never acknowledged; the next writer removes them"
            if bad is None:
                message = "the last record has no line feed; the next writer adds it"
            yield Finding(
                file.name,
                "torn-tail",
                message,
                harmful=False,
                offset=bad.offset if bad is not None else file.size_bytes,
            )
    elif file.bad or file.problem or file.strangers:
        message = f"damaged, and replaced by {found.survey.files[-1].name}, which is good"
        yield Finding(file.name, "superseded", message, harmful=False)


def _about_file(found: Inspection, file: GenerationFile) -> Iterator[Finding]:
    if file.problem is not None:
        yield Finding(file.name, "unreadable", file.problem)
    for name, reason in found.proven.others:
        if name == file.name:
            yield Finding(file.name, "foreign", reason)
    if file.head is not None and file.order != file.number:
        yield Finding(file.name, "foreign", f"it says that it is generation {file.order}", seq=0)
    ends = sorted((entry.end, entry.seq) for entry in file.entries)
    for bad in file.bad:
        before = bisect_right(ends, bad.offset, key=lambda end: end[0])
        seq = ends[before - 1][1] + 1 if before else 0
        message = f"no record from here to byte {bad.end}: {bad.reason}"
        yield Finding(file.name, "damaged", message, offset=bad.offset, seq=seq)
    for entry in file.strangers:
        message = "the record does not follow the one before it"
        yield Finding(file.name, "misplaced", message, offset=entry.offset, seq=entry.seq)


def _about_gap(gap: Gap, lost: set[tuple[str, int]]) -> Finding:
    first, last = gap.checkpoints or (0, -1)
    return Finding(
        gap.file,
        "lost",
        f"lost: {gap.cost}",
        offset=gap.offset,
        seq=gap.seqs[0] if gap.seqs else None,
        checkpoints=tuple(range(first, min(last, first + 999) + 1)),
        jobs=tuple(job_id for job_id, attempt in gap.running if (job_id, attempt) in lost),
    )


def _about_lost(item: LostAttempt) -> Finding:
    left = "its output is kept here" if item.log is not None else "nothing is left of its output"
    file = item.log.path if item.log is not None else "."
    message = f"the result of attempt {item.attempt} at {item.job_id} is lost; {left}"
    return Finding(file, "lost-result", message, jobs=(item.job_id,))


# -- everything else


def _about_logs(found: Inspection) -> Iterator[Finding]:
    for item in found.log_problems:
        message = f"the log of attempt {item.attempt} at {item.job_id}: {item.message}"
        yield Finding(item.path, f"log-{item.kind}", message, jobs=(item.job_id,))
    for attachment in found.attachment_problems:
        message = f"an attachment of attempt {attachment.attempt} at {attachment.job_id}: {attachment.message}"
        yield Finding(attachment.path, f"attachment-{attachment.kind}", message, jobs=(attachment.job_id,))
    told = {item.log.path for item in found.lost if item.log is not None}
    for log in found.unrecorded:
        if log.path not in told:
            message = f"no result refers to this log of attempt {log.attempt} at {log.job_id}"
            yield Finding(log.path, "log-unrecorded", message, harmful=False, jobs=(log.job_id,))


def _about_files(found: Inspection) -> Iterator[Finding]:
    for oddity in found.survey.oddities:
        yield Finding(oddity.file, "odd-file", oddity.message, harmful=oddity.harmful, remedy=oddity.remedy)
    hint = found.survey.hint
    uuid = found.proven.head.get("uuid")
    if hint is not None and uuid is not None and hint.uuid != uuid:
        message = "it belongs to another session and means nothing here"
        yield Finding(HINT_NAME, "foreign", message, harmful=False)

# SPDX-License-Identifier: Apache-2.0
"""The state that the good lines of a session prove together, and what the bad places between them have cost.

All generations are taken in their order, and in each its lines by number. Nothing is guessed: a result is there because
a line that verifies holds it. Where a dump is damaged the generation before it fills in, and the digest at the end of
the dump tells whether that gave back everything. Called to verify and to salvage a session; writes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

import attrs

from plainbox.session.codec import JsonObject
from plainbox.session.generation import LineEnd
from plainbox.session.hint import Hint
from plainbox.session.repair.survey import Entry, GenerationFile, Survey
from plainbox.session.scan import counts_of, digest_of, remarks_of
from plainbox.session.tree import Tree, check_change, fold, fold_slice

__all__ = ["Attempt", "Gap", "Reconstruction", "attempt_number", "reconstruct", "running_attempts"]

#: A job and the number of an attempt at it.
Attempt: TypeAlias = tuple[str, int]
_Range: TypeAlias = tuple[int, int]


@attrs.frozen
class Gap:
    """Records that are missing from a file.

    ``seqs`` are their first and last number, where that is known; ``checkpoints`` those of the checkpoints among them.
    ``cost`` says what is lost with them; without a cost nothing is.
    """

    file: str
    offset: int | None
    seqs: _Range | None = None
    checkpoints: _Range | None = None
    cost: str | None = None
    #: What was running when the gap began.
    running: tuple[Attempt, ...] = ()


@attrs.define
class Reconstruction:
    """``tree`` is ``None`` when nothing can be used. ``number`` is the last checkpoint, ``generation`` the highest number
    that is taken, ``end`` the last record. ``others`` are files that are not part of this session, and why.
    ``dropped`` and ``gone`` were taken back in the course of the session.
    """

    tree: Tree | None = None
    number: int = 0
    head: JsonObject = attrs.field(factory=dict)
    generation: int = 0
    end: LineEnd = attrs.field(factory=LineEnd)
    checkpoints: int = 0
    gaps: list[Gap] = attrs.field(factory=list)
    others: list[tuple[str, str]] = attrs.field(factory=list)
    dropped: set[Attempt] = attrs.field(factory=set)
    gone: set[str] = attrs.field(factory=set)
    #: Files of the session that no place was found for.
    left_out: list[Gap] = attrs.field(factory=list)
    #: Openings and notes, oldest first.
    remarks: list[JsonObject] = attrs.field(factory=list)

    @property
    def losses(self) -> list[Gap]:
        return [gap for gap in self.gaps if gap.cost is not None]

    @property
    def suspects(self) -> set[Attempt]:
        """What was running when something was lost."""
        return {attempt for gap in self.losses for attempt in gap.running}

    def add_gap(self, gap: Gap) -> None:
        """Note a gap that begins in the present state."""
        self.gaps.append(attrs.evolve(gap, running=self.running()))

    def running(self) -> tuple[Attempt, ...]:
        """Return the attempts that run in the present state."""
        entries = running_attempts(self.tree).items() if self.tree is not None else ()
        return tuple((job_id, attempt_number(entry)) for job_id, entry in entries)

    def was_taken_back(self, attempt: Attempt) -> bool:
        return attempt in self.dropped or attempt[0] in self.gone


def running_attempts(tree: Tree) -> dict[str, JsonObject]:
    """Return what the metadata say about the attempts that have no result yet, as far as it makes sense."""
    running = tree.meta.get("running")
    entries = running.items() if isinstance(running, dict) else ()
    return {job_id: entry for job_id, entry in entries if isinstance(entry, dict)}


def attempt_number(entry: JsonObject) -> int:
    number = entry.get("attempt", 1)
    return number if isinstance(number, int) else 1


def reconstruct(survey: Survey, directory: int, session_id: str) -> Reconstruction:
    """Put together what the files of the session in the open ``directory`` prove."""
    found = Reconstruction()
    files = _files_of_one_session(survey, session_id, found)
    for file in files:
        _Folding(found, file).all_records(directory)
    if files:
        _check_end(found, files[-1], survey.hint)
    found.gaps += found.left_out
    return found


# -- which files


def _files_of_one_session(survey: Survey, session_id: str, found: Reconstruction) -> list[GenerationFile]:
    """Return the files that count, oldest first; the others are noted."""
    uuid = _uuid_of(survey, session_id)
    if uuid is None and any(file.head is not None for file in survey.files):
        found.others += [(file.name, "it belongs to another session") for file in survey.files]
        return []
    files: list[GenerationFile] = []
    for file in sorted(survey.files, key=lambda file: (file.order, file.head is None, -len(file.entries))):
        if file.incompatible is not None:
            found.others.append((file.name, str(file.incompatible)))
        elif file.head is not None and file.head["uuid"] != uuid:
            found.others.append((file.name, "it belongs to another session"))
        elif files and files[-1].order == file.order:
            found.others.append((file.name, f"generation {file.order} is {files[-1].name} already"))
            if not {entry.sum for entry in file.entries} <= {entry.sum for entry in files[-1].entries}:
                found.left_out.append(Gap(file.name, 0, cost=f"what {file.name} holds, which has no place"))
        else:
            files.append(file)
    found.head = next((file.head for file in reversed(files) if file.head is not None), {})
    if uuid is not None:
        found.head = {**found.head, "uuid": uuid}
    return files


def _uuid_of(survey: Survey, session_id: str) -> str | None:
    """Return the uuid of the session: the one that the hint and a file agree on, else that of a file with its id.

    Without a hint the newest file is taken at its word; without a file the hint is.
    """
    heads = [file.head for file in survey.files if file.head is not None]
    hint = survey.hint.uuid if survey.hint is not None else None
    if hint is not None and (not heads or any(head["uuid"] == hint for head in heads)):
        return hint
    named = [head for head in heads if hint is None or head.get("id") == session_id]
    return str(named[-1]["uuid"]) if named else None


# -- one file


@attrs.define
class _Dump:
    tree: Tree = attrs.field(factory=Tree)
    whole: bool = True
    #: A writer opens the journal behind the end of the dump: one missing record between them is that end.
    lacks_end_only: bool = False
    offset: int | None = None
    seqs: _Range | None = None

    def lacks(self, offset: int, seqs: _Range) -> None:
        self.whole = False
        self.offset = offset if self.offset is None else self.offset
        self.seqs = (self.seqs[0], seqs[1]) if self.seqs else seqs


class _Folding:
    """The way through one file, on top of what the files before it have given."""

    def __init__(self, found: Reconstruction, file: GenerationFile) -> None:
        self._found = found
        self._file = file
        self._dump: _Dump | None = _Dump()
        #: Gaps behind which no checkpoint has come yet.
        self._open_gaps: list[Gap] = []

    def all_records(self, directory: int) -> None:
        found, file = self._found, self._file
        remarks: list[JsonObject] = []
        expected, place = 0, 0
        for entry, payload in file.records(directory):
            remarks += remarks_of(payload)
            missing = (expected, entry.seq - 1) if entry.seq > expected else None
            self._take(entry, payload, missing, place)
            expected, place = entry.seq + 1, entry.end + 1
        # A generation goes on telling what the one before it told.
        told = set(map(_moment_of, remarks))
        found.remarks = [remark for remark in found.remarks if _moment_of(remark) not in told] + remarks
        if self._dump is not None:
            self._dump.lacks(self._bad_at(place), (expected, expected))
            self._settle_dump(None)
        self._close_gaps(None)
        if file.entries:
            last = file.entries[-1]
            found.end = LineEnd(last.end + 1, last.seq, last.sum)
            found.generation = max(found.generation, file.order)
        else:
            found.end = LineEnd()
        found.generation = max(found.generation, file.number)

    def _take(self, entry: Entry, payload: JsonObject, missing: _Range | None, place: int) -> None:
        if self._dump is not None:
            if missing is not None:
                only_end = entry.kind == "open" and missing[0] == missing[1] and self._dump.whole
                self._dump.lacks(self._bad_at(place), missing)
                self._dump.lacks_end_only = only_end
            if entry.kind == "head":
                return
            if entry.kind == "full":
                self._take_slice(entry, payload)
                return
            if entry.kind == "full-end":
                self._settle_dump(payload)
                return
            if missing is None:
                self._dump.lacks(entry.offset, (entry.seq, entry.seq))
            self._settle_dump(None)
        elif missing is not None:
            self._open_gap(self._bad_at(place), missing)
        if entry.kind == "ck":
            self._take_change(entry, payload)

    def _bad_at(self, place: int) -> int:
        """Return where the first bad place from ``place`` on is, or that place."""
        bad = self._file.bad
        index = bisect_left(bad, place - 1, key=lambda item: item.offset)
        return bad[index].offset if index < len(bad) else place

    # the dump

    def _take_slice(self, entry: Entry, payload: JsonObject) -> None:
        assert self._dump is not None
        try:
            check_change(payload)
        except ValueError:
            self._dump.lacks(entry.offset, (entry.seq, entry.seq))
        else:
            fold_slice(self._dump.tree, payload)

    def _settle_dump(self, end: JsonObject | None) -> None:
        """Make the dump the state, together with what the generation before has when it is not whole."""
        found, dump = self._found, self._dump
        assert dump is not None
        self._dump = None
        number = self._number_after_dump(end)
        before, before_number = found.tree, found.number
        states = [dump.tree] if before is None else [dump.tree, before, _united(before, dump.tree)]
        digest = end.get("digest") if end is not None else None
        proven: Tree | None = dump.tree if dump.lacks_end_only and dump.tree != Tree() else None
        proven = proven or next((state for state in states if digest is not None and digest_of(state) == digest), None)
        if proven is not None:
            found.gaps.clear()
        found.tree = proven if proven is not None else states[-1]
        found.number = number
        if dump.whole and proven is not None:
            return
        # The same number of checkpoints is the same state: the older generation has all of it.
        covered = proven is not None or (before is not None and number == before_number and self._is_number_known(end))
        cost = None if covered else f"the state at the beginning of {self._file.name} is not complete"
        if cost is not None and end is not None:
            cost += _shortage(end.get("counts"), found.tree)
        if cost is not None and "app_id" not in found.tree.meta:
            cost += "; it is not known any more what was to be run"
        if cost is not None and not dump.tree.as_full().keys() - {"t"} and before is None:
            found.tree = None if not any(entry.kind == "ck" for entry in self._file.entries) else Tree()
        found.add_gap(Gap(self._file.name, dump.offset, dump.seqs, None, cost))

    def _is_number_known(self, end: JsonObject | None) -> bool:
        return end is not None or any(entry.kind == "ck" for entry in self._file.entries)

    def _number_after_dump(self, end: JsonObject | None) -> int:
        if end is not None and isinstance(end.get("n"), int):
            return int(end["n"])
        first = next((entry.number for entry in self._file.entries if entry.kind == "ck"), None)
        return self._found.number if first is None else max(first - 1, 0)

    # the changes

    def _take_change(self, entry: Entry, payload: JsonObject) -> None:
        found = self._found
        number = payload.get("n")
        if not isinstance(number, int) or number <= found.number or found.tree is None:
            return
        self._close_gaps((found.number + 1, number - 1))
        found.number = number
        try:
            check_change(payload)
        except ValueError as error:
            cost = f"checkpoint {number} makes no sense ({error})"
            found.add_gap(Gap(self._file.name, entry.offset, (entry.seq, entry.seq), (number, number), cost))
            return
        found.dropped.update((job_id, attempt) for job_id, attempt in payload.get("drop", ()))
        found.gone.update(payload.get("gone", ()))
        fold(found.tree, payload)
        found.gone -= {job_id for job_id, *_ in payload.get("res", ())}
        found.checkpoints += 1

    def _open_gap(self, offset: int, seqs: _Range) -> None:
        self._open_gaps.append(Gap(self._file.name, offset, seqs, running=self._found.running()))

    def _close_gaps(self, checkpoints: _Range | None) -> None:
        """Note the gaps since the last checkpoint, with the numbers of those that are missing when they are known."""
        gaps, self._open_gaps = self._open_gaps, []
        for gap in gaps:
            if checkpoints is None:
                cost: str | None = f"{_records(gap.seqs)} after checkpoint {self._found.number}"
            elif checkpoints[0] > checkpoints[1]:
                cost = None  # whoever opened or closed the session; no checkpoint is missing
            else:
                cost = _checkpoints(checkpoints)
            missing = checkpoints if cost is not None else None
            self._found.gaps.append(attrs.evolve(gap, checkpoints=missing, cost=cost))


def _moment_of(remark: JsonObject) -> tuple[str, ...]:
    return tuple(str(remark.get(key)) for key in ("t", "kind", "w", "m"))


def _united(before: Tree, dump: Tree) -> Tree:
    """Return the older state with everything that is left of the newer one."""
    results = {job_id: dict(attempts) for job_id, attempts in before.results.items()}
    for job_id, attempts in dump.results.items():
        results.setdefault(job_id, {}).update(attempts)
    return Tree(
        meta={**before.meta, **dump.meta},
        jobs={**before.jobs, **dump.jobs},
        results=results,
        want=_united_list(before.want, dump.want),
        must=_united_list(before.must, dump.must),
        units={**before.units, **dump.units},
        sys=before.sys if dump.sys is None else dump.sys,
        extra={**before.extra, **dump.extra},
    )


def _united_list(before: list[str], now: list[str]) -> list[str]:
    return list(before) if set(now) <= set(before) else list(dict.fromkeys([*now, *before]))


# -- the end


def _check_end(found: Reconstruction, last: GenerationFile, hint: Hint | None) -> None:
    """Note what the hint says was acknowledged behind the last good line."""
    if hint is None or (last.head is not None and hint.uuid != found.head.get("uuid")):
        if last.bad and last.entries and last.bad[-1].offset >= last.entries[-1].end:
            bad = last.bad[-1]
            cost = f"the last {bad.end - bad.offset} bytes, of which nothing tells whether they were acknowledged"
            found.add_gap(Gap(last.name, bad.offset, cost=cost))
        return
    end, claimed = found.end, (hint.generation, hint.seq)
    found.generation = max(found.generation, hint.generation)
    if hint.generation > last.order:
        lost = f"{_records((0, hint.seq))} of generation {hint.generation}"
        found.add_gap(Gap(last.name, end.size_bytes, cost=f"everything after checkpoint {found.number}: {lost}"))
    elif claimed > (last.order, end.seq):
        seqs = (end.seq + 1, hint.seq)
        found.add_gap(Gap(last.name, end.size_bytes, seqs, cost=f"{_records(seqs)} after checkpoint {found.number}"))
    elif claimed == (last.order, end.seq) and hint.sum != end.sum:
        cost = f"record {end.seq} is not the one that was acknowledged"
        found.add_gap(Gap(last.name, end.size_bytes, (end.seq, end.seq), cost=cost))


# -- words


def _records(seqs: _Range | None) -> str:
    if seqs is None:
        return "records"
    return f"record {seqs[0]}" if seqs[0] == seqs[1] else f"records {seqs[0]} to {seqs[1]}"


def _checkpoints(numbers: _Range) -> str:
    first, last = numbers
    return f"checkpoint {first}" if first == last else f"checkpoints {first} to {last}"


def _shortage(counts: object, tree: Tree) -> str:
    """Return how many items a dump had more than there are now."""
    if not isinstance(counts, dict):
        return ""
    present = counts_of(tree)
    missing = {
        name: counts[name] - present[name]
        for name in present
        if isinstance(counts.get(name), int) and counts[name] > present[name]
    }
    return ": missing are " + ", ".join(f"{count} {name}" for name, count in missing.items()) if missing else ""

# SPDX-License-Identifier: Apache-2.0
"""What the files of a session hold, good and bad, looked at one by one and without trust in any of them.

The ordinary readers stop at the first damage; this one goes on. Called to verify and to salvage a session. It takes no
lock, writes nothing, follows no link, and no content makes it raise: what is wrong becomes part of the answer.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Final

import attrs

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session.codec import NO_SUM, JsonObject, decode_line
from plainbox.session.directory import IO_LOGS, LINKED_LOGS_REMEDY
from plainbox.session.files import open_regular
from plainbox.session.generation import MAX_JOURNAL_BYTES, generation_name, generations
from plainbox.session.hint import HINT_NAME, Hint, read_hint
from plainbox.session.iolog_reader import LogHead, read_log_head
from plainbox.session.lock import LOCK_NAME
from plainbox.session.repair.sift import BadPlace, GoodLine, sift
from plainbox.session.scan import check_head

__all__ = ["Entry", "GenerationFile", "LogHead", "Oddity", "Survey", "oddities", "survey", "unrecorded_logs"]

_OTHERS_MAY_WRITE: Final = 0o022
#: What somebody has to do about odd files: without the lock no salvage starts, and none follows a link to logs.
_REMEDIES: Final = {
    LOCK_NAME: "remove it, since the next writer makes another",
    IO_LOGS: LINKED_LOGS_REMEDY,
}


@attrs.frozen
class Entry:
    """Where one good line is and what it is; ``number`` is that of a checkpoint or of the last one in a dump."""

    offset: int
    end: int
    seq: int
    prev: str
    sum: str
    kind: str
    number: int | None


@attrs.define
class GenerationFile:
    """One file of the journal.

    ``entries`` are the lines that verify and belong together, in their order; ``strangers`` verify too, and belong
    elsewhere. ``bad`` are the places that prove nothing. ``problem`` says why the file could not be read at all.
    """

    number: int
    size_bytes: int = 0
    entries: list[Entry] = attrs.field(factory=list)
    strangers: list[Entry] = attrs.field(factory=list)
    bad: list[BadPlace] = attrs.field(factory=list)
    head: JsonObject | None = None
    problem: str | None = None
    incompatible: IncompatibleSessionError | None = None

    @property
    def name(self) -> str:
        return generation_name(self.number)

    @property
    def order(self) -> int:
        """Which generation the file says that it is."""
        return int(self.head["gen"]) if self.head is not None else self.number

    def records(self, directory: int) -> Iterator[tuple[Entry, JsonObject]]:
        """Yield the entries with what they say, read again; what has changed in between is left out."""
        with contextlib.suppress(OSError, CorruptedSessionError), _open(directory, self.name) as file:
            for entry in self.entries:
                file.seek(entry.offset)
                with contextlib.suppress(ValueError):
                    yield entry, decode_line(file.read(entry.end - entry.offset)).payload


@attrs.frozen
class Oddity:
    """Something about a file that is not its content.

    ``harmful``: the session cannot be used as it is. ``remedy``: what somebody has to do, since no salvage can do it.
    """

    file: str
    message: str
    harmful: bool = False
    remedy: str | None = None


@attrs.define
class Survey:
    """``files`` are the generations, lowest number first; ``foreign`` tells that another program wrote the session."""

    files: list[GenerationFile] = attrs.field(factory=list)
    hint: Hint | None = None
    oddities: list[Oddity] = attrs.field(factory=list)
    foreign: bool = False


def survey(directory: int) -> Survey:
    """Look at the session in the open ``directory``; an :class:`OSError` says that it cannot be listed."""
    found = Survey(oddities=list(oddities(directory)))
    found.foreign = "session" in os.listdir(directory) and not generations(directory)
    with contextlib.suppress(CorruptedSessionError):  # told as an oddity
        found.hint = read_hint(directory)
    for number in generations(directory):
        with contextlib.suppress(FileNotFoundError):  # replaced by a newer one while we were looking
            found.files.append(_look_at(directory, number))
    return found


def _open(directory: int, name: str) -> BinaryIO:
    return open(open_regular(name, dir_fd=directory), "rb")


def _look_at(directory: int, number: int) -> GenerationFile:
    found = GenerationFile(number)
    try:
        with _open(directory, found.name) as file:
            found.size_bytes = os.fstat(file.fileno()).st_size
            if found.size_bytes > MAX_JOURNAL_BYTES:
                found.problem = f"it has {found.size_bytes} bytes; more than {MAX_JOURNAL_BYTES} are not looked at"
                return found
            _read(file, found)
    except FileNotFoundError:
        raise
    except CorruptedSessionError:
        found.problem = "it is not a regular file"
    except OSError as error:
        found.problem = f"it cannot be read: {error.strerror}"
    return found


def _read(file: BinaryIO, found: GenerationFile) -> None:
    lines: list[Entry] = []
    heads: dict[str, JsonObject] = {}
    for item in _sifted(file, found.size_bytes):
        if isinstance(item, BadPlace):
            found.bad.append(item)
            continue
        entry = _entry(item)
        lines.append(entry)
        if entry.kind == "head" and entry.seq == 0:
            heads[entry.sum] = item.line.payload
    found.entries, found.strangers = _belonging_together(lines)
    for entry in found.entries[:1]:
        head = heads.get(entry.sum)
        try:
            if head is not None:
                check_head(head)
                found.head = head
        except IncompatibleSessionError as error:
            found.incompatible = error
        except ValueError as error:
            found.problem = f"its head makes no sense: {error}"


def _sifted(file: BinaryIO, size_bytes: int) -> Iterator[GoodLine | BadPlace]:
    """Yield what the file holds; where the medium cannot read on, the rest of it is a bad place."""
    end = 0
    try:
        for item in sift(file):
            end = item.end
            yield item
    except OSError as error:
        yield BadPlace(end, max(size_bytes, end), f"the medium cannot read it: {error.strerror}")


def _entry(item: GoodLine) -> Entry:
    payload = item.line.payload
    number = payload.get("n")
    return Entry(
        offset=item.offset,
        end=item.end,
        seq=item.line.seq,
        prev=item.line.prev,
        sum=item.line.sum,
        kind=payload["t"],
        number=number if isinstance(number, int) else None,
    )


def _belonging_together(lines: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the lines that can be of one journal, by number, and the others.

    Lines that are chained to each other make a run. The run with the head comes first, then the longer ones; a run has
    a place when its numbers are free and no line that is there contradicts its chain.
    """
    runs = sorted(_runs(lines), key=lambda run: (run[0].prev != NO_SUM, -len(run)))
    placed: dict[int, Entry] = {}
    strangers: list[Entry] = []
    for run in runs:
        before, after = placed.get(run[0].seq - 1), placed.get(run[-1].seq + 1)
        fits = before is None or before.sum == run[0].prev
        fits = fits and (after is None or after.prev == run[-1].sum)
        if fits and not any(entry.seq in placed for entry in run):
            placed.update((entry.seq, entry) for entry in run)
        else:
            strangers += run
    return [placed[seq] for seq in sorted(placed)], strangers


def _runs(lines: list[Entry]) -> list[list[Entry]]:
    runs: dict[tuple[int, str], list[Entry]] = {}
    for entry in sorted(lines, key=lambda entry: (entry.seq, entry.offset)):
        if (entry.seq, entry.sum) in runs:
            continue  # the same line twice
        run = runs.pop((entry.seq - 1, entry.prev), None) if entry.seq else None
        run = [] if run is None else run
        run.append(entry)
        runs[entry.seq, entry.sum] = run
    return list(runs.values())


# -- the files beside the journal


def oddities(directory: int) -> Iterator[Oddity]:
    """Yield what is odd about the files of the session in the open ``directory``."""
    own = os.fstat(directory)
    if own.st_mode & _OTHERS_MAY_WRITE:
        yield Oddity(".", "others than its owner may write into the session")
    for name in sorted(os.listdir(directory)):
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            continue
        ours = name in (HINT_NAME, LOCK_NAME, IO_LOGS) or name.endswith(".pbj")
        if stat.S_ISLNK(status.st_mode):
            remedy = _REMEDIES.get(name)
            yield Oddity(name, "it is a symbolic link, which is not followed", harmful=ours, remedy=remedy)
        elif name == IO_LOGS:
            if not stat.S_ISDIR(status.st_mode):
                yield Oddity(name, "it is not a directory", harmful=True)
        elif ours and not stat.S_ISREG(status.st_mode):
            remedy = _REMEDIES.get(name)
            yield Oddity(name, "it is not a regular file", harmful=True, remedy=remedy)
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & _OTHERS_MAY_WRITE:
            yield Oddity(name, "others than its owner may write to it")
        if status.st_uid != own.st_uid:
            yield Oddity(name, f"it belongs to user {status.st_uid}, the session to user {own.st_uid}")


def unrecorded_logs(directory: int, recorded: set[str]) -> list[LogHead]:
    """Return what the logs say of themselves that are not among ``recorded`` (paths below the session), by path."""
    try:
        logs = os.open(IO_LOGS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return []
    try:
        names = [
            name for name in sorted(os.listdir(logs)) if name.endswith(".iolog") and f"{IO_LOGS}/{name}" not in recorded
        ]
        heads = (read_log_head(name, f"{IO_LOGS}/{name}", dir_fd=logs) for name in names)
        return [head for head in heads if head is not None]
    finally:
        os.close(logs)

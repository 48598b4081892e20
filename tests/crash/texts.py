# SPDX-License-Identifier: Apache-2.0
"""Text of every kind in every field: through a checkpoint, a kill, a resume and the JSON report.

Every byte, invalid UTF-8, lone surrogates, NUL, line feeds, U+2028, a comment of 1 MiB, and random mixtures of all that; in
the title, comments, reasons to skip, the application's blob, records of resources, ids of jobs, and in output.
"""

from __future__ import annotations

import io
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import attrs
from kills_support import start_child
from manager_rig import job
from scale import Figures, Tally

from plainbox.errors import SessionError
from plainbox.exporters.characters import encodable
from plainbox.exporters.json import JsonExporter
from plainbox.session.iolog import IOLogWriter
from plainbox.session.manager import SessionManager
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage
from plainbox.units import Unit

__all__ = ["Sample", "lossy", "run", "through", "through_a_kill"]

EVERY_BYTE = bytes(range(256))

#: What has broken a program somewhere.
_NASTY = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "a\r\nb\rc\n",
    "\u2028\u2029\x85\x0b\x0c",
    "\ufeffbom",
    "\ufffe\uffff",
    "\ud800",
    "\udfff tail",
    "\udc80\udcff",
    "\ude00\ud83d",
    "\U0001f600\U0010ffff",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "e\u0301 \u202e rtl \u200b",
    '"quoted" \\ \\u0041 \\ud83d',
    "{'b64': 'AAAA'}",
    '{"b64": "AAAA"}',
    "PBJ1 0 0000000000000000 2 0000000000000000 {}",
    "</script><![CDATA[ ]]> &amp;",
    EVERY_BYTE.decode("latin-1"),
    EVERY_BYTE.decode("utf-8", "surrogateescape"),
    "".join(map(chr, range(0x2000, 0x2070))),
)
#: The job whose comment is long: a late one, so that it is not looked at again after many checkpoints.
_LONG = 34
_ALPHABET = "".join(_NASTY) + "abc"


def _mixture(chance: random.Random, size: int) -> str:
    """A random text. Surrogates that happen to be a pair become the character that they mean: JSON knows no other."""
    text = "".join(chance.choices(_ALPHABET, k=size))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@attrs.frozen
class Sample:
    """The texts of one session, all from one seed."""

    seed: int

    @property
    def _chance(self) -> random.Random:
        return random.Random(self.seed)

    def texts(self) -> list[str]:
        chance = self._chance
        mixtures = [_mixture(chance, chance.randrange(1, 80)) for _ in range(12)]
        return [*_NASTY, *mixtures]

    def long_text(self) -> str:
        """A text of 1 MiB and more in UTF-8."""
        return _mixture(self._chance, 1 << 20)

    def blob(self) -> bytes:
        return EVERY_BYTE + self._chance.randbytes(1000)

    def title(self) -> str:
        return self._chance.choice(self.texts())

    def units(self) -> list[Unit]:
        """A job for each text, with the text in its id, and a resource job."""
        named = [job(f"{number}-{text}") for number, text in enumerate(self.texts())]
        return [*named, job("resource", plugin="resource")]

    def records(self) -> bytes:
        """Records of a resource, with every byte that is no line end."""
        values = [bytes(set(EVERY_BYTE) - {10}), *(text.encode("utf-8", "surrogatepass") for text in self.texts())]
        return b"\n\n".join(b"value: x" + value.replace(b"\n", b"") + b"x" for value in values) + b"\n"


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Take ``trials`` sessions through a kill, each with texts of its own."""
    tally = Tally()
    for trial in range(trials):
        through_a_kill(tally, Sample(seed + trial), base / str(trial))
    return tally.figures("texts", f"{len(Sample(seed).texts())} texts in each field of each session")


def fill(manager: SessionManager, sample: Sample, saved: Callable[[], object]) -> None:
    """Put the texts into every field, a checkpoint after each job."""
    state = manager.state
    assert state is not None
    metadata = state.metadata
    metadata.title, metadata.app_blob, metadata.app_id = sample.title(), sample.blob(), sample.title()
    metadata.rejected_jobs, metadata.flags = sample.texts(), {"incomplete", *sample.texts()}
    state.update_desired_job_list(list(state.job_list))
    location = manager.storage.location
    for number, (definition, text) in enumerate(zip(state.job_list, [*sample.texts(), ""], strict=True)):
        log = IOLogWriter(location, definition.id, 1, background=False)
        if definition.plugin == "resource":
            log.write("stdout", sample.records())
        else:
            log.write("stdout", EVERY_BYTE)
            log.write("stderr", text.encode("utf-8", "surrogatepass"))
            log.note(text)
        builder = JobResultBuilder(outcome="pass" if number else "skip", log=log.close())
        builder.comments = sample.long_text() if number == _LONG else text
        builder.skip_reason = None if number else {text or "empty": sample.texts()}
        state.update_job_result(definition, builder.get_result(location))
        manager.checkpoint()
        saved()


def live(base: str, sample: Sample, pipe: Connection) -> None:
    """Fill a session, and wait to be killed."""
    manager = SessionManager.create_with_unit_list(sample.units(), SessionStorageRepository(base))
    fill(manager, sample, lambda: os.write(pipe.fileno(), b"."))
    os.write(pipe.fileno(), b"!")
    time.sleep(600)


def lossy(manager: SessionManager) -> None:
    """A planted bug: the session was stored by somebody who takes all text for clean UTF-8."""
    assert manager.state is not None
    for job_state in list(manager.state.job_state_map.values()):
        comments = job_state.result.get("comments")
        if comments:
            cleaned = comments.encode("utf-8", "replace").decode()
            known = {**job_state.result.as_dict(), "comments": cleaned}
            result = JobResultBuilder(**known).get_result(manager.storage.location)
            manager.state.update_job_result(job_state.job, result, replace=True)


def through_a_kill(tally: Tally, sample: Sample, base: Path) -> None:
    """Kill a process that has stored the texts, and compare what it has left with the same session in memory."""
    process, pipe = start_child(live, str(base / "killed"), sample)
    said = b""
    while not said.endswith(b"!"):
        piece = os.read(pipe.fileno(), 4096)
        if not piece:
            break
        said += piece
    process.kill()
    process.join()
    pipe.close()
    tally.trials += 1
    tally.kills += 1
    tally.acknowledged += said.count(b".")
    tally.expect(said.endswith(b"!"), f"seed {sample.seed}: the writer has failed after {said.count(b'.')} saves")
    if said.endswith(b"!"):
        through(tally, sample, base)


def through(tally: Tally, sample: Sample, base: Path, *, spoil: Callable[[SessionManager], None] | None = None) -> None:
    """Load what was killed, go on, load again; each time compare it with what was put in, and its report, too."""
    model = SessionManager.create_with_unit_list(sample.units(), SessionStorageRepository(base / "model"))
    fill(model, sample, lambda: None)
    [storage] = SessionStorageRepository(base / "killed").get_storage_list() if spoil is None else [model.storage]
    model.close()
    expected = dict(_facts(model))
    for turn in ("killed", "resumed"):
        trial = f"seed {sample.seed}, {turn}"
        try:
            manager = SessionManager.load_session(sample.units(), SessionStorage(storage.location))
        except SessionError as error:
            tally.unreadable += 1
            tally.violations.append(f"{trial}: {error}")
            return
        if spoil is not None:
            spoil(manager)
        _compare(tally, expected, dict(_facts(manager)), trial)
        _check_report(tally, manager, trial)
        assert manager.state is not None
        manager.state.metadata.resume_count += 1
        manager.checkpoint()
        manager.close()


def _facts(manager: SessionManager) -> Iterator[tuple[str, object]]:
    state = manager.state
    assert state is not None
    metadata = state.metadata
    yield "title", metadata.title
    yield "app_id", metadata.app_id
    yield "app_blob", metadata.app_blob
    yield "rejected jobs", metadata.rejected_jobs
    yield "flags", sorted(metadata.flags)
    yield "jobs", sorted(state.job_state_map)
    yield "wanted", [item.id for item in state.desired_job_list]
    yield from _resources(state)
    for job_id, job_state in state.job_state_map.items():
        result: JobResult = job_state.result
        yield f"comments of {job_id!r}", result.get("comments")
        yield f"skip reason of {job_id!r}", json.dumps(result.as_dict().get("skip_reason"))
        for stream in ("stdout", "stderr", "note"):
            yield f"{stream} of {job_id!r}", b"".join(result.iter_output(stream))


def _resources(state: SessionState) -> Iterator[tuple[str, object]]:
    for resource_id, found in state.resource_map.items():
        yield f"records of {resource_id!r}", [dict(record) for record in found]


def _compare(tally: Tally, expected: dict[str, object], found: dict[str, object], trial: str) -> None:
    for key in expected.keys() | found.keys():
        same = expected.get(key, "missing") == found.get(key, "missing")
        tally.expect(same, f"{trial}: {key}: {str(found.get(key))[:80]!a}, not {str(expected.get(key))[:80]!a}")


def _check_report(tally: Tally, manager: SessionManager, trial: str) -> None:
    """The JSON report has every text; what has no encoding, and what controls a terminal, is replaced or left out."""
    stream = io.BytesIO()
    JsonExporter(["max-log-bytes=100000000"]).dump_from_session_manager(manager, stream)
    report = json.loads(stream.getvalue().decode("utf-8"))
    assert manager.state is not None
    tally.expect(report["title"] == encodable(manager.state.metadata.title or ""), f"{trial}: title of the report")
    results = {item["full_id"]: item for item in report["results"] + report["attachment-results"]}
    for job_id, job_state in manager.state.job_state_map.items():
        if job_state.job.plugin == "resource":
            continue
        shown = results.get(encodable(job_id))
        tally.expect(shown is not None, f"{trial}: {job_id!a} is not in the report")
        comments = job_state.result.comments
        if shown is not None:
            same = (shown["comments"] or "") == encodable(comments or "")
            tally.expect(same, f"{trial}: comments of {job_id!a} in the report")

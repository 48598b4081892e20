# SPDX-License-Identifier: Apache-2.0
"""Doubles of the seam, a second journal reader, and small builders for the tests of the session store."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from plainbox.session.files import FileOps
from plainbox.session.storage import SessionStorage
from plainbox.testing.files import FaultyFiles


def ck(**parts: Any) -> bytes:
    """A change as the manager would hand it over."""
    return json.dumps({"t": "ck", **parts}).encode()


def full(**parts: Any) -> bytes:
    return json.dumps({"t": "full", **parts}).encode()


def result(number: int, outcome: str = "pass") -> bytes:
    """A change that holds the first result of job ``number``."""
    return ck(res=[[f"org.example::job-{number}", 1, {"outcome": outcome, "return_code": number}]])


def results_of(data: bytes) -> dict[str, int]:
    """Job id to return code, from a full representation."""
    return {job_id: stored["return_code"] for job_id, _, stored in json.loads(data).get("res", [])}


def session_with(base: Path, count: int, *, files: FileOps | None = None) -> SessionStorage:
    """A session with a first checkpoint and ``count`` results, still open."""
    storage = SessionStorage.create(base, files=files or FaultyFiles())
    storage.save_checkpoint(full(meta={"title": "rig"}))
    for number in range(count):
        storage.save_checkpoint(result(number))
    return storage


def journal_of(storage: SessionStorage, generation: int = 1) -> Path:
    return Path(storage.location) / f"journal-{generation:06d}.pbj"


def reopened(storage: SessionStorage) -> SessionStorage:
    return SessionStorage(storage.location, files=FaultyFiles())


_LINE = re.compile(rb"(PBJ1 (0|[1-9]\d*) ([0-9a-f]{16}) ([1-9]\d*) )([0-9a-f]{16}) (.*)", re.DOTALL)
_MAPS = ("meta", "jobs", "units")
_KNOWN = {*_MAPS, "res", "drop", "gone", "want", "must", "sys", "t", "n", "w", "m", "notes"}


class _Record(NamedTuple):
    seq: int
    prev: str
    sum: str
    payload: dict[str, Any]
    #: What stands behind the payload in its line.
    rest: bytes


def _record(line: bytes) -> _Record | None:
    """Return the record that a line begins with, when it verifies."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    size = int(match[4])
    body, rest = match[6][:size], match[6][size:]
    digest = hashlib.blake2b(match[1] + body, digest_size=8).hexdigest().encode()
    if len(body) != size or digest != match[5]:
        return None
    return _Record(int(match[2]), match[3].decode(), digest.decode(), json.loads(body), rest)


def _good_records(data: bytes) -> list[_Record] | None:
    """Return the records before a torn tail; ``None`` when there is one that verifies behind the bad place."""
    lines = data.split(b"\n")
    found: list[_Record] = []
    for index, line in enumerate(lines):
        record = _record(line)
        if record is not None:
            found.append(record)
        if record is None or record.rest:
            rest = record.rest if record is not None else b""
            return None if any(map(_record, [rest, rest[1:], *lines[index + 1 :]])) else found
    return found


def second_reader(data: bytes) -> dict[str, Any] | None:
    """An independent reading of a journal: the state, or ``None`` for what must not be trusted.

    Written from the format alone and sharing nothing with the product.
    """
    records = _good_records(data)
    if records is None:
        return None
    state: dict[str, Any] = {name: {} for name in (*_MAPS, "res")} | {"want": [], "must": [], "sys": None}
    last, number, based = "0" * 16, None, False
    for seq, record in enumerate(records):
        payload = record.payload
        if record.seq != seq or record.prev != last or (payload["t"] == "head") != (seq == 0):
            return None
        last = record.sum
        if payload["t"] == "full-end":
            based, number = True, payload["n"]
        elif payload["t"] == "ck":
            if not based or payload["n"] != number + 1:
                return None
            number += 1
            _forget(state, payload)
            _add(state, payload)
        elif payload["t"] == "full":
            _add(state, payload)
    return state if based else None


def _forget(state: dict[str, Any], change: dict[str, Any]) -> None:
    for job_id in change.get("gone", []):
        state["jobs"].pop(job_id, None)
        state["units"].pop(job_id, None)
        for key in [key for key in state["res"] if key[0] == job_id]:
            del state["res"][key]
    for job_id, attempt in change.get("drop", []):
        state["res"].pop((job_id, attempt), None)
    for name in ("want", "must"):
        if name in change:
            state[name] = []


def _add(state: dict[str, Any], part: dict[str, Any]) -> None:
    for name in _MAPS:
        state[name].update(part.get(name, {}))
    for name in ("want", "must"):
        state[name] += part.get(name, [])
    for job_id, attempt, stored in part.get("res", []):
        state["res"][job_id, attempt] = stored
    state.update({key: part[key] for key in part if key == "sys" or key not in _KNOWN})


def agrees(state: dict[str, Any] | None, loaded: bytes) -> bool:
    """Whether the second reader saw the same as the product, in all its parts."""
    value = json.loads(loaded)
    value["res"] = {(job_id, attempt): stored for job_id, attempt, stored in value.get("res", [])}
    return state is not None and {key: value.get(key) or {} for key in {*value, *state} - {"t"}} == {
        key: state.get(key) or {} for key in {*value, *state} - {"t"}
    }

# SPDX-License-Identifier: Apache-2.0
"""Doubles of the seam, a second journal reader, and small builders for the tests of the session store."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

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


LINE = re.compile(rb"(PBJ1 (\d+) ([0-9a-f]{16}) (\d+) )([0-9a-f]{16}) (.*)", re.DOTALL)


def second_reader(data: bytes) -> dict[str, Any] | None:
    """An independent reading of a journal: the state, or ``None`` for what must not be trusted.

    Written from the format alone and sharing nothing with the product.
    """
    lines: list[tuple[int, str, str, dict[str, Any]] | None] = []
    pieces = data.split(b"\n")
    for index, piece in enumerate(pieces):
        if index == len(pieces) - 1 and piece == b"":
            continue
        match = LINE.fullmatch(piece)
        good = None
        if match:
            body = match[6]
            if index == len(pieces) - 1:
                body = body[: int(match[4])]
            proper = all(field == str(int(field)).encode() for field in (match[2], match[4]))
            digest = hashlib.blake2b(match[1] + body, digest_size=8).hexdigest()
            if proper and len(body) == int(match[4]) and digest == match[5].decode():
                good = (int(match[2]), match[3].decode(), digest, json.loads(body))
        lines.append(good)
    while lines and lines[-1] is None:
        lines.pop()
    state: dict[str, Any] = {"meta": {}, "res": {}}
    last, number, based = "0" * 16, None, False
    for seq, line in enumerate(lines):
        if line is None or line[0] != seq or line[1] != last:
            return None
        last, payload = line[2], line[3]
        if (payload["t"] == "head") != (seq == 0):
            return None
        if payload["t"] == "full-end":
            based, number = True, payload["n"]
        if payload["t"] == "ck":
            if not based or payload["n"] != number + 1:
                return None
            number += 1
        if payload["t"] in ("full", "ck"):
            state["meta"].update(payload.get("meta", {}))
            for job_id, attempt in payload.get("drop", []):
                state["res"].pop((job_id, attempt), None)
            for job_id, attempt, stored in payload.get("res", []):
                state["res"][job_id, attempt] = stored
    return state if based else None


def agrees(state: dict[str, Any] | None, loaded: bytes) -> bool:
    """Whether the second reader saw the same metadata and results as the product."""
    value = json.loads(loaded)
    results = {(job_id, attempt): stored for job_id, attempt, stored in value.get("res", [])}
    return state is not None and state["meta"] == value.get("meta", {}) and state["res"] == results
